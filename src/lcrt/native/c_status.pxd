cdef extern from "lcrt/status.h" nogil:
    ctypedef enum lcrt_status:
        LCRT_OK
        LCRT_ERR_INVALID
        LCRT_ERR_NO_MEMORY
        LCRT_ERR_IO
        LCRT_ERR_FORMAT
        LCRT_ERR_UNSUPPORTED
        LCRT_ERR_FULL
        LCRT_ERR_TOO_LONG
        LCRT_ERR_CANCELLED
        LCRT_ERR_BACKEND
        LCRT_ERR_CLOSED
        LCRT_ERR_GRAMMAR

    const char *lcrt_status_text(lcrt_status status)
