#include "engine-state.h"
#include "event.h"

int64_t lcrt_engine_now(const lcrt_engine *engine) {
    return engine->clock(engine->clock_data);
}

static void queue_put(lcrt_queue *queue, lcrt_sequence *sequence) {
    sequence->next = NULL;
    *queue->end = sequence;
    queue->end = &sequence->next;
}

/* Puts a job before all those that were submitted later. */
static void queue_put_back(lcrt_queue *queue, lcrt_sequence *sequence) {
    lcrt_sequence **at = &queue->first;
    while (*at != NULL && (*at)->serial < sequence->serial) {
        at = &(*at)->next;
    }
    sequence->next = *at;
    *at = sequence;
    if (sequence->next == NULL) {
        queue->end = &sequence->next;
    }
}

/* Takes out the job that at points to. */
static lcrt_sequence *queue_take(lcrt_queue *queue, lcrt_sequence **at) {
    lcrt_sequence *sequence = *at;
    *at = sequence->next;
    if (*at == NULL) {
        queue->end = at;
    }
    sequence->next = NULL;
    return sequence;
}

static void take_submits(lcrt_engine *engine) {
    size_t len;
    lcrt_sequence *const *record;
    while ((record = lcrt_ring_next(engine->submits, &len)) != NULL) {
        lcrt_sequence *sequence = *record;
        engine->n_taken = sequence->serial;
        if (sequence->max_tokens == 0) {
            atomic_fetch_sub(&engine->n_queued, 1);
            lcrt_sequence_finish(sequence, LCRT_FINISH_LENGTH, LCRT_OK, lcrt_engine_now(engine));
            queue_put(&engine->ending, sequence);
        } else {
            queue_put(&engine->waiting, sequence);
        }
    }
    lcrt_ring_release(engine->submits);
}

/* A job of the same id that was submitted after the cancel is another one. */
static bool is_meant(const lcrt_sequence *sequence, const lcrt_cancel *wanted) {
    return sequence->id == wanted->id && sequence->serial <= wanted->n_submitted;
}

static void cancel(lcrt_engine *engine, const lcrt_cancel *wanted) {
    for (int32_t i = 0; i < engine->n_running; i++) {
        lcrt_sequence *sequence = engine->running[i];
        if (is_meant(sequence, wanted)) {
            lcrt_sequence_finish(sequence, LCRT_FINISH_CANCEL, LCRT_OK, lcrt_engine_now(engine));
            lcrt_engine_retire(engine, sequence);
            return;
        }
    }
    for (lcrt_sequence **at = &engine->waiting.first; *at != NULL; at = &(*at)->next) {
        if (is_meant(*at, wanted)) {
            lcrt_sequence *sequence = queue_take(&engine->waiting, at);
            atomic_fetch_sub(&engine->n_queued, 1);
            lcrt_sequence_finish(sequence, LCRT_FINISH_CANCEL, LCRT_OK, lcrt_engine_now(engine));
            queue_put(&engine->ending, sequence);
            return;
        }
    }
}

void lcrt_engine_take_commands(lcrt_engine *engine) {
    size_t len;
    const lcrt_cancel *record;
    take_submits(engine);
    while ((record = lcrt_ring_next(engine->cancels, &len)) != NULL) {
        lcrt_cancel wanted = *record;
        if (wanted.n_submitted > engine->n_taken) {
            take_submits(engine);
        }
        cancel(engine, &wanted);
    }
    lcrt_ring_release(engine->cancels);
}

/* False when the rest of its output has to wait. The second try is for room that was made
 * before the reader could see that it is wanted. */
static bool write_one(lcrt_engine *engine, lcrt_sequence *sequence, int32_t *n_written) {
    engine->urgent = engine->urgent || sequence->start_due || sequence->finish_due;
    bool done = lcrt_event_write(sequence, engine->events, n_written);
    if (!done) {
        atomic_store(&engine->wants_room, true);
        done = lcrt_event_write(sequence, engine->events, n_written);
    }
    sequence->blocked = !done;
    return done;
}

int32_t lcrt_engine_write_events(lcrt_engine *engine) {
    int32_t n_written = 0;
    for (int32_t i = 0; i < engine->n_running; i++) {
        write_one(engine, engine->running[i], &n_written);
    }
    /* Those that once had a slot and wait for another are the oldest. */
    for (lcrt_sequence *at = engine->waiting.first; at != NULL && at->row_ns != 0; at = at->next) {
        write_one(engine, at, &n_written);
    }
    lcrt_sequence **at = &engine->ending.first;
    while (*at != NULL) {
        if (write_one(engine, *at, &n_written)) {
            lcrt_sequence_free(queue_take(&engine->ending, at));
        } else {
            at = &(*at)->next;
        }
    }
    return n_written;
}

/* Takes a job out of the running ones and its slot away. */
static void leave(lcrt_engine *engine, lcrt_sequence *sequence) {
    int32_t n = 0;
    for (int32_t i = 0; i < engine->n_running; i++) {
        if (engine->running[i] != sequence) {
            engine->running[n++] = engine->running[i];
        }
    }
    engine->n_running = n;
    engine->owners[sequence->slot] = NULL;
    bool closed = engine->slots.slots[sequence->slot].closed;
    lcrt_slots_release(&engine->slots, sequence->slot, lcrt_engine_now(engine));
    if (closed) {
        (void)lcrt_engine_drop(engine, sequence->slot);
    }
    sequence->slot = -1;
    sequence->leader = 0;
    sequence->n_rows = 0;
}

void lcrt_engine_retire(lcrt_engine *engine, lcrt_sequence *sequence) {
    leave(engine, sequence);
    engine->admission_held = false;
    queue_put(&engine->ending, sequence);
}

void lcrt_engine_fail(lcrt_engine *engine, lcrt_sequence *sequence, lcrt_status status) {
    int32_t slot = sequence->slot;
    lcrt_sequence_finish(sequence, LCRT_FINISH_ERROR, status, lcrt_engine_now(engine));
    lcrt_engine_retire(engine, sequence);
    (void)lcrt_engine_drop(engine, slot);
}

void lcrt_engine_preempt(lcrt_engine *engine, lcrt_sequence *sequence) {
    leave(engine, sequence);
    engine->admission_held = true;
    atomic_fetch_add(&engine->n_queued, 1);
    queue_put_back(&engine->waiting, sequence);
}

static void drop_queue(lcrt_queue *queue) {
    while (queue->first != NULL) {
        lcrt_sequence_free(queue_take(queue, &queue->first));
    }
}

void lcrt_engine_drop_jobs(lcrt_engine *engine) {
    take_submits(engine);
    for (int32_t i = 0; i < engine->n_running; i++) {
        lcrt_sequence_free(engine->running[i]);
    }
    engine->n_running = 0;
    drop_queue(&engine->waiting);
    drop_queue(&engine->ending);
}
