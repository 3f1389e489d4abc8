from libc.stdint cimport int32_t, uint32_t, uint64_t

from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/sampling.h" nogil:
    ctypedef struct lcrt_logit_bias:
        int32_t token
        float bias

    ctypedef struct lcrt_sampling:
        uint64_t seed
        float temperature
        int32_t top_k
        float top_p
        float min_p
        float typical_p
        float repeat_penalty
        float frequency_penalty
        float presence_penalty
        int32_t repeat_last_n
        int32_t n_bias
        const lcrt_logit_bias *bias

    ctypedef struct lcrt_candidate:
        int32_t token
        float p

    ctypedef struct lcrt_sampler:
        pass

    lcrt_sampling lcrt_sampling_default()
    lcrt_status lcrt_sampler_init(const lcrt_sampling *sampling, int32_t n_vocab, lcrt_sampler **out)
    void lcrt_sampler_free(lcrt_sampler *sampler)
    void lcrt_sampler_accept(lcrt_sampler *sampler, int32_t token)
    int32_t lcrt_sampler_sample(lcrt_sampler *sampler, const float *logits, const uint32_t *mask)
    int32_t lcrt_sampler_candidates(lcrt_sampler *sampler, const float *logits, const uint32_t *mask,
                                    lcrt_candidate *out, int32_t cap)
