/* prefix.h -- which tokens of a new prompt are already in the KV cache.
 *
 * Engine thread only. Holds token numbers, never KV data. Today every entry is
 * one slot's own tokens; sharing between live sequences goes through the same calls.
 * A slot's memory grows as it needs, in geometric steps, and is kept. */
#ifndef LCRT_PREFIX_H
#define LCRT_PREFIX_H

#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_prefix lcrt_prefix;

lcrt_status lcrt_prefix_init(int32_t n_slots, lcrt_prefix **out);
void lcrt_prefix_free(lcrt_prefix *prefix);

/* Remembers what a slot holds now. LCRT_ERR_NO_MEMORY leaves the old entry. */
lcrt_status lcrt_prefix_put(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens);

/* Adds one token at the end of what a slot holds. */
lcrt_status lcrt_prefix_append(lcrt_prefix *prefix, int32_t slot, int32_t token);

/* Adds tokens at the end of what a slot holds. */
lcrt_status lcrt_prefix_add(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens);

/* Forgets the tokens of a slot from n on. */
void lcrt_prefix_trim(lcrt_prefix *prefix, int32_t slot, int32_t n);

/* Forgets the tokens [p0, p1) of a slot, both within what it holds; later ones move down. */
void lcrt_prefix_cut(lcrt_prefix *prefix, int32_t slot, int32_t p0, int32_t p1);

/* The tokens that a slot holds. */
const int32_t *lcrt_prefix_tokens(const lcrt_prefix *prefix, int32_t slot, int32_t *n_tokens);

/* Length of the common beginning of a slot's tokens and tokens. */
int32_t lcrt_prefix_shared(const lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens);

#ifdef __cplusplus
}
#endif
#endif
