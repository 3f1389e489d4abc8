"""The one place where a status of the C engine becomes an exception."""

from lcrt import errors
from lcrt.native cimport c_status as c

_KINDS = {
    c.LCRT_ERR_INVALID: errors.InvalidRequest,
    c.LCRT_ERR_NO_MEMORY: errors.OutOfMemory,
    c.LCRT_ERR_IO: errors.LoadError,
    c.LCRT_ERR_FORMAT: errors.ModelFormatError,
    c.LCRT_ERR_UNSUPPORTED: errors.UnsupportedModel,
    c.LCRT_ERR_FULL: errors.BusyError,
    c.LCRT_ERR_TOO_LONG: errors.InvalidRequest,
    c.LCRT_ERR_CANCELLED: errors.Cancelled,
    c.LCRT_ERR_BACKEND: errors.DecodeError,
    c.LCRT_ERR_CLOSED: errors.ClosedError,
    c.LCRT_ERR_GRAMMAR: errors.InvalidGrammar,
}


cdef int check(c.lcrt_status status, const char *message) except -1:
    """Raise for anything but LCRT_OK. An empty or NULL message is replaced by the status's own text."""
    if status == c.LCRT_OK:
        return 0
    cdef const char *text = message if message != NULL and message[0] != 0 else c.lcrt_status_text(status)
    raise _KINDS.get(status, errors.EngineError)((<bytes>text).decode("utf-8", "replace"))
