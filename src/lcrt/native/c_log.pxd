cdef extern from "lcrt/log.h" nogil:
    ctypedef enum lcrt_log_level:
        LCRT_LOG_DEBUG
        LCRT_LOG_INFO
        LCRT_LOG_WARN
        LCRT_LOG_ERROR

    ctypedef void (*lcrt_log_sink)(lcrt_log_level level, const char *text, void *data) noexcept

    void lcrt_log_set(lcrt_log_sink sink, lcrt_log_level min_level, void *data)
