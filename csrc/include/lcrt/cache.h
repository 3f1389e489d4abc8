/* cache.h -- where the content of sequences goes that the backend has no room for.
 *
 * Three tiers: the backend's own memory, host memory, files. What an idle sequence holds goes to host memory
 * when its place is wanted; what host memory has no room for, and all there is when the engine stores, goes
 * to files. A job begins with the most that any of them has of its prompt. */
#ifndef LCRT_CACHE_H
#define LCRT_CACHE_H

#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Part of an engine's parameters; the texts are read by init only. */
typedef struct lcrt_cache_params {
    int64_t ram_len;     /* bytes in host memory; 0: none */
    int64_t disk_len;    /* bytes of files of all models; 0: none */
    const char *dir;     /* their folder, made with mode 0700; it must be the user's own */
    const char *version; /* what files depend on: this program and its backend ... */
    const char *model;   /* ... weights and adapters, also the name of a folder in dir ... */
    const char *setup;   /* ... types and sizes of the backend's cache */
} lcrt_cache_params;

/* Jobs that found the beginning of their prompt in a tier, and its tokens. */
typedef struct lcrt_cache_hits {
    int64_t n_jobs, n_tokens;
} lcrt_cache_hits;

typedef struct lcrt_cache_stats {
    lcrt_cache_hits device, host, disk;
    int64_t n_checkpoints;   /* taken, where a sequence cannot be cut at any length */
    int64_t ram_len;         /* bytes of stored states in host memory */
    int64_t disk_len;        /* of this model's known files */
    lcrt_status disk_status; /* why no files are written although they are asked for */
} lcrt_cache_stats;

struct lcrt_engine;

/* Any thread. */
void lcrt_engine_cache_stats_get(const struct lcrt_engine *engine, lcrt_cache_stats *out);

/* Stops the engine and writes what its sequences hold to files, the most valuable first, for about timeout_ns.
 * Returns how many states were written, and in *n_left how many had no time. No other thread may use the
 * engine meanwhile; after this only free, and what only reads. */
int32_t lcrt_engine_store(struct lcrt_engine *engine, int64_t timeout_ns, int32_t *n_left);

#ifdef __cplusplus
}
#endif
#endif
