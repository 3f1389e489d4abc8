from libc.stddef cimport size_t

from lcrt.native.c_model cimport lcrt_model
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/draft.h" nogil:
    lcrt_status lcrt_draft_check(const lcrt_model *model, const lcrt_model *draft, char *err, size_t err_cap)
