/* engine-sets.c -- turns of sequences that want different sets of changes of the weights.
 *
 * A pass has one set. A turn lasts as long as lets all sets that want rows have one within the
 * latency target: changing the set may cost as much as a pass, so it is not done for each. Then
 * the set goes on that has waited longest. A set's waiting begins with its last pass, or when the
 * first of its sequences got a slot; none that comes later overtakes it. */
#include "engine-state.h"

static bool wants(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    return !sequence->blocked && lcrt_engine_wanted(engine, sequence) > 0;
}

/* Whether an older sequence of the same set wants rows too. */
static bool counted(const lcrt_engine *engine, int32_t n, uint64_t set) {
    for (int32_t i = 0; i < n; i++) {
        if (engine->running[i]->set == set && wants(engine, engine->running[i])) {
            return true;
        }
    }
    return false;
}

/* Who has waited longest of those that want rows; NULL when nobody does. Counts the sets. */
static const lcrt_sequence *find_longest(lcrt_engine *engine, bool *goes_on) {
    const lcrt_sequence *longest = NULL;
    engine->turn.n_sets = 0;
    *goes_on = false;
    for (int32_t i = 0; i < engine->n_running; i++) {
        const lcrt_sequence *sequence = engine->running[i];
        if (!wants(engine, sequence)) {
            continue;
        }
        if (longest == NULL || sequence->served_ns < longest->served_ns) {
            longest = sequence;
        }
        *goes_on = *goes_on || sequence->set == engine->turn.set;
        engine->turn.n_sets += !counted(engine, i, sequence->set);
    }
    return longest;
}

void lcrt_engine_take_turn(lcrt_engine *engine, bool fresh) {
    lcrt_turn *turn = &engine->turn;
    int64_t now_ns = lcrt_engine_now(engine);
    bool mixed = false, goes_on = false;
    turn->n_streams = 0;
    for (int32_t i = 0; i < engine->n_running; i++) {
        mixed = mixed || engine->running[i]->set != turn->set;
    }
    const lcrt_sequence *longest = mixed ? find_longest(engine, &goes_on) : NULL;
    int32_t n_sets = longest != NULL ? turn->n_sets : 1;
    int64_t part_ns = engine->params.latency_target_ns / n_sets;
    engine->pace.target_ns = engine->small.target_ns = part_ns;
    if (longest == NULL) {
        return;
    }
    if (longest->set != turn->set && (!goes_on || (fresh && now_ns - turn->begin_ns >= part_ns))) {
        turn->set = longest->set;
        turn->begin_ns = now_ns;
    }
    for (int32_t i = 0; i < engine->n_running; i++) {
        const lcrt_sequence *sequence = engine->running[i];
        bool away = !lcrt_engine_in_turn(engine, sequence) && wants(engine, sequence);
        turn->n_streams += away && lcrt_engine_decoding(engine, sequence);
    }
}

bool lcrt_engine_in_turn(const lcrt_engine *engine, const lcrt_sequence *sequence) {
    return sequence->set == engine->turn.set;
}

lcrt_status lcrt_engine_adapt(lcrt_engine *engine) {
    engine->turn.changed = engine->adapted != engine->turn.set;
    if (!engine->turn.changed) {
        return LCRT_OK;
    }
    lcrt_status status = engine->backend.vtable->adapt(engine->backend.self, engine->turn.set);
    engine->adapted = status == LCRT_OK ? engine->turn.set : engine->adapted;
    return status;
}

void lcrt_engine_note_pass(lcrt_engine *engine) {
    int64_t now_ns = lcrt_engine_now(engine);
    for (int32_t i = 0; i < engine->n_running; i++) {
        lcrt_sequence *sequence = engine->running[i];
        if (lcrt_engine_in_turn(engine, sequence)) {
            sequence->served_ns = now_ns;
        }
    }
}
