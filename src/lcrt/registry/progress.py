"""What a pull or a push says of itself."""

from lcrt.task.progress import Progress

__all__ = ["Progress", "short_digest"]

_SHOWN_DIGITS = 12


def short_digest(digest: str) -> str:
    """The digits of a digest that people are shown."""
    return digest.partition(":")[2][:_SHOWN_DIGITS]
