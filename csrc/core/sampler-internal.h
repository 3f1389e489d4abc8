/* sampler-internal.h -- for the tests: a sampler with a chosen instruction set. */
#ifndef LCRT_SAMPLER_INTERNAL_H
#define LCRT_SAMPLER_INTERNAL_H

#include "lcrt/sampling.h"
#include "sampler-kernels.h"

/* As lcrt_sampler_init. LCRT_ERR_INVALID also when kernels is NULL. */
lcrt_status lcrt_sampler_init_with(const lcrt_sampling *sampling, int32_t n_vocab, const lcrt_kernels *kernels,
                                   lcrt_sampler **out);

#endif
