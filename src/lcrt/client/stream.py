"""Lines and server-sent events out of bytes that arrive in any pieces."""

from collections.abc import Iterator

from lcrt.errors import LcrtError

_LINE_MAX = 64 * 2**20
SSE_DONE = b"[DONE]"


class Lines:
    """Cuts a stream of bytes into lines without their ends; blank lines are left out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes."""
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        if len(self._rest) > _LINE_MAX:
            raise LcrtError(f"the server sent a line of more than {_LINE_MAX} bytes")
        return [line for line in data[:end].splitlines() if line]

    def end(self) -> Iterator[bytes]:
        """Give the last line when the stream ended without a line end."""
        rest, self._rest = self._rest.strip(), b""
        if rest:
            yield rest


def sse_data(line: bytes) -> bytes | None:
    """Return the payload of a ``data:`` line of a server-sent event, None for any other line."""
    return line[5:].lstrip() if line.startswith(b"data:") else None
