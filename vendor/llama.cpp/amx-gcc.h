/* amx-gcc.h -- AMX tile intrinsics that tell the compiler which memory they read.
 *
 * Included by force before ggml's amx/mmq.cpp. GCC's own versions name 8 bytes
 * of the tile configuration, or none of a tile, as read; the stores that fill
 * the rest are then removed as dead, and the first forward pass on a CPU with
 * AMX ends with an invalid instruction. */
#ifndef LCRT_AMX_GCC_H
#define LCRT_AMX_GCC_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__AMX_TILE__)

#include <immintrin.h>

static inline void lcrt_tile_loadconfig(const void *config) {
    __asm__ volatile("ldtilecfg\t%0" : : "m"(*(const char (*)[64])config));
}

#undef _tile_loadconfig
#define _tile_loadconfig lcrt_tile_loadconfig

#undef _tile_loadd
#define _tile_loadd(tile, base, stride) LCRT_TILE_LOADD(tile, base, stride)
#define LCRT_TILE_LOADD(tile, base, stride) \
    __asm__ volatile("tileloadd\t(%0,%1,1), %%tmm" #tile : : "r"((const void *)(base)), "r"((long)(stride)) : "memory")

#endif
#endif
