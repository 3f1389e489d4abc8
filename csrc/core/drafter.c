#include "drafter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lcrt/sampling.h"

/* What the drafter's sequence of a slot holds. */
typedef struct held {
    int32_t *tokens; /* room for n_ctx_seq */
    int32_t n;
    bool wanted; /* compared since the last guesses */
} held;

struct lcrt_drafter {
    lcrt_backend backend;
    held *slots;
    int32_t n_slots;
    int32_t *tokens; /* of all slots */
    lcrt_row *rows;
    int32_t n_rows;
    lcrt_drafting **active; /* those that have a row of logits in the pass under way, and which row it is */
    int32_t *outputs;
    int32_t n_active;
    lcrt_sampler *sampler;
};

static lcrt_status make_arrays(lcrt_drafter *drafter) {
    size_t n_slots = (size_t)drafter->n_slots, n_ctx = (size_t)drafter->backend.info.n_ctx_seq;
    drafter->slots = calloc(n_slots, sizeof(*drafter->slots));
    drafter->tokens = malloc(n_slots * n_ctx * sizeof(*drafter->tokens));
    drafter->rows = calloc((size_t)drafter->backend.info.n_batch, sizeof(*drafter->rows));
    drafter->active = calloc(n_slots, sizeof(*drafter->active));
    drafter->outputs = calloc(n_slots, sizeof(*drafter->outputs));
    if (drafter->slots == NULL || drafter->tokens == NULL || drafter->rows == NULL || drafter->active == NULL ||
        drafter->outputs == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < n_slots; i++) {
        drafter->slots[i].tokens = drafter->tokens + i * n_ctx;
    }
    lcrt_sampling sampling = lcrt_sampling_default();
    sampling.temperature = 0;
    return lcrt_sampler_init(&sampling, drafter->backend.info.n_vocab, &drafter->sampler);
}

void lcrt_drafter_free(lcrt_drafter *drafter) {
    if (drafter != NULL) {
        lcrt_sampler_free(drafter->sampler);
        free(drafter->slots);
        free(drafter->tokens);
        free(drafter->rows);
        free(drafter->active);
        free(drafter->outputs);
        free(drafter);
    }
}

lcrt_status lcrt_drafter_init(const lcrt_backend *backend, int32_t n_slots, int32_t n_vocab, lcrt_drafter **out) {
    const lcrt_backend_info *info = &backend->info;
    if (!info->can_trim || info->n_seq_max < n_slots || info->n_outputs < n_slots || info->n_batch < n_slots ||
        info->n_vocab != n_vocab) {
        return LCRT_ERR_UNSUPPORTED;
    }
    lcrt_drafter *drafter = calloc(1, sizeof(*drafter));
    if (drafter == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    drafter->backend = *backend;
    drafter->n_slots = n_slots;
    lcrt_status status = make_arrays(drafter);
    if (status != LCRT_OK) {
        lcrt_drafter_free(drafter);
        return status;
    }
    *out = drafter;
    return LCRT_OK;
}

void lcrt_drafter_compare(lcrt_drafter *drafter, lcrt_drafting *drafting) {
    held *own = &drafter->slots[drafting->slot];
    int32_t n_room = drafter->backend.info.n_ctx_seq - drafting->n_tokens;
    int32_t n_both = drafting->n_tokens - 1 < own->n ? drafting->n_tokens - 1 : own->n, n = 0;
    if (memcmp(own->tokens, drafting->tokens, (size_t)n_both * sizeof(int32_t)) == 0) {
        n = n_both;
    }
    while (n < n_both && own->tokens[n] == drafting->tokens[n]) {
        n++;
    }
    own->wanted = true;
    drafting->n_same = n;
    drafting->n_max = drafting->n_max < n_room ? drafting->n_max : n_room;
}

/* What it still has of that: others may have taken the room since. */
static int32_t still_same(const lcrt_drafter *drafter, const lcrt_drafting *drafting) {
    int32_t n = drafter->slots[drafting->slot].n;
    return drafting->n_same < n ? drafting->n_same : n;
}

static lcrt_status cut(lcrt_drafter *drafter, int32_t slot, int32_t n) {
    if (n == drafter->slots[slot].n) {
        return LCRT_OK;
    }
    drafter->slots[slot].n = n;
    return drafter->backend.vtable->trim(drafter->backend.self, slot, n, -1);
}

static void add_row(lcrt_drafter *drafter, int32_t slot, int32_t token, bool output) {
    held *own = &drafter->slots[slot];
    drafter->rows[drafter->n_rows++] = (lcrt_row){.token = token, .pos = own->n, .seq = slot, .output = output};
    own->tokens[own->n++] = token;
}

/* The slots of a failed pass do not hold what they were to hold. */
static void forget_rows(lcrt_drafter *drafter) {
    for (int32_t i = drafter->n_rows - 1; i >= 0; i--) {
        drafter->slots[drafter->rows[i].seq].n = drafter->rows[i].pos;
    }
    drafter->n_rows = 0;
}

/* Frees the cells of slots that nobody wants guesses for; false when there are none. */
static bool make_room(lcrt_drafter *drafter) {
    bool freed = false;
    for (int32_t slot = 0; slot < drafter->n_slots; slot++) {
        if (drafter->slots[slot].n > 0 && !drafter->slots[slot].wanted) {
            (void)cut(drafter, slot, 0);
            freed = true;
        }
    }
    return freed;
}

static lcrt_status run(lcrt_drafter *drafter) {
    const lcrt_backend *backend = &drafter->backend;
    lcrt_status status = backend->vtable->decode(backend->self, drafter->rows, drafter->n_rows);
    if (status == LCRT_ERR_FULL && make_room(drafter)) {
        status = backend->vtable->decode(backend->self, drafter->rows, drafter->n_rows);
    }
    if (status != LCRT_OK) {
        forget_rows(drafter);
    }
    return status;
}

lcrt_status lcrt_drafter_catch_up(lcrt_drafter *drafter, lcrt_drafting *drafting, int32_t n_rows) {
    const lcrt_backend_info *info = &drafter->backend.info;
    int32_t n_same = still_same(drafter, drafting);
    int32_t n_left = (drafting->n_tokens < info->n_ctx_seq ? drafting->n_tokens : info->n_ctx_seq) - 1 - n_same;
    n_rows = n_rows < info->n_batch ? n_rows : info->n_batch;
    n_rows = n_rows < n_left ? n_rows : n_left;
    drafting->n = 0;
    lcrt_status status = cut(drafter, drafting->slot, n_same);
    if (status != LCRT_OK || n_rows <= 0) {
        return status;
    }
    drafter->n_rows = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        add_row(drafter, drafting->slot, drafting->tokens[n_same + i], i == n_rows - 1);
    }
    status = run(drafter);
    drafting->n = status == LCRT_OK ? n_rows : 0;
    drafting->n_same = n_same + drafting->n;
    return status == LCRT_ERR_FULL ? LCRT_OK : status;
}

/* Rows for what is missing of those that can be guessed for. */
static lcrt_status add_missing(lcrt_drafter *drafter, lcrt_drafting *draftings, int32_t n_draftings) {
    const lcrt_backend_info *info = &drafter->backend.info;
    drafter->n_rows = drafter->n_active = 0;
    for (int32_t i = 0; i < n_draftings; i++) {
        lcrt_drafting *drafting = &draftings[i];
        drafting->n = 0;
        int32_t n_same = still_same(drafter, drafting);
        bool fits = drafting->n_tokens - n_same <= info->n_batch - drafter->n_rows - (n_draftings - i);
        if (!fits || drafting->n_max <= 0) {
            continue;
        }
        lcrt_status status = cut(drafter, drafting->slot, n_same);
        if (status != LCRT_OK) {
            return status;
        }
        for (int32_t at = n_same; at < drafting->n_tokens; at++) {
            add_row(drafter, drafting->slot, drafting->tokens[at], at == drafting->n_tokens - 1);
        }
        drafter->outputs[drafter->n_active] = drafter->n_rows - 1;
        drafter->active[drafter->n_active++] = drafting;
    }
    return LCRT_OK;
}

/* A token for each of those that wait for one; those that want more have a row in the next pass. */
static lcrt_status take(lcrt_drafter *drafter) {
    const lcrt_backend *backend = &drafter->backend;
    int32_t n_active = drafter->n_active;
    drafter->n_rows = drafter->n_active = 0;
    for (int32_t i = 0; i < n_active; i++) {
        lcrt_drafting *drafting = drafter->active[i];
        const float *logits = backend->vtable->logits(backend->self, drafter->outputs[i]);
        int32_t token = logits != NULL ? lcrt_sampler_sample(drafter->sampler, logits, NULL) : -1;
        if (token < 0) {
            return LCRT_ERR_BACKEND;
        }
        drafting->out[drafting->n++] = token;
        if (drafting->n < drafting->n_max) {
            drafter->outputs[drafter->n_active] = drafter->n_rows;
            add_row(drafter, drafting->slot, token, true);
            drafter->active[drafter->n_active++] = drafting;
        }
    }
    return LCRT_OK;
}

lcrt_status lcrt_drafter_guess(lcrt_drafter *drafter, lcrt_drafting *draftings, int32_t n_draftings) {
    lcrt_status status = add_missing(drafter, draftings, n_draftings);
    while (status == LCRT_OK && drafter->n_active > 0) {
        status = run(drafter);
        if (status == LCRT_OK) {
            status = take(drafter);
        }
    }
    for (int32_t slot = 0; slot < drafter->n_slots; slot++) {
        drafter->slots[slot].wanted = false;
    }
    if (status == LCRT_ERR_FULL) {
        return LCRT_OK; /* what was guessed until then is good */
    }
    return status;
}
