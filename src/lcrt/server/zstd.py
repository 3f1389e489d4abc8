"""Request bodies that clients have compressed with Zstandard."""

import zstandard

from lcrt.errors import InvalidRequest

WINDOW_MAX = 8 << 20
"""Bytes of memory that one body may make the decoder take."""

BODY_MAX = 20 << 20
"""Bytes that a body may come out as."""


def unpack(data: bytes) -> bytes:
    """Decompress a body; InvalidRequest for what is damaged or grows too large."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).stream_reader(data) as reader:
            body = reader.read(BODY_MAX + 1)
    except zstandard.ZstdError as error:
        raise InvalidRequest("failed to decompress zstd body") from error
    if len(body) > BODY_MAX:
        raise InvalidRequest("failed to decompress zstd body")
    return body
