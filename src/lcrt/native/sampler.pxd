from lcrt.native.c_sampling cimport lcrt_logit_bias, lcrt_sampling


cdef class SamplingArgument:
    cdef lcrt_sampling c
    cdef lcrt_logit_bias *_bias
    cdef int set_bias(self, tuple biases) except -1
