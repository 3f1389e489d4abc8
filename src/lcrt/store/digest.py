"""Digests: ``sha256:`` and 64 hex digits, in lower case."""

import hashlib
import re

from lcrt.errors import InvalidRequest

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_PREFIX = "sha256:"


def parse_digest(text: str) -> str:
    """Read a digest, with ``:`` or ``-``; InvalidRequest when it is none."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise InvalidRequest("invalid digest format")
    return _PREFIX + match[1].lower()


def digest_of(data: bytes) -> str:
    """Compute the digest of bytes in memory."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def file_name(digest: str) -> str:
    """Name the blob's file."""
    return digest.replace(":", "-", 1)


def digest_of_file_name(name: str) -> str | None:
    """Read the digest from a blob's file name, None when the file is no blob."""
    digest = name.replace("-", ":", 1)
    return digest if _DIGEST.fullmatch(digest) and digest == digest.lower() else None


def hex_part(digest: str) -> str:
    """Cut the prefix off."""
    return digest.removeprefix(_PREFIX)
