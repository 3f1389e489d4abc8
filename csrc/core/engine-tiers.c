#include "engine-tiers.h"

#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "engine-state.h"

/* Fewer tokens than this are computed rather than kept or loaded. */
#define KEEP_MIN 64
#define LOAD_MIN 32
/* ... and so is a smaller part of what is held than one in so many: all of it would have to be copied. */
#define KEEP_PART 4
/* A job has states read from disk for it so many times. */
#define FETCHES_MAX 2

static void count(atomic_int_fast64_t *counter, int64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void ring(void *data) {
    lcrt_engine *engine = data;
    lcrt_bell_ring(&engine->bell);
}

static uint64_t sum_of(const char *text) {
    return text != NULL ? lcrt_checksum_of(text, strlen(text)) : 0;
}

static lcrt_status open_tiers(lcrt_engine *engine, const lcrt_cache_params *cache) {
    bool disk = cache->disk_len > 0 && cache->dir != NULL && cache->model != NULL;
    lcrt_tiers_params params = {
        .ram_len = cache->ram_len - engine->keeper.checkpoints_max * engine->slots.n,
        .disk_len = disk ? cache->disk_len : 0,
        .can_trim = engine->backend.info.can_trim,
        .disk =
            {
                .root = cache->dir,
                .model = cache->model,
                .key = {.version = sum_of(cache->version),
                        .model = sum_of(cache->model),
                        .setup = sum_of(cache->setup)},
                .wake = ring,
                .wake_data = engine,
            },
    };
    return lcrt_tiers_init(&params, lcrt_engine_now(engine), &engine->keeper.tiers, &engine->keeper.disk_status);
}

lcrt_status lcrt_engine_tiers_open(lcrt_engine *engine) {
    const lcrt_cache_params *cache = &engine->params.cache;
    lcrt_keeper *keeper = &engine->keeper;
    keeper->checkpoints = calloc((size_t)engine->slots.n, sizeof(*keeper->checkpoints));
    if (keeper->checkpoints == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    if (!engine->backend.info.can_store || (cache->ram_len <= 0 && cache->disk_len <= 0)) {
        return LCRT_OK;
    }
    /* Where there are checkpoints, half of the memory is for those of the slots. */
    bool cuts = engine->backend.info.can_trim;
    keeper->checkpoints_max = cuts ? 0 : cache->ram_len / 2 / engine->slots.n;
    return open_tiers(engine, cache);
}

void lcrt_engine_tiers_free(lcrt_engine *engine) {
    lcrt_keeper *keeper = &engine->keeper;
    for (int32_t i = 0; keeper->checkpoints != NULL && i < engine->slots.n; i++) {
        lcrt_checkpoints_free(&keeper->checkpoints[i]);
    }
    free(keeper->checkpoints);
    keeper->checkpoints = NULL;
    lcrt_tiers_free(keeper->tiers);
    keeper->tiers = NULL;
}

/* What the tiers hold now, for other threads. */
static void publish(lcrt_engine *engine) {
    lcrt_tiers_stats stats;
    lcrt_tiers_stats_get(engine->keeper.tiers, &stats);
    atomic_store_explicit(&engine->keeper.counters.ram_len, stats.ram_len, memory_order_relaxed);
    atomic_store_explicit(&engine->keeper.counters.file_len, stats.file_len, memory_order_relaxed);
}

void lcrt_engine_tiers_settle(lcrt_engine *engine) {
    if (engine->keeper.tiers != NULL) {
        lcrt_tiers_settle(engine->keeper.tiers, lcrt_engine_now(engine));
        publish(engine);
    }
}

/* Copies all that a slot holds out of the backend. */
static lcrt_status take_out(lcrt_engine *engine, int32_t slot, const int32_t *tokens, int32_t n, lcrt_state **out) {
    const lcrt_backend *backend = &engine->backend;
    int32_t id = engine->slots.slots[slot].id;
    size_t len = backend->vtable->state_size(backend->self, id, false);
    if (len == 0 || !lcrt_tiers_takes(engine->keeper.tiers, len)) {
        return LCRT_ERR_UNSUPPORTED;
    }
    lcrt_state *state;
    lcrt_status status = lcrt_state_init(tokens, n, len, &state);
    if (status == LCRT_OK) {
        state->set = engine->slots.slots[slot].set;
        status = backend->vtable->state_get(backend->self, id, false, state->data, len, &state->len);
        if (status == LCRT_OK) {
            status = lcrt_checkpoints_copy(&state->checkpoints, &engine->keeper.checkpoints[slot], n);
        }
        if (status != LCRT_OK) {
            lcrt_state_free(state);
            return status;
        }
        *out = state;
    }
    return status;
}

/* Tokens that would have to be computed again. A job that takes the slot over has another answer in mind than
 * the one that is there: then only what was sent counts. */
static int32_t lost(const lcrt_engine *engine, int32_t slot, int32_t n_kept) {
    int32_t n = n_kept > 0 ? engine->slots.slots[slot].n_prompt : lcrt_slots_held(&engine->slots, slot);
    int32_t n_common = lcrt_slots_common(&engine->slots, slot);
    return n - (n_common > n_kept ? n_common : n_kept);
}

void lcrt_engine_keep(lcrt_engine *engine, int32_t slot, int32_t n_kept) {
    lcrt_tiers *tiers = engine->keeper.tiers;
    int32_t n = lcrt_slots_held(&engine->slots, slot);
    int32_t n_lost = tiers != NULL ? lost(engine, slot, n_kept) : 0;
    if (tiers == NULL || n_lost < KEEP_MIN || n_lost < n / KEEP_PART) {
        return;
    }
    int32_t *tokens = malloc((size_t)n * sizeof(*tokens));
    lcrt_state *state;
    if (tokens == NULL) {
        return;
    }
    lcrt_slots_read(&engine->slots, slot, n, tokens);
    uint64_t set = engine->slots.slots[slot].set;
    if (!lcrt_tiers_has(tiers, set, tokens, n) && take_out(engine, slot, tokens, n, &state) == LCRT_OK) {
        lcrt_tiers_put(tiers, state, lcrt_engine_now(engine));
        publish(engine);
    }
    free(tokens);
}

int32_t lcrt_engine_stored(lcrt_engine *engine, lcrt_sequence *sequence, int32_t n_best, bool *wait) {
    lcrt_tiers *tiers = engine->keeper.tiers;
    *wait = false;
    if (tiers == NULL || !sequence->cache) {
        return 0;
    }
    lcrt_match match = lcrt_tiers_find(tiers, sequence->set, sequence->tokens, sequence->n_tokens - 1);
    if (match.n - n_best < LOAD_MIN) {
        return 0;
    }
    if (match.tier == LCRT_TIER_HOST) {
        return match.n;
    }
    if (!lcrt_tiers_busy(match.item)) {
        if (sequence->n_fetches == FETCHES_MAX) {
            return 0;
        }
        sequence->n_fetches++;
        lcrt_tiers_fetch(tiers, match.item);
    }
    *wait = lcrt_tiers_busy(match.item);
    return 0;
}

/* Puts a state into an empty slot, cut to n tokens. */
static lcrt_status put_in(lcrt_engine *engine, int32_t slot, const lcrt_state *state, int32_t n) {
    const lcrt_backend *backend = &engine->backend;
    int32_t id = engine->slots.slots[slot].id;
    lcrt_status status = backend->vtable->state_set(backend->self, id, false, state->data, state->len);
    if (status != LCRT_OK || n == state->n_tokens) {
        return status;
    }
    if (backend->info.can_trim) {
        return backend->vtable->trim(backend->self, id, n, -1);
    }
    const lcrt_checkpoint *checkpoint = lcrt_checkpoints_find(&state->checkpoints, n);
    if (checkpoint == NULL || checkpoint->n_tokens != n) {
        return LCRT_ERR_FORMAT;
    }
    return backend->vtable->state_set(backend->self, id, true, checkpoint->data, checkpoint->len);
}

int32_t lcrt_engine_load(lcrt_engine *engine, lcrt_sequence *sequence) {
    lcrt_tiers *tiers = engine->keeper.tiers;
    int32_t slot = sequence->slot;
    lcrt_match match = lcrt_tiers_find(tiers, sequence->set, sequence->tokens, sequence->n_tokens - 1);
    if (match.item == NULL || match.tier != LCRT_TIER_HOST) {
        return 0;
    }
    const lcrt_state *state = lcrt_tiers_use(tiers, match.item, lcrt_engine_now(engine));
    lcrt_engine_free_idle(engine, state->n_tokens);
    /* Freeing cells may have put other states in, and this one out. */
    match = lcrt_tiers_find(tiers, sequence->set, sequence->tokens, sequence->n_tokens - 1);
    if (match.item == NULL || match.tier != LCRT_TIER_HOST) {
        return 0;
    }
    state = lcrt_tiers_use(tiers, match.item, lcrt_engine_now(engine));
    lcrt_status status = put_in(engine, slot, state, match.n);
    if (status == LCRT_OK) {
        status = lcrt_slots_add(&engine->slots, slot, sequence->tokens, match.n);
    }
    if (status == LCRT_OK) {
        (void)lcrt_checkpoints_copy(&engine->keeper.checkpoints[slot], &state->checkpoints, match.n);
        lcrt_engine_count_hit(engine, sequence, sequence->n_fetches > 0 ? LCRT_TIER_DISK : LCRT_TIER_HOST, match.n);
        return match.n;
    }
    (void)lcrt_engine_drop(engine, slot);
    if (status == LCRT_ERR_FORMAT) {
        lcrt_tiers_refuse(tiers, match.item);
    }
    return 0;
}

void lcrt_engine_count_hit(lcrt_engine *engine, lcrt_sequence *sequence, lcrt_tier tier, int32_t n) {
    if (sequence->row_ns != 0 || n == 0) {
        return;
    }
    sequence->usage.n_host = tier == LCRT_TIER_HOST ? n : 0;
    sequence->usage.n_disk = tier == LCRT_TIER_DISK ? n : 0;
    count(&engine->keeper.counters.n_hits[tier], 1);
    count(&engine->keeper.counters.n_tokens[tier], n);
}

static lcrt_cache_hits hits_of(const lcrt_keeper_counters *counters, lcrt_tier tier) {
    return (lcrt_cache_hits){
        .n_jobs = atomic_load_explicit(&counters->n_hits[tier], memory_order_relaxed),
        .n_tokens = atomic_load_explicit(&counters->n_tokens[tier], memory_order_relaxed),
    };
}

void lcrt_engine_cache_stats_get(const lcrt_engine *engine, lcrt_cache_stats *out) {
    const lcrt_keeper_counters *counters = &engine->keeper.counters;
    *out = (lcrt_cache_stats){
        .device = hits_of(counters, LCRT_TIER_DEVICE),
        .host = hits_of(counters, LCRT_TIER_HOST),
        .disk = hits_of(counters, LCRT_TIER_DISK),
        .n_checkpoints = atomic_load_explicit(&counters->n_checkpoints, memory_order_relaxed),
        .ram_len = atomic_load_explicit(&counters->ram_len, memory_order_relaxed),
        .disk_len = atomic_load_explicit(&counters->file_len, memory_order_relaxed),
        .disk_status = engine->keeper.disk_status,
    };
}

/* Slots by what their loss would cost, the dearest first. */
static int32_t dearest(const lcrt_engine *engine, const bool *done, int64_t now_ns) {
    int32_t best = -1;
    double best_value = 0;
    for (int32_t i = 0; i < engine->slots.n; i++) {
        if (done[i] || engine->slots.slots[i].closed || lcrt_slots_held(&engine->slots, i) == 0) {
            continue;
        }
        double value = lcrt_slots_value(&engine->slots, i, 0, now_ns);
        if (best < 0 || value > best_value) {
            best = i;
            best_value = value;
        }
    }
    return best;
}

int32_t lcrt_engine_store(lcrt_engine *engine, int64_t timeout_ns, int32_t *n_left) {
    int64_t end_ns = lcrt_monotonic(NULL) + timeout_ns;
    lcrt_engine_halt(engine);
    lcrt_tiers *tiers = engine->keeper.tiers;
    *n_left = 0;
    if (tiers == NULL || engine->params.cache.disk_len <= 0 || engine->keeper.disk_status != LCRT_OK) {
        return 0;
    }
    lcrt_tiers_stats before, after;
    lcrt_tiers_stats_get(tiers, &before);
    lcrt_tiers_close(tiers);
    bool *done = calloc((size_t)engine->slots.n, sizeof(*done));
    int32_t slot;
    while (done != NULL && (slot = dearest(engine, done, lcrt_engine_now(engine))) >= 0) {
        done[slot] = true;
        if (lcrt_monotonic(NULL) < end_ns) {
            lcrt_engine_keep(engine, slot, 0);
            (void)lcrt_engine_drop(engine, slot); /* what it had in common is another one's alone now */
        } else {
            ++*n_left;
        }
    }
    free(done);
    *n_left += lcrt_tiers_flush(tiers, lcrt_monotonic, NULL, end_ns);
    lcrt_tiers_stats_get(tiers, &after);
    return (int32_t)(after.n_written - before.n_written);
}
