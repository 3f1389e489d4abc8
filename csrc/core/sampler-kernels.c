/* sampler-kernels.c -- which instruction set this machine has. */
#include "sampler-kernels.h"

#include <stddef.h>

const lcrt_kernels *lcrt_kernels_get(lcrt_simd simd) {
    switch (simd) {
    case LCRT_SIMD_NONE:
        return &lcrt_kernels_scalar;
#if defined(__x86_64__)
    case LCRT_SIMD_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &lcrt_kernels_avx2 : NULL;
    case LCRT_SIMD_AVX512: {
        int has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
        return has ? &lcrt_kernels_avx512 : NULL;
    }
#endif
    default:
        return NULL;
    }
}

const lcrt_kernels *lcrt_kernels_best(void) {
    for (int simd = LCRT_N_SIMD - 1; simd > LCRT_SIMD_NONE; simd--) {
        const lcrt_kernels *kernels = lcrt_kernels_get((lcrt_simd)simd);
        if (kernels != NULL) {
            return kernels;
        }
    }
    return &lcrt_kernels_scalar;
}
