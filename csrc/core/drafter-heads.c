/* drafter-heads.c -- the layers of the model itself that guess ahead, as a drafter.
 *
 * They have computed what the model has, so there is nothing to compare and nothing to catch up with. */
#include <stdlib.h>

#include "drafter.h"

typedef struct heads_drafter {
    const lcrt_backend *backend;
    lcrt_ahead *aheads;
    lcrt_drafting **asking; /* whose each of them is */
} heads_drafter;

static void heads_compare(void *self, lcrt_drafting *drafting) {
    const heads_drafter *heads = self;
    int32_t n_room = heads->backend->info.n_ctx_seq - drafting->n_tokens;
    drafting->n_same = drafting->n_tokens - 1;
    drafting->n_max = drafting->n_max < n_room ? drafting->n_max : n_room;
}

static lcrt_status heads_catch_up(void *self, lcrt_drafting *drafting, int32_t n_rows) {
    (void)self;
    (void)n_rows;
    drafting->n = 0;
    return LCRT_OK;
}

static lcrt_status heads_guess(void *self, lcrt_drafting *draftings, int32_t n_draftings) {
    heads_drafter *heads = self;
    int32_t n = 0;
    for (int32_t i = 0; i < n_draftings; i++) {
        lcrt_drafting *drafting = &draftings[i];
        int32_t last = drafting->n_tokens - 1;
        drafting->n = 0;
        if (drafting->n_max > 0) {
            heads->asking[n] = drafting;
            heads->aheads[n++] = (lcrt_ahead){.seq = drafting->seq,
                                              .token = drafting->tokens[last],
                                              .pos = last,
                                              .n_max = drafting->n_max,
                                              .out = drafting->out};
        }
    }
    lcrt_status status = n > 0 ? heads->backend->vtable->guess(heads->backend->self, heads->aheads, n) : LCRT_OK;
    for (int32_t i = 0; i < n; i++) {
        heads->asking[i]->n = heads->aheads[i].n;
    }
    return status;
}

static void heads_free(void *self) {
    heads_drafter *heads = self;
    free(heads->aheads);
    free(heads->asking);
    free(heads);
}

static const lcrt_drafter_vtable vtable = {heads_compare, heads_catch_up, heads_guess, heads_free};

lcrt_status lcrt_drafter_heads(const lcrt_backend *backend, int32_t n_slots, lcrt_drafter *out) {
    heads_drafter *heads = calloc(1, sizeof(*heads));
    if (heads == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    heads->backend = backend;
    heads->aheads = calloc((size_t)n_slots, sizeof(*heads->aheads));
    heads->asking = calloc((size_t)n_slots, sizeof(*heads->asking));
    if (heads->aheads == NULL || heads->asking == NULL) {
        heads_free(heads);
        return LCRT_ERR_NO_MEMORY;
    }
    *out = (lcrt_drafter){&vtable, heads};
    return LCRT_OK;
}
