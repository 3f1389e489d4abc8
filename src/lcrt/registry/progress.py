"""What a pull or a push says of itself."""

import msgspec

_SHOWN_DIGITS = 12


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step; bytes ``completed`` of ``total`` where there is something to count."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


def short_digest(digest: str) -> str:
    """The digits of a digest that people are shown."""
    return digest.partition(":")[2][:_SHOWN_DIGITS]
