"""The names that a client's files have in a request: paths below a folder that can be laid out on this machine."""

from collections.abc import Mapping

from lcrt.errors import InvalidRequest

_SHOWN = 60
_PART_MAX = 255
_MAX = 1024
"""Bytes, of a part and of the whole: what every file system takes below whatever folder it is."""


def check_files(files: Mapping[str, str]) -> None:
    """Refuse names that are no paths below a folder, or not of one, and files without a digest, as InvalidRequest."""
    folders = {name[:at] for name in files for at, letter in enumerate(name) if letter == "/"}
    for name, digest in files.items():
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise InvalidRequest("file path must be relative")
        _check_letters(name)
        if name in folders:
            raise InvalidRequest(f"file path `{_shown(name)}` is a folder of other files too")
        if not digest:
            raise InvalidRequest("invalid digest format")


def _check_letters(name: str) -> None:
    if any(ord(letter) < ord(" ") for letter in name):
        raise InvalidRequest(f"file path {_shown(name)!r} has control characters")
    try:
        lengths = [len(part.encode()) for part in name.split("/")]
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"file path {_shown(name)!r} is no text") from error
    if max(lengths) > _PART_MAX or sum(lengths) + len(lengths) > _MAX:
        raise InvalidRequest(f"file path `{_shown(name)}` is too long", f"{_PART_MAX} bytes a part, {_MAX} in all")


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
