/* engine-calls.c -- the public functions of a running engine, in its callers' threads. */
#include <stdlib.h>

#include "engine-state.h"
#include "event.h"

lcrt_status lcrt_engine_submit(lcrt_engine *engine, const lcrt_job *job) {
    if (atomic_load(&engine->n_queued) >= engine->params.max_queue) {
        return LCRT_ERR_FULL;
    }
    lcrt_sequence *sequence;
    lcrt_status status = lcrt_sequence_init(job, &engine->backend.info, &sequence);
    if (status != LCRT_OK) {
        return status;
    }
    status = lcrt_guided_reserve(&sequence->guided, engine->lookup != NULL ? abs(engine->params.n_draft) : 0);
    lcrt_sequence **record = status == LCRT_OK ? lcrt_ring_reserve(engine->submits, sizeof(*record)) : NULL;
    if (record == NULL) {
        lcrt_sequence_free(sequence);
        return status != LCRT_OK ? status : LCRT_ERR_FULL;
    }
    sequence->guided.grammar = job->grammar;
    sequence->serial = ++engine->n_submitted;
    sequence->submit_ns = lcrt_engine_now(engine);
    *record = sequence;
    atomic_fetch_add(&engine->n_queued, 1);
    lcrt_ring_commit(engine->submits, sizeof(*record));
    lcrt_bell_ring(&engine->bell);
    return LCRT_OK;
}

lcrt_status lcrt_engine_cancel(lcrt_engine *engine, uint64_t id) {
    lcrt_cancel *record = lcrt_ring_reserve(engine->cancels, sizeof(*record));
    if (record == NULL) {
        return LCRT_ERR_FULL;
    }
    *record = (lcrt_cancel){.id = id, .n_submitted = engine->n_submitted};
    lcrt_ring_commit(engine->cancels, sizeof(*record));
    lcrt_bell_ring(&engine->bell);
    pthread_mutex_lock(&engine->solo_mutex);
    if (engine->solo && engine->solo_id == id) {
        engine->backend.vtable->interrupt(engine->backend.self, true);
    }
    pthread_mutex_unlock(&engine->solo_mutex);
    return LCRT_OK;
}

int32_t lcrt_engine_events(lcrt_engine *engine, lcrt_event *out, int32_t max) {
    lcrt_signal_clear(&engine->signal);
    int32_t n = 0;
    size_t len;
    const void *record;
    while (n < max && (record = lcrt_ring_next(engine->events, &len)) != NULL) {
        lcrt_event_read(record, &out[n++]);
    }
    if (!lcrt_ring_empty(engine->events)) {
        lcrt_signal_set(&engine->signal);
    }
    return n;
}

void lcrt_engine_release(lcrt_engine *engine) {
    lcrt_ring_release(engine->events);
    if (atomic_load(&engine->wants_room) && atomic_exchange(&engine->wants_room, false)) {
        lcrt_bell_ring(&engine->bell);
    }
}

int lcrt_engine_fd(const lcrt_engine *engine) {
    return engine->signal.fd_read;
}

bool lcrt_engine_wait(lcrt_engine *engine, int64_t timeout_ns) {
    int64_t end_ns = timeout_ns < 0 ? 0 : lcrt_monotonic(NULL) + timeout_ns;
    while (lcrt_ring_empty(engine->events)) {
        int64_t left_ns = timeout_ns < 0 ? -1 : end_ns - lcrt_monotonic(NULL);
        if (timeout_ns >= 0 && left_ns <= 0) {
            return false;
        }
        if (lcrt_signal_wait(&engine->signal, left_ns) && lcrt_ring_empty(engine->events)) {
            lcrt_signal_clear(&engine->signal);
        }
    }
    return true;
}

void lcrt_engine_stats_get(const lcrt_engine *engine, lcrt_engine_stats *out) {
    const lcrt_engine_counters *counters = &engine->counters;
    *out = (lcrt_engine_stats){
        .n_running = (int32_t)atomic_load_explicit(&counters->n_running, memory_order_relaxed),
        .n_waiting = atomic_load_explicit(&engine->n_queued, memory_order_relaxed),
        .n_steps = atomic_load_explicit(&counters->n_steps, memory_order_relaxed),
        .n_rows = atomic_load_explicit(&counters->n_rows, memory_order_relaxed),
        .n_prefill_rows = atomic_load_explicit(&counters->n_prefill_rows, memory_order_relaxed),
        .decode_ns = atomic_load_explicit(&counters->decode_ns, memory_order_relaxed),
        .sample_ns = atomic_load_explicit(&counters->sample_ns, memory_order_relaxed),
        .step_ns = atomic_load_explicit(&counters->step_ns, memory_order_relaxed),
        .n_moves = atomic_load_explicit(&counters->n_moves, memory_order_relaxed),
        .n_prompt = atomic_load_explicit(&counters->n_prompt, memory_order_relaxed),
        .n_cached = atomic_load_explicit(&counters->n_cached, memory_order_relaxed),
        .n_taken = atomic_load_explicit(&counters->n_taken, memory_order_relaxed),
        .n_shared = atomic_load_explicit(&counters->n_shared, memory_order_relaxed),
        .n_joined = atomic_load_explicit(&counters->n_joined, memory_order_relaxed),
        .n_masks = atomic_load_explicit(&counters->n_masks, memory_order_relaxed),
        .n_mask_waits = atomic_load_explicit(&counters->n_mask_waits, memory_order_relaxed),
        .mask_ns = atomic_load_explicit(&counters->mask_ns, memory_order_relaxed),
        .mask_wait_ns = atomic_load_explicit(&counters->mask_wait_ns, memory_order_relaxed),
        .n_forced = atomic_load_explicit(&counters->n_forced, memory_order_relaxed),
        .n_drafted = atomic_load_explicit(&counters->n_drafted, memory_order_relaxed),
        .n_accepted = atomic_load_explicit(&counters->n_accepted, memory_order_relaxed),
    };
}
