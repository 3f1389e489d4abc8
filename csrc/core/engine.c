/* engine.c -- one step: take commands, give slots, compose, decode, sample, advance, wake. */
#include "average.h"
#include "engine-state.h"

/* Sampling is worth other threads from this many rows and this much time on. */
#define CREW_ROWS_MIN 4
#define CREW_NS_MIN 100000
/* How fast a measurement moves what sampling is known to cost. */
#define LEARN_DRAW 0.2

static void add(atomic_int_fast64_t *counter, int64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Who wants rows, the oldest first; returns how many rows they want in all. */
static int32_t collect_shares(lcrt_engine *engine) {
    int64_t n_wanted = 0;
    engine->n_shares = engine->n_streams = 0;
    for (int32_t i = 0; i < engine->n_running; i++) {
        lcrt_sequence *sequence = engine->running[i];
        sequence->n_rows = 0;
        bool waits = sequence->blocked || !lcrt_engine_in_turn(engine, sequence);
        int32_t n_rows = waits ? 0 : lcrt_engine_wanted(engine, sequence);
        if (n_rows == 0) {
            continue;
        }
        lcrt_share *share = &engine->shares[engine->n_shares];
        share->decoding = lcrt_engine_decoding(engine, sequence);
        share->n_wanted = n_rows;
        engine->sharing[engine->n_shares++] = sequence;
        engine->n_streams += share->decoding;
        n_wanted += share->n_wanted;
    }
    lcrt_engine_level_streams(engine);
    n_wanted += lcrt_engine_plan_drafts(engine);
    int32_t n_batch = engine->backend.info.n_batch;
    return n_wanted < n_batch ? (int32_t)n_wanted : n_batch;
}

/* The rows of one sequence: the next n_rows tokens that its slot does not hold, then its draft. */
static void put_rows(lcrt_engine *engine, const lcrt_sequence *sequence) {
    int32_t n_held = lcrt_engine_held(engine, sequence);
    int32_t id = engine->slots.slots[sequence->slot].id;
    for (int32_t i = 0; i < sequence->n_rows; i++) {
        int32_t pos = n_held + i;
        int32_t n_beyond = pos - sequence->n_tokens; /* from 0 on: a place in the draft */
        engine->rows[engine->n_rows++] = (lcrt_row){
            .token = n_beyond < 0 ? sequence->tokens[pos] : sequence->draft.tokens[n_beyond],
            .pos = pos,
            .seq = id,
            .output = n_beyond >= -1,
        };
    }
}

/* Prompt rows beside the streams: as many as make a pass worth it, unless that is too long for those who wait. Then
 * fewer, as small passes have taught. */
static int32_t chunk_beside(const lcrt_engine *engine) {
    if (engine->params.n_chunk > 0) {
        return engine->params.n_chunk;
    }
    int32_t n = lcrt_pace_chunk(&engine->pace, engine->n_streams);
    if (n > engine->pace.n_min || !lcrt_pace_least_is_long(&engine->pace, engine->n_streams)) {
        return n;
    }
    int32_t n_small = lcrt_pace_below(&engine->small, engine->n_streams, n);
    return n_small > engine->params.n_chunk_min ? n_small : engine->params.n_chunk_min;
}

/* Gives rows. Where a pass wants as many rows of each sequence, streams and prompts take
 * turns: together they would need two passes too, and cut the chunk in pieces. */
static void divide(lcrt_engine *engine, int32_t n_prompt_max) {
    const lcrt_backend_info *info = &engine->backend.info;
    int32_t n_chunk = engine->params.n_chunk, n_beside = chunk_beside(engine);
    const lcrt_pace *several = info->n_chunk > 0 ? &engine->small : &engine->pace;
    lcrt_batch_limits limits = {
        .n_batch = info->n_batch,
        .n_chunk = n_beside,
        .n_round = engine->n_streams > 0 && n_beside < info->n_chunk ? 0 : info->n_chunk,
        .n_known = n_chunk > 0 ? n_chunk : lcrt_pace_chunk(&engine->pace, engine->n_streams),
        .n_more = n_chunk > 0 ? n_chunk : lcrt_pace_more(several, engine->n_streams),
        .even = info->consecutive,
        .n_decode = INT32_MAX,
        .n_prompt = n_prompt_max,
        .n_free = lcrt_engine_free_cells(engine),
    };
    if (engine->turn.n_streams > 0 && limits.n_prompt > limits.n_chunk) {
        limits.n_prompt = limits.n_chunk; /* streams of other sets wait */
    }
    bool both = engine->n_streams > 0 && engine->n_streams < engine->n_shares && n_prompt_max > 0;
    if (info->consecutive && both) {
        limits.n_decode = engine->prompts_last ? INT32_MAX : 0;
        limits.n_prompt = engine->prompts_last ? 0 : limits.n_prompt;
    }
    lcrt_batch_divide(engine->shares, engine->n_shares, &limits);
    engine->n_prompt_rows = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        engine->sharing[i]->n_rows = engine->shares[i].n_rows;
        engine->n_prompt_rows += engine->shares[i].decoding ? 0 : engine->shares[i].n_rows;
    }
    lcrt_engine_fit_drafts(engine);
}

/* Fills rows, in order of sequence ids. */
static void compose(lcrt_engine *engine, int32_t n_prompt_max) {
    lcrt_engine_take_turn(engine, n_prompt_max == INT32_MAX);
    int32_t n_wanted = collect_shares(engine);
    lcrt_engine_free_idle(engine, n_wanted);
    divide(engine, n_prompt_max);
    lcrt_engine_close_gaps(engine);
    engine->n_rows = 0;
    for (int32_t id = 0; id < engine->slots.n; id++) {
        const lcrt_sequence *sequence = engine->owners[engine->slots.by_id[id]];
        if (sequence != NULL) {
            put_rows(engine, sequence);
        }
    }
    if (engine->n_streams + engine->turn.n_streams > 0 && engine->n_rows > 0) {
        /* Streams wait for this pass, so it is waited for and measured. */
        engine->rows[engine->n_rows - 1].output = true;
    }
}

/* Lets cancel interrupt the pass when all of it belongs to one job. */
static void begin_solo(lcrt_engine *engine) {
    const lcrt_sequence *only = NULL;
    int32_t n = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        if (engine->shares[i].n_rows > 0) {
            only = engine->sharing[i];
            n++;
        }
    }
    pthread_mutex_lock(&engine->solo_mutex);
    engine->solo = n == 1;
    engine->solo_id = engine->solo ? only->id : 0;
    pthread_mutex_unlock(&engine->solo_mutex);
}

/* An interruption that came too late is not the next pass's. */
static void end_solo(lcrt_engine *engine) {
    pthread_mutex_lock(&engine->solo_mutex);
    engine->solo = false;
    engine->backend.vtable->interrupt(engine->backend.self, false);
    pthread_mutex_unlock(&engine->solo_mutex);
}

static lcrt_status decode(lcrt_engine *engine) {
    if (engine->n_rows == 0) {
        return LCRT_ERR_FULL;
    }
    lcrt_status status = lcrt_engine_adapt(engine);
    if (status != LCRT_OK) {
        return status;
    }
    begin_solo(engine);
    status = engine->backend.vtable->decode(engine->backend.self, engine->rows, engine->n_rows);
    end_solo(engine);
    return status;
}

/* Writes down what the slots hold now, and gathers the rows of logits. Fetching these
 * waits for the device. */
static void collect_draws(lcrt_engine *engine, int64_t row_ns) {
    engine->n_draws = 0;
    int32_t row = 0;
    for (int32_t id = 0; id < engine->slots.n; id++) {
        lcrt_sequence *sequence = engine->owners[engine->slots.by_id[id]];
        if (sequence == NULL || sequence->n_rows == 0) {
            continue;
        }
        if (sequence->row_ns == 0) {
            sequence->row_ns = row_ns;
            sequence->usage.queued_ns = row_ns - sequence->submit_ns;
            add(&engine->counters.n_prompt, sequence->usage.n_prompt);
            add(&engine->counters.n_cached, sequence->usage.n_cached);
        }
        int32_t n_rows = sequence->n_rows - sequence->draft.n;
        int32_t last = row + n_rows - 1; /* the last one whose token is known */
        row += sequence->n_rows;
        const int32_t *tokens = sequence->tokens + lcrt_engine_held(engine, sequence);
        lcrt_status status = lcrt_slots_add(&engine->slots, sequence->slot, tokens, n_rows);
        const float *logits = NULL;
        if (status == LCRT_OK && engine->rows[last].output) {
            logits = engine->backend.vtable->logits(engine->backend.self, last);
            status = logits == NULL ? LCRT_ERR_BACKEND : LCRT_OK;
        }
        if (status != LCRT_OK) {
            lcrt_engine_fail(engine, sequence, status);
        } else if (logits != NULL && lcrt_engine_held(engine, sequence) == sequence->n_tokens) {
            engine->draws[engine->n_draws++] = (lcrt_draw){.sequence = sequence, .logits = logits, .row = last};
        }
    }
}

static void draw_one(void *data, int32_t i) {
    const lcrt_engine *engine = data;
    lcrt_sequence_sample(engine->draws[i].sequence, engine->draws[i].logits, engine->backend.info.n_vocab);
}

static void sample(lcrt_engine *engine) {
    int32_t n = engine->n_draws;
    int64_t begin_ns = lcrt_engine_now(engine);
    bool shared = n >= CREW_ROWS_MIN && engine->draw_ns * n > CREW_NS_MIN;
    if (shared) {
        lcrt_crew_run(engine->crew, draw_one, engine, n);
    } else {
        for (int32_t i = 0; i < n; i++) {
            draw_one(engine, i);
        }
    }
    int64_t ns = lcrt_engine_now(engine) - begin_ns;
    add(&engine->counters.sample_ns, ns);
    if (n > 0 && !shared) {
        lcrt_average(&engine->draw_ns, (double)ns / n, LEARN_DRAW);
    }
}

static void advance(lcrt_engine *engine) {
    int64_t now_ns = lcrt_engine_now(engine);
    bool can_shift = engine->backend.info.can_shift && engine->backend.info.can_trim;
    for (int32_t i = 0; i < engine->n_draws; i++) {
        lcrt_sequence *sequence = engine->draws[i].sequence;
        lcrt_engine_lag(engine, sequence);
        lcrt_sequence_advance(sequence, &engine->backend, can_shift, now_ns);
        int32_t n_forced = sequence->n_known - (sequence->sampled >= 0);
        add(&engine->counters.n_forced, n_forced > 0 ? n_forced : 0);
        lcrt_status status = lcrt_engine_follow_draft(engine, &engine->draws[i], can_shift, now_ns);
        if (status != LCRT_OK) {
            lcrt_engine_fail(engine, sequence, status);
        } else if (sequence->finish != LCRT_FINISH_NONE) {
            lcrt_engine_retire(engine, sequence);
        }
    }
    lcrt_engine_settle_drafts(engine);
}

/* Whether no prompt has as many rows in this pass as are worth their while. */
static bool is_small(const lcrt_engine *engine) {
    int32_t n_most = 0;
    for (int32_t i = 0; i < engine->n_shares; i++) {
        const lcrt_share *share = &engine->shares[i];
        n_most = !share->decoding && share->n_rows > n_most ? share->n_rows : n_most;
    }
    return n_most < engine->backend.info.n_chunk;
}

/* What the pass has told about the cost of rows. One without outputs has not been waited
 * for, and the next one pays for it: neither counts. */
static void measure(lcrt_engine *engine, int64_t ns) {
    bool unsynced = !engine->rows[engine->n_rows - 1].output && engine->n_draws == 0;
    engine->prompts_last = engine->n_streams > 0 && engine->n_prompt_rows == engine->n_rows;
    if (!unsynced && !engine->unsynced && !engine->turn.changed) {
        int32_t n_decode = engine->n_rows - engine->n_prompt_rows;
        if (engine->n_prompt_rows == 0 || !is_small(engine)) {
            lcrt_pace_measure(&engine->pace, n_decode, engine->n_prompt_rows, ns);
        }
        if (is_small(engine)) {
            lcrt_pace_measure(&engine->small, n_decode, engine->n_prompt_rows, ns);
        }
        if (is_small(engine) && engine->n_prompt_rows > 0 &&
            lcrt_pace_least_is_long(&engine->pace, engine->n_streams)) {
            lcrt_pace_doubt(&engine->pace);
        }
        if (engine->n_prompt_rows == 0) {
            lcrt_gate_measure(&engine->gate, engine->n_rows, ns);
        }
    }
    engine->unsynced = unsynced;
    add(&engine->counters.decode_ns, ns);
    add(&engine->counters.n_rows, engine->n_rows);
    add(&engine->counters.n_prefill_rows, engine->n_prompt_rows);
}

/* What the sequences of such a pass hold is not known any more. One whose cancel broke it off, in memory that cannot go
 * back, has been cancelled and has not failed. */
static void fail_batch(lcrt_engine *engine, lcrt_status status) {
    for (int32_t i = 0; i < engine->n_running; i++) {
        if (engine->running[i]->n_rows > 0) {
            engine->slots.slots[engine->running[i]->slot].closed = true;
        }
    }
    lcrt_engine_take_commands(engine);
    for (int32_t i = engine->n_running - 1; i >= 0; i--) {
        if (engine->running[i]->n_rows > 0) {
            lcrt_engine_fail(engine, engine->running[i], status);
        }
    }
}

/* Wakes the reader: at once for the beginning and the end of a job and before anything that
 * takes longer, else at intervals. A wake costs three processes some of the processors that
 * compute, and nobody sees text come faster. */
static void tell(lcrt_engine *engine, bool at_once) {
    int64_t now_ns = lcrt_engine_now(engine);
    bool due = now_ns - engine->told_ns >= engine->params.wake_interval_ns;
    if (engine->untold && (at_once || engine->urgent || due)) {
        engine->untold = engine->urgent = false;
        engine->told_ns = now_ns;
        lcrt_signal_set(&engine->signal);
    }
}

/* Composes until the backend has room. False when nobody wants rows and nobody has left. */
static bool run_batch(lcrt_engine *engine) {
    int32_t n_running = engine->n_running;
    int32_t n_prompt_max = INT32_MAX;
    int64_t begin_ns;
    lcrt_status status;
    engine->drafts_held = false;
    for (;;) {
        lcrt_engine_shift_full(engine);
        compose(engine, n_prompt_max);
        if (engine->n_shares == 0) {
            return engine->n_running != n_running;
        }
        tell(engine, engine->n_prompt_rows > 0);
        begin_ns = lcrt_engine_now(engine);
        lcrt_engine_masks_begin(engine);
        status = decode(engine);
        if (status != LCRT_ERR_FULL) {
            break;
        }
        lcrt_engine_masks_end(engine);
        if (!lcrt_engine_drop_drafts(engine)) {
            lcrt_engine_make_room(engine, &n_prompt_max);
        }
    }
    if (status == LCRT_OK) {
        collect_draws(engine, begin_ns);
        lcrt_engine_note_pass(engine);
        measure(engine, lcrt_engine_now(engine) - begin_ns);
        lcrt_engine_take_checkpoints(engine);
    }
    lcrt_engine_masks_end(engine);
    if (status != LCRT_OK) {
        if (status != LCRT_ERR_CANCELLED) {
            fail_batch(engine, status);
        }
        return true;
    }
    sample(engine);
    advance(engine);
    return true;
}

bool lcrt_engine_step(lcrt_engine *engine) {
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_engine_take_commands(engine);
    int32_t n_written = lcrt_engine_write_events(engine);
    lcrt_engine_tiers_settle(engine);
    lcrt_engine_admit(engine);
    bool worked = run_batch(engine);
    n_written += lcrt_engine_write_events(engine);
    engine->untold = engine->untold || n_written > 0;
    tell(engine, !worked);
    atomic_store_explicit(&engine->counters.n_running, engine->n_running, memory_order_relaxed);
    if (worked) {
        add(&engine->counters.n_steps, 1);
        add(&engine->counters.step_ns, lcrt_engine_now(engine) - begin_ns);
    }
    return worked;
}
