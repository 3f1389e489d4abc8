/* fake-grammar.c -- which letters may stand at each place of an answer. */
#include <stdlib.h>
#include <string.h>

#include "lcrt/fake.h"

#define END ((uint64_t)1 << LCRT_FAKE_EOG)

typedef struct fake_grammar {
    lcrt_fake_grammar_params params;
    uint64_t *places;
    int32_t n_accepted;
    bool ended; /* by the end-of-generation token, which is the last accepted */
    int32_t n_masks;
    lcrt_fake_grammar_stats *stats;
    lcrt_fake_grammar_stats own; /* where the test wants none */
} fake_grammar;

static bool may_end(const fake_grammar *fake) {
    return fake->ended || fake->n_accepted >= fake->params.n_least;
}

/* The tokens that may come at a place, the end among them where it may come. */
static uint64_t allowed_at(const fake_grammar *fake, int32_t place) {
    uint64_t letters = place < fake->params.n_places ? fake->places[place] & ~END : 0;
    return place >= fake->params.n_least ? letters | END : letters;
}

static bool is_stopped(const fake_grammar *fake) {
    return fake->ended || allowed_at(fake, fake->n_accepted) == END;
}

static bool allows(const fake_grammar *fake, int32_t place, int32_t token) {
    return token >= 0 && token < 64 && (allowed_at(fake, place) >> token & 1) != 0;
}

static lcrt_status fake_mask(void *self, uint32_t *bits, int32_t n_words) {
    fake_grammar *fake = self;
    fake->n_masks++;
    fake->stats->n_masks++;
    if (fake->params.on_mask != NULL) {
        fake->params.on_mask(fake->params.on_mask_data);
    }
    if (fake->n_masks == fake->params.fail_at) {
        return LCRT_ERR_GRAMMAR;
    }
    uint64_t allowed = is_stopped(fake) ? END : allowed_at(fake, fake->n_accepted);
    memset(bits, 0, (size_t)n_words * sizeof(*bits));
    for (int32_t i = 0; i < 2 && i < n_words; i++) {
        bits[i] = (uint32_t)(allowed >> (32 * i));
    }
    return LCRT_OK;
}

static lcrt_status fake_accept(void *self, const int32_t *tokens, int32_t n_tokens) {
    fake_grammar *fake = self;
    for (int32_t i = 0; i < n_tokens; i++) {
        if (fake->ended || !allows(fake, fake->n_accepted, tokens[i])) {
            fake->stats->n_faults++;
            return LCRT_ERR_GRAMMAR;
        }
        fake->ended = tokens[i] == LCRT_FAKE_EOG;
        fake->n_accepted++;
        fake->stats->n_accepted++;
    }
    return LCRT_OK;
}

static lcrt_status fake_rewind(void *self, int32_t n_tokens) {
    fake_grammar *fake = self;
    if (n_tokens < 0 || n_tokens > fake->n_accepted) {
        fake->stats->n_faults++;
        return LCRT_ERR_GRAMMAR;
    }
    fake->n_accepted -= n_tokens;
    fake->ended = fake->ended && n_tokens == 0;
    return LCRT_OK;
}

static int32_t fake_forced(void *self, int32_t *tokens, int32_t max) {
    const fake_grammar *fake = self;
    int32_t n = 0;
    if (fake->params.on_forced != NULL) {
        fake->params.on_forced(fake->params.on_mask_data);
    }
    for (int32_t place = fake->n_accepted; !fake->ended && n < max && place < fake->params.n_places; place++) {
        uint64_t allowed = allowed_at(fake, place);
        if (fake->params.free || allowed == 0 || (allowed & (allowed - 1)) != 0 || (allowed & END) != 0) {
            break;
        }
        tokens[n++] = __builtin_ctzll(allowed);
    }
    return n;
}

static int32_t fake_valid(void *self, const int32_t *tokens, int32_t n_tokens) {
    const fake_grammar *fake = self;
    int32_t n = 0;
    while (n < n_tokens && !fake->ended && allows(fake, fake->n_accepted + n, tokens[n])) {
        n++;
        if (tokens[n - 1] == LCRT_FAKE_EOG) {
            break;
        }
    }
    return n;
}

static bool fake_accepting(void *self) {
    return may_end(self);
}

static bool fake_stopped(void *self) {
    return is_stopped(self);
}

static void fake_free(void *self) {
    fake_grammar *fake = self;
    if (fake != NULL) {
        fake->stats->n_freed++;
        free(fake->places);
        free(fake);
    }
}

static const lcrt_grammar_vtable vtable = {
    .mask = fake_mask,
    .accept = fake_accept,
    .rewind = fake_rewind,
    .forced = fake_forced,
    .valid = fake_valid,
    .accepting = fake_accepting,
    .stopped = fake_stopped,
    .free = fake_free,
};

lcrt_status lcrt_grammar_fake(const lcrt_fake_grammar_params *params, lcrt_grammar *out) {
    if (params->n_places < 1 || params->places == NULL || params->n_least < 0) {
        return LCRT_ERR_INVALID;
    }
    fake_grammar *fake = calloc(1, sizeof(*fake));
    size_t len = (size_t)params->n_places * sizeof(*params->places);
    uint64_t *places = malloc(len);
    if (fake == NULL || places == NULL) {
        free(fake);
        free(places);
        return LCRT_ERR_NO_MEMORY;
    }
    memcpy(places, params->places, len);
    fake->params = *params;
    fake->places = places;
    fake->stats = params->stats != NULL ? params->stats : &fake->own;
    *out = (lcrt_grammar){.vtable = &vtable, .self = fake};
    return LCRT_OK;
}
