/* engine-share.c -- gives slots to jobs, with as much of their prompts as is there already:
 * held by any slot, or about to be computed by another job. */
#include "average.h"
#include "engine-state.h"

/* A slot that would lose no more tokens than this is taken over rather than copied. */
#define LOST_MAX 16
/* ... and so is one whose whole prompt comes again: it is the next turn, and of the answer
 * the client has kept what is shared. Templates end a prompt otherwise when an answer
 * follows; so many tokens are the template's. */
#define TEMPLATE_MAX 4
/* Fewer tokens than this are computed rather than waited for, or copied between streams. */
#define JOIN_MIN 32
#define COPY_MIN 16
/* While others decode, no copy begins once this part of the latency target is spent on them. */
#define COPY_PART 4
/* How fast a measurement moves what copying is known to cost. */
#define LEARN_COPY 0.3

/* What a new job can begin with. */
typedef struct start {
    int32_t slot;                /* that holds most of the prompt, -1: none */
    int32_t n;                   /* ... so many tokens of it */
    int32_t n_stored;            /* tokens that a stored state has, where that is more; else 0 */
    int32_t n_busy;              /* tokens that running jobs hold or will hold */
    const lcrt_sequence *leader; /* a running job that is about to have clearly more */
    int32_t n_join;              /* ... so many tokens */
} start;

/* Whether an idle slot loses nothing that counts when a job takes it over with n tokens. */
static bool disposable(const lcrt_engine *engine, int32_t slot, int32_t n) {
    const lcrt_slot *own = &engine->slots.slots[slot];
    if (own->busy) {
        return false;
    }
    bool next_turn = n + TEMPLATE_MAX >= own->n_prompt && 2 * n >= own->n_prompt;
    return next_turn || lcrt_slots_held(&engine->slots, slot) - n <= LOST_MAX ||
           lcrt_slots_value(&engine->slots, slot, n, lcrt_engine_now(engine)) <= 0;
}

/* Of two slots that share n tokens with a prompt: one to take over, else the smaller one. */
static bool better(const lcrt_engine *engine, int32_t a, int32_t b, int32_t n) {
    bool take_a = disposable(engine, a, n), take_b = disposable(engine, b, n);
    if (take_a != take_b) {
        return take_a;
    }
    return lcrt_slots_held(&engine->slots, a) < lcrt_slots_held(&engine->slots, b);
}

static void find_source(lcrt_engine *engine, const lcrt_sequence *sequence, start *out) {
    lcrt_slots *slots = &engine->slots;
    lcrt_slots_look_up(slots, sequence->set, sequence->tokens, sequence->n_tokens - 1);
    for (int32_t i = 0; i < slots->n; i++) {
        if (i == sequence->slot || slots->slots[i].closed) {
            continue;
        }
        int32_t n = lcrt_engine_reach(engine, i, slots->n_shared[i]);
        if (n > out->n || (n > 0 && n == out->n && better(engine, i, out->slot, n))) {
            out->slot = i;
            out->n = n;
        }
        out->n_busy = slots->slots[i].busy && n > out->n_busy ? n : out->n_busy;
    }
}

static int32_t common_of(const lcrt_sequence *a, const lcrt_sequence *b, int32_t n_max) {
    int32_t n = 0;
    n_max = n_max < a->n_tokens ? n_max : a->n_tokens;
    while (n < n_max && a->tokens[n] == b->tokens[n]) {
        n++;
    }
    return n;
}

/* Whether a running job is still computing what others may wait for. */
static bool leads(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    int32_t n_left = sequence->n_tokens - lcrt_engine_held(engine, sequence);
    bool prefilling = n_left > 1 && !lcrt_engine_decoding(engine, sequence);
    return sequence->cache && !sequence->blocked && (prefilling || sequence->leader != 0);
}

/* Only older jobs lead, so nobody waits in a circle and nobody is overtaken. */
static void find_leader(const lcrt_engine *engine, const lcrt_sequence *sequence, start *out) {
    for (int32_t i = 0; i < engine->n_running; i++) {
        const lcrt_sequence *leader = engine->running[i];
        if (leader->serial >= sequence->serial || leader->set != sequence->set || !leads(engine, leader)) {
            continue;
        }
        int32_t n = common_of(leader, sequence, sequence->n_tokens - 1);
        bool ahead = engine->backend.info.can_trim || n > lcrt_engine_held(engine, leader);
        if (ahead && n - out->n >= JOIN_MIN && n > out->n_join) {
            out->leader = leader;
            out->n_join = n;
        }
    }
    out->n_busy = out->n_join > out->n_busy ? out->n_join : out->n_busy;
}

static start find_start(lcrt_engine *engine, const lcrt_sequence *sequence) {
    start found = {.slot = -1};
    if (sequence->cache && sequence->n_tokens > 1) {
        find_source(engine, sequence, &found);
        find_leader(engine, sequence, &found);
    }
    return found;
}

/* Where streams are split, copying takes all that src holds; it must be cheaper than computing. */
static bool worth_copying(const lcrt_engine *engine, int32_t src, int32_t n) {
    if (engine->backend.info.unified) {
        return n > 0;
    }
    double copy_ns = engine->copy_ns * lcrt_slots_held(&engine->slots, src);
    bool known = engine->copy_ns > 0 && engine->pace.row_ns > 0;
    return n >= COPY_MIN && (!known || copy_ns < engine->pace.row_ns * n);
}

/* An empty slot gets the first n tokens of another one. */
static lcrt_status share(lcrt_engine *engine, int32_t from, int32_t to, int32_t n) {
    lcrt_slots *slots = &engine->slots;
    const lcrt_backend *backend = &engine->backend;
    int64_t begin_ns = lcrt_engine_now(engine);
    lcrt_status status = backend->vtable->share(backend->self, slots->slots[from].id, slots->slots[to].id, n);
    if (status != LCRT_OK) {
        return status;
    }
    if (!backend->info.unified) {
        double ns = (double)(lcrt_engine_now(engine) - begin_ns) / lcrt_slots_held(slots, from);
        lcrt_average(&engine->copy_ns, ns, LEARN_COPY);
    }
    lcrt_slots_share(slots, from, to, n, backend->info.unified);
    lcrt_engine_share_checkpoints(engine, from, to, n);
    return LCRT_OK;
}

/* A job's empty slot gets what another one holds of its prompt; returns how many tokens it
 * has then. What cannot be cut at any length is shared whole, and cut where it can be: a
 * copy may go back less far than its source, whose newest states are not copied. */
static int32_t copy(lcrt_engine *engine, const lcrt_sequence *sequence, const start *from) {
    lcrt_slots *slots = &engine->slots;
    if (from->n == 0 || !worth_copying(engine, from->slot, from->n)) {
        return 0;
    }
    int32_t n = engine->backend.info.can_trim ? from->n : lcrt_slots_held(slots, from->slot);
    lcrt_status status = share(engine, from->slot, sequence->slot, n);
    int32_t n_kept = status == LCRT_OK ? lcrt_engine_reach(engine, sequence->slot, from->n) : 0;
    if (n_kept > 0 && n_kept < n) {
        status = lcrt_engine_cut(engine, sequence->slot, n_kept);
    }
    if (status != LCRT_OK || n_kept == 0) {
        (void)lcrt_engine_drop(engine, sequence->slot);
        return 0;
    }
    slots->slots[from->slot].n_uses++;
    atomic_fetch_add_explicit(&engine->counters.n_shared, 1, memory_order_relaxed);
    return n_kept;
}

/* A job's empty slot gets what is stored for it, or else what another slot holds. */
static int32_t fill(lcrt_engine *engine, lcrt_sequence *sequence, const start *from) {
    if (from->n_stored > 0) {
        return lcrt_engine_load(engine, sequence);
    }
    int32_t n = copy(engine, sequence, from);
    lcrt_engine_count_hit(engine, sequence, LCRT_TIER_DEVICE, n);
    return n;
}

/* A slot keeps its first *n tokens, or none where the backend cannot. */
static lcrt_status keep(lcrt_engine *engine, int32_t slot, int32_t *n) {
    if (lcrt_slots_held(&engine->slots, slot) > *n) {
        lcrt_engine_lose(engine, slot, *n);
    }
    if (lcrt_engine_cut(engine, slot, *n) != LCRT_OK) {
        *n = 0;
        return lcrt_engine_drop(engine, slot);
    }
    engine->slots.slots[slot].n_uses++;
    atomic_fetch_add_explicit(&engine->counters.n_taken, 1, memory_order_relaxed);
    return LCRT_OK;
}

/* The idle slot that a job gets: its source if that loses little, else the one whose loss
 * costs least. */
static int32_t choose_slot(const lcrt_engine *engine, const start *from) {
    const lcrt_slots *slots = &engine->slots;
    int64_t now_ns = lcrt_engine_now(engine);
    bool source = from->n > 0 && from->leader == NULL && from->n_stored == 0;
    if (source && disposable(engine, from->slot, from->n)) {
        return from->slot;
    }
    int32_t best = -1;
    double best_value = 0;
    for (int32_t i = 0; i < slots->n; i++) {
        if (slots->slots[i].busy) {
            continue;
        }
        int32_t n_kept = source && i == from->slot ? from->n : 0;
        double value = lcrt_slots_held(slots, i) > 0 ? lcrt_slots_value(slots, i, n_kept, now_ns) : -1;
        bool older = best >= 0 && value == best_value && slots->slots[i].used < slots->slots[best].used;
        if (best < 0 || value < best_value || older) {
            best = i;
            best_value = value;
        }
    }
    return best;
}

/* Running jobs stay in order of submission. */
static void insert_running(lcrt_engine *engine, lcrt_sequence *sequence) {
    int32_t i = engine->n_running++;
    for (; i > 0 && engine->running[i - 1]->serial > sequence->serial; i--) {
        engine->running[i] = engine->running[i - 1];
    }
    engine->running[i] = sequence;
}

/* Waits for its leader, or begins with n tokens. */
static void begin(lcrt_sequence *sequence, const start *from, int32_t n) {
    sequence->leader = from->leader != NULL ? from->leader->serial : 0;
    sequence->n_join = from->n_join;
    if (sequence->row_ns == 0) {
        sequence->usage.n_cached = n;
    }
}

static void place(lcrt_engine *engine, lcrt_sequence *sequence, const start *from) {
    int32_t slot = choose_slot(engine, from);
    int32_t n = 0;
    lcrt_slots_claim(&engine->slots, slot, !sequence->cache);
    sequence->slot = slot;
    engine->owners[slot] = sequence;
    insert_running(engine, sequence);
    lcrt_status status;
    if (slot == from->slot && from->leader == NULL && from->n_stored == 0) {
        n = from->n;
        status = keep(engine, slot, &n);
        lcrt_engine_count_hit(engine, sequence, LCRT_TIER_DEVICE, n);
    } else {
        status = lcrt_engine_evict(engine, slot);
        if (status == LCRT_OK) {
            status = lcrt_slots_adapt(&engine->slots, slot, sequence->set);
        }
        n = status == LCRT_OK && from->leader == NULL ? fill(engine, sequence, from) : 0;
    }
    engine->slots.slots[slot].n_prompt = sequence->n_prompt;
    sequence->served_ns = lcrt_engine_now(engine);
    if (status != LCRT_OK) {
        lcrt_engine_fail(engine, sequence, status);
        return;
    }
    begin(sequence, from, n);
    lcrt_engine_plan_checkpoint(engine, sequence);
    if (sequence->leader != 0) {
        atomic_fetch_add_explicit(&engine->counters.n_joined, 1, memory_order_relaxed);
    }
}

/* Whether a job has to go on waiting for the one it follows. */
static bool must_wait(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    for (int32_t i = 0; i < engine->n_running; i++) {
        const lcrt_sequence *leader = engine->running[i];
        if (leader->serial == sequence->leader) {
            return leads(engine, leader) && lcrt_engine_held(engine, leader) < sequence->n_join;
        }
    }
    return false;
}

/* Whether streams can wait for one more job to get its beginning, after those since begin_ns. */
static bool in_time(const lcrt_engine *engine, int64_t begin_ns) {
    bool late = lcrt_engine_now(engine) - begin_ns >= engine->params.latency_target_ns / COPY_PART;
    for (int32_t i = 0; late && i < engine->n_running; i++) {
        if (lcrt_engine_decoding(engine, engine->running[i]) && !engine->running[i]->blocked) {
            return false;
        }
    }
    return true;
}

/* Those whose leader is far enough, or no more, go on. */
static void join(lcrt_engine *engine, int64_t begin_ns) {
    for (int32_t i = 0; i < engine->n_running && in_time(engine, begin_ns); i++) {
        lcrt_sequence *sequence = engine->running[i];
        if (sequence->leader != 0 && !must_wait(engine, sequence)) {
            start from = find_start(engine, sequence);
            int32_t n = from.leader == NULL ? copy(engine, sequence, &from) : 0;
            begin(sequence, &from, n);
            lcrt_engine_plan_checkpoint(engine, sequence);
            lcrt_engine_count_hit(engine, sequence, LCRT_TIER_DEVICE, n);
        }
    }
}

void lcrt_engine_admit(lcrt_engine *engine) {
    int64_t begin_ns = lcrt_engine_now(engine);
    join(engine, begin_ns);
    lcrt_sequence **at = &engine->waiting.first;
    while (*at != NULL && engine->n_running < engine->slots.n && in_time(engine, begin_ns)) {
        lcrt_sequence *sequence = *at;
        if (engine->admission_held && engine->n_running > 0) {
            return;
        }
        start from = find_start(engine, sequence);
        bool wait;
        from.n_stored = from.leader == NULL ? lcrt_engine_stored(engine, sequence, from.n, &wait) : 0;
        if (from.leader == NULL && wait) {
            at = &sequence->next;
            continue;
        }
        if (!lcrt_engine_fits(engine, sequence, from.n_busy)) {
            return;
        }
        *at = sequence->next;
        if (sequence->next == NULL) {
            engine->waiting.end = at;
        }
        atomic_fetch_sub(&engine->n_queued, 1);
        place(engine, sequence, &from);
    }
}

int32_t lcrt_engine_wanted(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    if (sequence->leader != 0) {
        return 0;
    }
    int32_t n_held = lcrt_engine_held(engine, sequence);
    int32_t end = sequence->mark > n_held && sequence->mark < sequence->n_tokens ? sequence->mark : sequence->n_tokens;
    for (int32_t i = 0; i < engine->n_running && !engine->backend.info.can_trim; i++) {
        const lcrt_sequence *follower = engine->running[i];
        bool stop = follower->leader == sequence->serial && follower->n_join > n_held;
        end = stop && follower->n_join < end ? follower->n_join : end;
    }
    return end - n_held;
}
