/* engine-init.c -- how an engine begins and ends. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine-state.h"
#include "event.h"

#define SAMPLER_THREADS_MAX 16
#define MASK_THREADS_MAX 4

lcrt_engine_params lcrt_engine_params_default(void) {
    return (lcrt_engine_params){
        .n_slots = 1,
        .n_chunk_min = 16,
        .n_chunk = 0,
        .latency_target_ns = 100000000,
        .wake_interval_ns = 16000000,
        .n_sampler_threads = 0,
        .max_queue = 1024,
        .events_len = (size_t)4 << 20,
    };
}

int64_t lcrt_monotonic(void *data) {
    (void)data;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static lcrt_status check(const lcrt_engine_params *params, const lcrt_backend_info *info) {
    bool slots = params->n_slots >= 1 && params->n_slots <= info->n_seq_max && params->n_slots <= info->n_batch;
    bool chunks = params->n_chunk_min >= 1 && params->n_chunk >= 0 && params->latency_target_ns > 0;
    bool queue =
        params->max_queue >= 1 && params->max_queue <= 1 << 20 && (params->max_queue & (params->max_queue - 1)) == 0;
    bool events = params->events_len >= LCRT_EVENTS_LEN_MIN && (params->events_len & (params->events_len - 1)) == 0;
    bool drafts = params->n_draft >= -LCRT_DRAFT_MAX && params->n_draft <= LCRT_DRAFT_MAX;
    return slots && chunks && queue && events && drafts && params->n_sampler_threads >= 0 ? LCRT_OK : LCRT_ERR_INVALID;
}

static lcrt_status make_rings(lcrt_engine *engine) {
    /* A record of the submit ring takes 16 bytes, one of the cancel ring 24. More cancels than
     * jobs can only come for jobs that have ended. */
    size_t n_jobs = (size_t)engine->params.max_queue;
    lcrt_status status = lcrt_ring_init(n_jobs * 16 < 64 ? 64 : n_jobs * 16, &engine->submits);
    if (status == LCRT_OK) {
        status = lcrt_ring_init((n_jobs < 512 ? 512 : n_jobs) * 64, &engine->cancels);
    }
    if (status == LCRT_OK) {
        status = lcrt_ring_init(engine->params.events_len, &engine->events);
    }
    return status;
}

/* Sampler threads in all: never more than there are processors. */
static int32_t crew_size(const lcrt_engine *engine) {
    int32_t n = engine->params.n_sampler_threads;
    if (n == 0) {
        long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
        n = engine->backend.info.n_parallel;
        n = n_cpus > 0 && n > n_cpus ? (int32_t)n_cpus : n;
    }
    return n > SAMPLER_THREADS_MAX ? SAMPLER_THREADS_MAX : n;
}

/* The engine thread, and others that compute masks while the model has most processors. */
static int32_t mask_crew_size(void) {
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long n_others = n_cpus / 4;
    n_others = n_others < 1 ? 1 : n_others;
    return 1 + (n_others > MASK_THREADS_MAX ? MASK_THREADS_MAX : (int32_t)n_others);
}

static lcrt_status make_arrays(lcrt_engine *engine) {
    size_t n_slots = (size_t)engine->params.n_slots;
    engine->running = calloc(n_slots, sizeof(*engine->running));
    engine->owners = calloc(n_slots, sizeof(*engine->owners));
    engine->shares = calloc(n_slots, sizeof(*engine->shares));
    engine->sharing = calloc(n_slots, sizeof(*engine->sharing));
    engine->draws = calloc(n_slots, sizeof(*engine->draws));
    engine->masking = calloc(n_slots, sizeof(*engine->masking));
    engine->rows = calloc((size_t)engine->backend.info.n_batch, sizeof(*engine->rows));
    if (engine->running == NULL || engine->owners == NULL || engine->shares == NULL || engine->sharing == NULL ||
        engine->draws == NULL || engine->masking == NULL || engine->rows == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    lcrt_status status = lcrt_slots_init(&engine->slots, engine->params.n_slots);
    if (status == LCRT_OK) {
        status = lcrt_crew_init(crew_size(engine), &engine->crew);
    }
    return status == LCRT_OK ? lcrt_crew_init(mask_crew_size(), &engine->mask_crew) : status;
}

/* Everything but the backend, which is not the engine's before init has succeeded. */
static void release(lcrt_engine *engine) {
    lcrt_engine_tiers_free(engine);
    lcrt_engine_drafts_free(engine);
    lcrt_engine_drafter_free(engine);
    lcrt_crew_free(engine->crew);
    lcrt_crew_free(engine->mask_crew);
    lcrt_slots_free(&engine->slots);
    lcrt_ring_free(engine->submits);
    lcrt_ring_free(engine->cancels);
    lcrt_ring_free(engine->events);
    lcrt_signal_free(&engine->signal);
    lcrt_bell_free(&engine->bell);
    pthread_mutex_destroy(&engine->solo_mutex);
    free(engine->running);
    free(engine->owners);
    free(engine->shares);
    free(engine->sharing);
    free(engine->draws);
    free(engine->masking);
    free(engine->rows);
    free(engine);
}

lcrt_status lcrt_engine_open(const lcrt_backend *backend, const lcrt_engine_params *params, lcrt_clock clock,
                             void *clock_data, lcrt_engine **out) {
    lcrt_status status = check(params, &backend->info);
    if (status != LCRT_OK) {
        return status;
    }
    lcrt_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&engine->solo_mutex, NULL);
    engine->backend = *backend;
    engine->params = *params;
    engine->clock = clock;
    engine->clock_data = clock_data;
    engine->waiting.end = &engine->waiting.first;
    engine->ending.end = &engine->ending.first;
    int32_t n_min = params->n_chunk_min > backend->info.n_chunk ? params->n_chunk_min : backend->info.n_chunk;
    lcrt_pace_init(&engine->pace, params->latency_target_ns, n_min, backend->info.n_batch);
    lcrt_pace_init(&engine->small, params->latency_target_ns, params->n_chunk_min, backend->info.n_batch);
    status = lcrt_bell_init(&engine->bell);
    if (status != LCRT_OK) {
        free(engine);
        return status;
    }
    status = lcrt_signal_init(&engine->signal);
    if (status != LCRT_OK) {
        lcrt_bell_free(&engine->bell);
        free(engine);
        return status;
    }
    status = make_rings(engine);
    if (status == LCRT_OK) {
        status = make_arrays(engine);
    }
    if (status == LCRT_OK) {
        status = lcrt_engine_tiers_open(engine);
    }
    if (status == LCRT_OK) {
        status = lcrt_engine_drafts_open(engine);
    }
    if (status == LCRT_OK) {
        status = lcrt_engine_drafter_open(engine);
    }
    if (status != LCRT_OK) {
        release(engine);
        return status;
    }
    *out = engine;
    return LCRT_OK;
}

static void *engine_main(void *data) {
    lcrt_engine *engine = data;
    while (!atomic_load(&engine->stop)) {
        unsigned n_rings = lcrt_bell_count(&engine->bell);
        if (!lcrt_engine_step(engine) && !atomic_load(&engine->stop)) {
            lcrt_bell_wait(&engine->bell, n_rings);
        }
    }
    return NULL;
}

lcrt_status lcrt_engine_init(const lcrt_backend *backend, const lcrt_engine_params *params, lcrt_engine **out) {
    lcrt_engine *engine;
    lcrt_status status = lcrt_engine_open(backend, params, lcrt_monotonic, NULL, &engine);
    if (status != LCRT_OK) {
        return status;
    }
    if (pthread_create(&engine->thread, NULL, engine_main, engine) != 0) {
        release(engine);
        return LCRT_ERR_NO_MEMORY;
    }
    engine->threaded = true;
    *out = engine;
    return LCRT_OK;
}

void lcrt_engine_halt(lcrt_engine *engine) {
    if (engine->threaded) {
        atomic_store(&engine->stop, true);
        engine->backend.vtable->interrupt(engine->backend.self, true);
        lcrt_bell_ring(&engine->bell);
        pthread_join(engine->thread, NULL);
        engine->threaded = false;
    }
}

void lcrt_engine_free(lcrt_engine *engine) {
    if (engine == NULL) {
        return;
    }
    lcrt_backend backend = engine->backend, drafter = engine->drafter_backend;
    lcrt_engine_halt(engine);
    lcrt_engine_drop_jobs(engine);
    release(engine);
    backend.vtable->free(backend.self);
    if (drafter.vtable != NULL) {
        drafter.vtable->free(drafter.self);
    }
}
