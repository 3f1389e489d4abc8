/* drafter-model.c -- a smaller model that guesses what the first one will say.
 *
 * It has a sequence of its own for each slot, which follows what the slot's sequence holds: what both have stays, what
 * differs is forgotten and computed again. */
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

typedef struct draft_model {
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
} draft_model;

static lcrt_status make_arrays(draft_model *model) {
    size_t n_slots = (size_t)model->n_slots, n_ctx = (size_t)model->backend.info.n_ctx_seq;
    model->slots = calloc(n_slots, sizeof(*model->slots));
    model->tokens = malloc(n_slots * n_ctx * sizeof(*model->tokens));
    model->rows = calloc((size_t)model->backend.info.n_batch, sizeof(*model->rows));
    model->active = calloc(n_slots, sizeof(*model->active));
    model->outputs = calloc(n_slots, sizeof(*model->outputs));
    if (model->slots == NULL || model->tokens == NULL || model->rows == NULL || model->active == NULL ||
        model->outputs == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < n_slots; i++) {
        model->slots[i].tokens = model->tokens + i * n_ctx;
    }
    lcrt_sampling sampling = lcrt_sampling_default();
    sampling.temperature = 0;
    return lcrt_sampler_init(&sampling, model->backend.info.n_vocab, &model->sampler);
}

static void model_free(void *self) {
    draft_model *model = self;
    if (model != NULL) {
        lcrt_sampler_free(model->sampler);
        free(model->slots);
        free(model->tokens);
        free(model->rows);
        free(model->active);
        free(model->outputs);
        free(model);
    }
}

static void model_compare(void *self, lcrt_drafting *drafting) {
    draft_model *model = self;
    held *own = &model->slots[drafting->slot];
    int32_t n_room = model->backend.info.n_ctx_seq - drafting->n_tokens;
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
static int32_t still_same(const draft_model *model, const lcrt_drafting *drafting) {
    int32_t n = model->slots[drafting->slot].n;
    return drafting->n_same < n ? drafting->n_same : n;
}

static lcrt_status cut(draft_model *model, int32_t slot, int32_t n) {
    if (n == model->slots[slot].n) {
        return LCRT_OK;
    }
    model->slots[slot].n = n;
    return model->backend.vtable->trim(model->backend.self, slot, n, -1);
}

static void add_row(draft_model *model, int32_t slot, int32_t token, bool output) {
    held *own = &model->slots[slot];
    model->rows[model->n_rows++] = (lcrt_row){.token = token, .pos = own->n, .seq = slot, .output = output};
    own->tokens[own->n++] = token;
}

/* The slots of a failed pass do not hold what they were to hold. */
static void forget_rows(draft_model *model) {
    for (int32_t i = model->n_rows - 1; i >= 0; i--) {
        model->slots[model->rows[i].seq].n = model->rows[i].pos;
    }
    model->n_rows = 0;
}

/* Frees the cells of slots that nobody wants guesses for; false when there are none. */
static bool make_room(draft_model *model) {
    bool freed = false;
    for (int32_t slot = 0; slot < model->n_slots; slot++) {
        if (model->slots[slot].n > 0 && !model->slots[slot].wanted) {
            (void)cut(model, slot, 0);
            freed = true;
        }
    }
    return freed;
}

static lcrt_status run(draft_model *model) {
    const lcrt_backend *backend = &model->backend;
    lcrt_status status = backend->vtable->decode(backend->self, model->rows, model->n_rows);
    if (status == LCRT_ERR_FULL && make_room(model)) {
        status = backend->vtable->decode(backend->self, model->rows, model->n_rows);
    }
    if (status != LCRT_OK) {
        forget_rows(model);
    }
    return status;
}

static lcrt_status model_catch_up(void *self, lcrt_drafting *drafting, int32_t n_rows) {
    draft_model *model = self;
    const lcrt_backend_info *info = &model->backend.info;
    int32_t n_same = still_same(model, drafting);
    int32_t n_left = (drafting->n_tokens < info->n_ctx_seq ? drafting->n_tokens : info->n_ctx_seq) - 1 - n_same;
    n_rows = n_rows < info->n_batch ? n_rows : info->n_batch;
    n_rows = n_rows < n_left ? n_rows : n_left;
    drafting->n = 0;
    lcrt_status status = cut(model, drafting->slot, n_same);
    if (status != LCRT_OK || n_rows <= 0) {
        return status;
    }
    model->n_rows = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        add_row(model, drafting->slot, drafting->tokens[n_same + i], i == n_rows - 1);
    }
    status = run(model);
    drafting->n = status == LCRT_OK ? n_rows : 0;
    drafting->n_same = n_same + drafting->n;
    return status == LCRT_ERR_FULL ? LCRT_OK : status;
}

/* Rows for what is missing of those that can be guessed for. */
static lcrt_status add_missing(draft_model *model, lcrt_drafting *draftings, int32_t n_draftings) {
    const lcrt_backend_info *info = &model->backend.info;
    model->n_rows = model->n_active = 0;
    for (int32_t i = 0; i < n_draftings; i++) {
        lcrt_drafting *drafting = &draftings[i];
        drafting->n = 0;
        int32_t n_same = still_same(model, drafting);
        bool fits = drafting->n_tokens - n_same <= info->n_batch - model->n_rows - (n_draftings - i);
        if (!fits || drafting->n_max <= 0) {
            continue;
        }
        lcrt_status status = cut(model, drafting->slot, n_same);
        if (status != LCRT_OK) {
            return status;
        }
        for (int32_t at = n_same; at < drafting->n_tokens; at++) {
            add_row(model, drafting->slot, drafting->tokens[at], at == drafting->n_tokens - 1);
        }
        model->outputs[model->n_active] = model->n_rows - 1;
        model->active[model->n_active++] = drafting;
    }
    return LCRT_OK;
}

/* A token for each of those that wait for one; those that want more have a row in the next pass. */
static lcrt_status take(draft_model *model) {
    const lcrt_backend *backend = &model->backend;
    int32_t n_active = model->n_active;
    model->n_rows = model->n_active = 0;
    for (int32_t i = 0; i < n_active; i++) {
        lcrt_drafting *drafting = model->active[i];
        const float *logits = backend->vtable->logits(backend->self, model->outputs[i]);
        int32_t token = logits != NULL ? lcrt_sampler_sample(model->sampler, logits, NULL) : -1;
        if (token < 0) {
            return LCRT_ERR_BACKEND;
        }
        drafting->out[drafting->n++] = token;
        if (drafting->n < drafting->n_max) {
            model->outputs[model->n_active] = model->n_rows;
            add_row(model, drafting->slot, token, true);
            model->active[model->n_active++] = drafting;
        }
    }
    return LCRT_OK;
}

static lcrt_status model_guess(void *self, lcrt_drafting *draftings, int32_t n_draftings) {
    draft_model *model = self;
    lcrt_status status = add_missing(model, draftings, n_draftings);
    while (status == LCRT_OK && model->n_active > 0) {
        status = run(model);
        if (status == LCRT_OK) {
            status = take(model);
        }
    }
    for (int32_t slot = 0; slot < model->n_slots; slot++) {
        model->slots[slot].wanted = false;
    }
    if (status == LCRT_ERR_FULL) {
        return LCRT_OK; /* what was guessed until then is good */
    }
    return status;
}

static const lcrt_drafter_vtable vtable = {model_compare, model_catch_up, model_guess, model_free};

lcrt_status lcrt_drafter_model(const lcrt_backend *backend, int32_t n_slots, int32_t n_vocab, lcrt_drafter *out) {
    const lcrt_backend_info *info = &backend->info;
    if (!info->can_trim || info->n_seq_max < n_slots || info->n_outputs < n_slots || info->n_batch < n_slots ||
        info->n_vocab != n_vocab) {
        return LCRT_ERR_UNSUPPORTED;
    }
    draft_model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    model->backend = *backend;
    model->n_slots = n_slots;
    lcrt_status status = make_arrays(model);
    if (status != LCRT_OK) {
        model_free(model);
        return status;
    }
    *out = (lcrt_drafter){&vtable, model};
    return LCRT_OK;
}
