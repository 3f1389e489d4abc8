"""Blobs laid out under the names that they have at a client, as a converter wants them."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from lcrt.store.failure import store_error
from lcrt.store.store import Store


def lay_out(store: Store, files: Mapping[str, str], scratch: ExitStack) -> Path:
    """Link to blobs, digests by name, in a folder that is removed with ``scratch``. StoreError says why it cannot be.

    Names must be paths below a folder. Where the store's file system has no links the folder lies outside of it.
    """
    try:
        try:
            return _linked(store, files, scratch.enter_context(store.scratch.folder()))
        except PermissionError:  # as file systems say that have no links
            other = TemporaryDirectory(prefix="lcrt-convert-")
            return _linked(store, files, Path(scratch.enter_context(other)))
    except OSError as error:
        raise store_error("cannot lay out the files of the model", error) from error


def _linked(store: Store, files: Mapping[str, str], folder: Path) -> Path:
    for name, digest in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(store.blobs.path(digest).absolute())
    return folder
