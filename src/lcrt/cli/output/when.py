"""Times as daemons write them."""

from datetime import UTC, datetime


def unix_seconds(text: str) -> float | None:
    """Read an RFC 3339 time; None for the zero time and for what is no time."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    if when.year <= 1:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
