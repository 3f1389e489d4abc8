"""Errors as values and back, for crossing a process."""

from lcrt import errors
from lcrt.core.event import Failure
from lcrt.errors import LcrtError


def failure_of(error: LcrtError) -> Failure:
    """The value that names this error; a hint becomes the second line of the message."""
    return Failure(type(error).__name__, str(error))


def error_of(failure: Failure) -> LcrtError:
    """The exception that a failure names; an unknown kind is an ``EngineError``."""
    kind = getattr(errors, failure.kind, None)
    if isinstance(kind, type) and issubclass(kind, LcrtError):
        return kind(failure.message)
    return errors.EngineError(failure.message)
