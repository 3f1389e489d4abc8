from lcrt.native.c_status cimport lcrt_status


cdef int check(lcrt_status status, const char *message) except -1
