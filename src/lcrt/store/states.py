"""Files of what prompts computed: which folder is a model's, and the end of it.

Runners make, fill and empty the folders; nothing here reads a file. What is named after the digest of
weights goes when these go.
"""

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lcrt.store.digest import digest_of_file_name, hex_part

_LOG = logging.getLogger("lcrt.store")
_DIGEST_LEN = 40
_ADAPTERS_LEN = 16


def folder_name(weights: str, adapters: Sequence[tuple[str, float]] = ()) -> str:
    """Name the folder of a model with its own adapters and their scales.

    By digests where the files are blobs, else by path, size and time.
    """
    name = _identity(weights)[:_DIGEST_LEN]
    if adapters:
        joined = "\n".join(f"{_identity(path)} {scale!r}" for path, scale in adapters)
        name += "-" + hashlib.sha256(joined.encode()).hexdigest()[:_ADAPTERS_LEN]
    return name


def _identity(path: str) -> str:
    digest = digest_of_file_name(Path(path).name)
    if digest is not None:
        return hex_part(digest)
    facts = f"{os.path.realpath(path)}\n"
    with contextlib.suppress(OSError):
        status = Path(path).stat()
        facts += f"{status.st_size}\n{status.st_mtime_ns}"
    return hashlib.sha256(facts.encode()).hexdigest()


class States:
    """All models' folders below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def forget(self, digest: str) -> None:
        """Delete what was computed with these weights. A runner that still has them writes no more."""
        wanted = hex_part(digest)[:_DIGEST_LEN]
        try:
            folders = [path for path in self._directory.iterdir() if path.name.partition("-")[0] == wanted]
        except OSError:
            return
        for folder in folders:
            shutil.rmtree(folder, onerror=_warn)

    def forget_folder(self, name: str) -> None:
        """Delete one folder, named by ``folder_name``."""
        folder = self._directory / name
        if folder.is_dir():
            shutil.rmtree(folder, onerror=_warn)


def _warn(_: object, path: str, error: object) -> None:
    _LOG.warning("cannot delete `%s`: %s", path, error)
