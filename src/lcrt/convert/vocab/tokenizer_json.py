"""The file ``tokenizer.json``, as the tokenizers library writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lcrt.errors import InvalidRequest

FILE_NAME = "tokenizer.json"
_MAX = 128 << 20
_DEPTH_MAX = 8

Step = dict[str, Any]


class AddedToken(msgspec.Struct, frozen=True):
    """A token beside the trained ones."""

    id: int
    content: str
    special: bool = False


class Model(msgspec.Struct, frozen=True):
    """How words become tokens; ``vocab`` is a list in models that are not supported."""

    vocab: dict[str, int] | list[Any]
    type: str = ""
    merges: list[str | tuple[str, str]] = []
    ignore_merges: bool = False
    continuing_subword_prefix: str | None = None

    @property
    def ids(self) -> dict[str, int]:
        """The trained tokens."""
        return self.vocab if isinstance(self.vocab, dict) else {}

    @property
    def kind(self) -> str:
        """The type; files older than that key have merges only."""
        return self.type or ("BPE" if self.merges else "")


class TokenizerFile(msgspec.Struct, frozen=True):
    """All of the file that matters here."""

    model: Model
    added_tokens: list[AddedToken] = []
    normalizer: Step | None = None
    pre_tokenizer: Step | None = None
    post_processor: Step | None = None
    decoder: Step | None = None


def read_tokenizer(folder: Path) -> TokenizerFile | None:
    """Read the folder's file, None when it has none. InvalidRequest for one that is damaged."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    if path.stat().st_size > _MAX:
        raise InvalidRequest(f"`{FILE_NAME}` is larger than {_MAX >> 20} MiB")
    try:
        return msgspec.json.decode(path.read_bytes(), type=TokenizerFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"`{FILE_NAME}` cannot be read: {error}", "fetch the file again") from error


def steps(step: Step | None, members: str, depth: int = 0) -> Iterator[Step]:
    """Lay a sequence of steps out, whatever it is nested in; ``members`` is the key of its parts."""
    if step is None:
        return
    parts = step.get(members)
    if step.get("type") != "Sequence":
        yield step
        return
    if not isinstance(parts, list) or depth == _DEPTH_MAX or not all(isinstance(part, dict) for part in parts):
        raise InvalidRequest(f"`{FILE_NAME}` cannot be read: a sequence has no usable {members}")
    for part in parts:
        yield from steps(part, members, depth + 1)


def pattern(step: Step, kind: str) -> str:
    """Read a step's pattern of a kind, ``Regex`` or ``String``; empty when it has another."""
    told = step.get("pattern")
    value = told.get(kind) if isinstance(told, dict) else None
    return value if isinstance(value, str) else ""
