"""What models were made of that came from elsewhere, so that the same need not be fetched and made again.

For each manifest there is a file, named after the digest of its bytes, with a sum of what it was made of. Whoever
changes a model makes another manifest, of which nothing is known. All of them may be deleted at any time.
"""

import contextlib
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from lcrt.store.digest import digest_of, hex_part

_LOG = logging.getLogger("lcrt.store")
_DIR_MODE = 0o755
_SUM = re.compile(rb"([0-9a-f]{64})\n")


class Origins:
    """The sums of a store's models."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, manifest: bytes) -> str:
        """Read what a model was made of; empty when it is not known, or the file was cut short by a crash."""
        try:
            found = _SUM.fullmatch(self._path(manifest).read_bytes())
        except OSError:
            return ""
        return found[1].decode() if found else ""

    def put(self, manifest: bytes, made_of: str) -> None:
        """Note what a model was made of, 64 digits. Where that is not possible it is made again one day."""
        try:
            self._directory.mkdir(mode=_DIR_MODE, parents=True, exist_ok=True)
            self._path(manifest).write_bytes(made_of.encode() + b"\n")
        except OSError as error:
            _LOG.debug("cannot note what a model was made of: %s", error.strerror)

    def keep(self, manifests: Iterable[bytes]) -> None:
        """Drop what was noted of any other model."""
        kept = {self._path(manifest) for manifest in manifests}
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            if path not in kept:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _path(self, manifest: bytes) -> Path:
        return self._directory / hex_part(digest_of(manifest))
