"""What goes wrong on the network, as far as callers treat it differently."""

from lcrt.errors import LcrtError


class Transient(LcrtError):
    """Worth another try. ``retry_after`` is how long the server asks to wait, in seconds."""

    def __init__(self, message: str, hint: str | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class Refused(LcrtError):
    """An answer that another try would not change."""

    def __init__(self, message: str, status: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class RangeIgnored(LcrtError):
    """The server sends the whole when it is asked for a part."""
