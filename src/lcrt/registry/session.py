"""An upload under way: where it goes on, and what the registry has taken so far."""

import hashlib
from pathlib import Path

import msgspec

_READ_SIZE = 1 << 20


class Piece(msgspec.Struct, frozen=True):
    """Bytes that the registry took in one request: from where the piece before ends, to ``end``; MD5 in hex."""

    end: int
    md5: str


class Session(msgspec.Struct, frozen=True):
    """``url`` is where the next request goes."""

    url: str
    pieces: tuple[Piece, ...] = ()

    @property
    def completed(self) -> int:
        """Bytes that the registry has."""
        return self.pieces[-1].end if self.pieces else 0

    @property
    def etag(self) -> str:
        """What Ollama's registry wants at the end: the sum of the pieces' sums, and how many there were."""
        sums = b"".join(bytes.fromhex(piece.md5) for piece in self.pieces)
        return f"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(self.pieces)}"

    def after(self, end: int, md5: str, url: str) -> "Session":
        """Add a piece."""
        return Session(url, (*self.pieces, Piece(end, md5)))

    def at(self, end: int, url: str, path: Path) -> "Session":
        """Agree with a registry that has another number of bytes than we know of."""
        pieces = tuple(piece for piece in self.pieces if piece.end <= end)
        start = pieces[-1].end if pieces else 0
        return Session(url, (*pieces, Piece(end, _md5(path, start, end))) if start < end else pieces)


def parse_session(data: bytes) -> Session | None:
    """Read a session that was written down; None when it is none."""
    try:
        session = msgspec.json.decode(data, type=Session)
        ends = [0, *(piece.end for piece in session.pieces)]
        _ = session.etag
    except (msgspec.MsgspecError, ValueError):
        return None
    return session if ends == sorted(set(ends)) else None


def _md5(path: Path, start: int, end: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        file.seek(start)
        while data := file.read(min(_READ_SIZE, end - start)):
            digest.update(data)
            start += len(data)
    return digest.hexdigest()
