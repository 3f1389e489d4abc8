"""How a blob is cut for an upload."""

import msgspec

from lcrt.core.name import DEFAULT_HOST


class Rule(msgspec.Struct, frozen=True):
    """How blobs are cut into chunks: ``n`` of them, but none smaller or, if possible, larger than the limits."""

    n: int
    min: int
    max: int


_OLLAMAS = Rule(16, 100_000_000, 1_000_000_000)
_OTHERS = Rule(64, 16 << 20, 64 << 20)


class Chunk(msgspec.Struct, frozen=True):
    """Bytes ``start`` up to, without, ``end``."""

    start: int
    end: int


def chunks(size: int, step: int) -> list[Chunk]:
    """Cut a blob; an empty one has no chunks."""
    return [Chunk(start, min(start + step, size)) for start in range(0, size, step)]


def chunk_size(size: int, host: str) -> int:
    """Choose what Ollama's registry expects from its own client, else what is soon sent."""
    rule = _OLLAMAS if host == DEFAULT_HOST else _OTHERS
    return min(max(size // rule.n, rule.min), rule.max)
