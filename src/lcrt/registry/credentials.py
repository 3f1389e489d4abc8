"""Names and passwords that ``docker login`` has stored."""

import base64
import logging
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

_LOG = logging.getLogger("lcrt.registry")
_HELPER_TIMEOUT = 10.0
_TOKEN_USER = "<token>"  # noqa: S105 -- the name that marks an identity token


class _Auth(msgspec.Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""


class _Config(msgspec.Struct, frozen=True):
    auths: dict[str, _Auth] | None = None
    credHelpers: dict[str, str] | None = None  # noqa: N815 -- as in the file
    credsStore: str = ""  # noqa: N815 -- as in the file


class _Secret(msgspec.Struct, frozen=True):
    Username: str = ""
    Secret: str = ""


class Credentials:
    """Reads docker's config.json, and asks the helper programs that it names, whenever a registry wants to know."""

    def __init__(self, environ: Mapping[str, str], home: Path) -> None:
        folder = environ.get("DOCKER_CONFIG", "")
        self._path = (Path(folder) if folder else home / ".docker") / "config.json"

    def basic(self, host: str) -> str | None:
        """The header for a host, None when nothing is stored for it."""
        config = self._read()
        helper = (config.credHelpers or {}).get(host) or config.credsStore
        if helper and (answer := _ask(helper, host)):
            return answer
        for key, auth in (config.auths or {}).items():
            if _host(key) == host:
                return _header(auth)
        return None

    def _read(self) -> _Config:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Config)
        except FileNotFoundError:
            return _Config()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _LOG.warning("cannot use %s: %s", self._path, error)
            return _Config()


def _host(key: str) -> str:
    """Keys are hosts or addresses."""
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _header(auth: _Auth) -> str | None:
    if auth.auth:
        return f"Basic {auth.auth}"
    return _basic(auth.username, auth.password) if auth.username else None


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _ask(helper: str, host: str) -> str | None:
    """Run a helper; it says nothing useful when nothing is stored."""
    program = shutil.which(f"docker-credential-{helper}")
    if program is None:
        _LOG.warning("docker-credential-%s is not on the PATH", helper)
        return None
    try:
        done = subprocess.run(
            [program, "get"], input=host.encode(), capture_output=True, timeout=_HELPER_TIMEOUT, check=False
        )
        secret = msgspec.json.decode(done.stdout, type=_Secret) if done.returncode == 0 else _Secret()
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _LOG.warning("docker-credential-%s: %s", helper, error)
        return None
    if not secret.Username or secret.Username == _TOKEN_USER:
        return None
    return _basic(secret.Username, secret.Secret)
