"""The key that registries know this machine by: the one that Ollama has, or makes."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Protocol

from lcrt.errors import LcrtError

FILE = Path(".ollama") / "id_ed25519"
"""Where the key lies, in the home directory."""

_RIGHTS = "the server must be able to read and write there; HOME says whose folder it is"
_EMPTY = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()


class Identity(Protocol):
    """A key pair."""

    @property
    def public(self) -> str:
        """The public key as in an authorized_keys line, without the words around it."""

    def sign(self, data: bytes) -> bytes:
        """The signature of some bytes."""


class _Key:
    def __init__(self, path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise LcrtError(f"cannot read the key `{path}`: {error.strerror}", _RIGHTS) from error
        except (ValueError, TypeError) as error:
            raise LcrtError(f"the key `{path}` cannot be used: {error}", "move it away to get a new one") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise LcrtError(f"the key `{path}` is not an ed25519 key", "move it away to get a new one")
        line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        self._key = key
        self._public = line.split()[1].decode()

    @property
    def public(self) -> str:
        return self._public

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


def load_identity(home: Path) -> Identity:
    """Read this user's key; make one when there is none."""
    path = home / FILE
    if not path.exists():
        _create(path)
    return _Key(path)


def signed(identity: Identity, method: str, url: str) -> str:
    """The header that proves who asks for an address without a body."""
    signature = base64.b64encode(identity.sign(f"{method},{url},{_EMPTY}".encode())).decode()
    return f"{identity.public}:{signature}"


def _create(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(private)
        path.with_suffix(".pub").write_bytes(public + b"\n")
    except FileExistsError:
        return
    except OSError as error:
        raise LcrtError(f"cannot make the key `{path}`: {error.strerror}", _RIGHTS) from error
