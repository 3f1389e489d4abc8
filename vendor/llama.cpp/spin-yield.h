/* spin-yield.h -- compute threads that wait for each other let others have the processor.
 *
 * Included by force before ggml's ggml-cpu.c. Its barriers spin, for as long as another
 * thread of the pool has not arrived. When that one is pushed aside by another process,
 * the spinning keeps busy the processor it could run on: two threads on two processors
 * beside two busy processes came from 240 tokens a second to less than one. A spin that
 * lasts gives the processor away about every 2^20 ticks of the time stamp counter, a
 * third to half of a millisecond; those of a quiet machine end long before. */
#ifndef LCRT_SPIN_YIELD_H
#define LCRT_SPIN_YIELD_H

#if defined(__x86_64__) && !defined(_WIN32)

#include <immintrin.h>
#include <sched.h>

/* Keeps no count, so that threads share nothing and need no memory of their own: the counter
 * itself says when. The window is wider than what one turn of the loop takes. */
static inline void lcrt_spin_pause(void) {
    if ((__builtin_ia32_rdtsc() & ((1u << 20) - 1)) < 256) {
        (void)sched_yield();
    } else {
        __builtin_ia32_pause();
    }
}

#define _mm_pause() lcrt_spin_pause()

#endif

#endif
