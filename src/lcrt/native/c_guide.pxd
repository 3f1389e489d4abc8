from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t

from lcrt.native.c_grammar cimport lcrt_grammar
from lcrt.native.c_model cimport lcrt_model
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/guide.h" nogil:
    ctypedef struct lcrt_guide:
        pass

    ctypedef enum lcrt_guide_kind:
        LCRT_GUIDE_SCHEMA
        LCRT_GUIDE_REGEX
        LCRT_GUIDE_LARK
        LCRT_GUIDE_LIST

    ctypedef struct lcrt_guide_params:
        int32_t text_max
        int32_t n_kept
        int32_t compile_ms
        int32_t lexer_states_max

    lcrt_status lcrt_guide_init(lcrt_model *model, const char *library, const lcrt_guide_params *params,
                                lcrt_guide **out, char *err, size_t err_cap)
    void lcrt_guide_free(lcrt_guide *guide)
    lcrt_status lcrt_guide_compile(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len,
                                   lcrt_grammar *out, char *err, size_t err_cap)

    lcrt_status lcrt_guide_check(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len, char *err,
                                 size_t err_cap)

    ctypedef struct lcrt_guide_stats:
        int64_t n_compiled
        int64_t n_copied
        int32_t n_kept

    void lcrt_guide_stats_get(lcrt_guide *guide, lcrt_guide_stats *out)
