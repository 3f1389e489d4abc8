/* prefix.h -- which tokens of a new prompt are already held somewhere.
 *
 * A radix tree over token ids. It maps token sequences to entries: one for each slot of
 * the KV cache, always there, and any number of stored ones, whose content is kept
 * elsewhere. Common beginnings are written down once. It knows tokens, never KV data.
 *
 * Engine thread only. Memory grows in geometric steps; what fails for want of it changes
 * nothing. Entries are small numbers: slots 0 .. n_slots - 1, stored ones above. The
 * number of a removed entry is given out again. */
#ifndef LCRT_PREFIX_H
#define LCRT_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_prefix lcrt_prefix;

/* n_slots may be 0. */
lcrt_status lcrt_prefix_init(int32_t n_slots, lcrt_prefix **out);
void lcrt_prefix_free(lcrt_prefix *prefix);

/* Remembers what a slot holds now, in place of what it held. */
lcrt_status lcrt_prefix_put(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens);

/* Adds tokens at the end of what a slot holds. */
lcrt_status lcrt_prefix_add(lcrt_prefix *prefix, int32_t slot, const int32_t *tokens, int32_t n_tokens);

/* A slot, whatever it held, now holds the first n tokens of another entry. Needs no memory. */
void lcrt_prefix_copy(lcrt_prefix *prefix, int32_t slot, int32_t entry, int32_t n);

/* Forgets the tokens of a slot from n on. Needs no memory. */
void lcrt_prefix_trim(lcrt_prefix *prefix, int32_t slot, int32_t n);

/* Forgets the tokens [p0, p1) of a slot, both within what it holds; later ones move down. */
lcrt_status lcrt_prefix_cut(lcrt_prefix *prefix, int32_t slot, int32_t p0, int32_t p1);

/* A new stored entry of at least one token. data is the caller's. */
lcrt_status lcrt_prefix_store(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, void *data, int32_t *entry);

/* A new stored entry of the first n >= 1 tokens that another entry has. */
lcrt_status lcrt_prefix_store_of(lcrt_prefix *prefix, int32_t other, int32_t n, void *data, int32_t *entry);

/* Forgets a stored entry; its data is still the caller's. */
void lcrt_prefix_remove(lcrt_prefix *prefix, int32_t entry);

void *lcrt_prefix_data(const lcrt_prefix *prefix, int32_t entry);

/* How many tokens an entry has. */
int32_t lcrt_prefix_length(const lcrt_prefix *prefix, int32_t entry);

/* The first n tokens of an entry. */
void lcrt_prefix_read(const lcrt_prefix *prefix, int32_t entry, int32_t n, int32_t *out);

/* How many first tokens of an entry some other entry has too; stored says whether stored
 * ones count, or slots only. */
int32_t lcrt_prefix_common(const lcrt_prefix *prefix, int32_t entry, bool stored);

/* For each slot, the length of the common beginning of what it holds and tokens. */
void lcrt_prefix_slots(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, int32_t *n_shared);

/* The stored entry that shares the longest beginning with tokens, and its length in
 * *n_shared; -1 and 0 when there is none. whole: only entries all of whose tokens are
 * shared count (their content cannot be cut). Of equals, one with few tokens. */
int32_t lcrt_prefix_find(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, bool whole, int32_t *n_shared);

typedef struct lcrt_prefix_match {
    int32_t entry, n_shared;
} lcrt_prefix_match;

/* The up to max stored entries that share most with tokens, from the longest on, of equals
 * those with few tokens first; returns how many. */
int32_t lcrt_prefix_list(lcrt_prefix *prefix, const int32_t *tokens, int32_t n_tokens, lcrt_prefix_match *out,
                         int32_t max);

typedef struct lcrt_prefix_stats {
    int32_t n_stored; /* stored entries */
    int32_t n_nodes;
    int64_t n_tokens; /* written down, common ones once */
    size_t size;      /* bytes in all, n_tokens * 4 of them for tokens */
} lcrt_prefix_stats;

/* Visits the whole tree. */
void lcrt_prefix_stats_get(const lcrt_prefix *prefix, lcrt_prefix_stats *out);

#ifdef __cplusplus
}
#endif
#endif
