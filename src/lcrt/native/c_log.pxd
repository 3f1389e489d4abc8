cdef extern from "lcrt/log.h" nogil:
    ctypedef enum lcrt_log_level:
        LCRT_LOG_DEBUG
        LCRT_LOG_INFO
        LCRT_LOG_WARN
        LCRT_LOG_ERROR

    void lcrt_log_open(lcrt_log_level min_level)
    bint lcrt_log_take(lcrt_log_level *level, char *out, size_t cap)
    void lcrt_log_close()
