"""What an operating system error means for a store, and what to do about it."""

import errno

from lcrt.errors import StoreError

_ROOM = "make room on that disk, or let LCRT_MODELS name a folder on another one"
_RIGHTS = "give this user the right to write there, or let LCRT_MODELS name another folder"
_LOOK = "look at that folder: LCRT_MODELS says where models are, `lcrt store check` whether they are whole"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "the file system or a limit of this process allows no file of that size: see `ulimit -f`",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "mount it writable, or let LCRT_MODELS name another folder",
    errno.EIO: "the disk may be failing: check it, then run `lcrt store check`",
    errno.EMFILE: "raise the limit on open files: see `ulimit -n`",
}


def store_error(what: str, error: OSError) -> StoreError:
    """Say what could not be done, why, and what to do next."""
    return StoreError(f"{what}: {error.strerror or error}", _HINTS.get(error.errno or 0, _LOOK))
