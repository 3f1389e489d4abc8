/* fake-cells.h -- the fake backend's KV cache: which token is at which position.
 *
 * One thread. A sequence's cells are ordered by position; between trim and shift they may
 * have a hole, which is a fault at the next decode. Moving a cell that another sequence
 * shares is one too: it would move under that one's feet. */
#ifndef LCRT_FAKE_CELLS_H
#define LCRT_FAKE_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/status.h"

typedef struct fake_cell {
    int32_t pos;
    int32_t token;
    int32_t place; /* in the pool; sequences that share a cell have the same */
    uint64_t hash; /* of this and all tokens before it, and of the set */
    uint64_t set;  /* that it was computed with */
} fake_cell;

typedef struct fake_seq {
    fake_cell *cells;
    int32_t n_cells;
    int32_t n_seen; /* the most it has held since it could last be cut to nothing but its whole length */
} fake_seq;

typedef struct fake_cells {
    uint64_t set; /* of what is put from now on */
    fake_seq *seqs;
    int32_t n_seqs;
    int32_t n_ctx_seq;
    bool unified;       /* sharing takes no cells; else it copies */
    int32_t *n_sharing; /* of each place, sequences that have it; of a free one, the next free one */
    int32_t free;       /* the first free place */
    int32_t n_back;     /* how far a sequence can be cut back; negative: to any length */
    int64_t n_used;     /* places, each counted once */
    int64_t n_moved;
    int64_t n_faults;
} fake_cells;

/* The hash of tokens, continued from that of the ones before (0: none). */
uint64_t fake_hash(uint64_t before, int32_t token);

/* The same where the token was computed with a set. */
uint64_t fake_hash_in(uint64_t set, uint64_t before, int32_t token);

lcrt_status fake_cells_init(fake_cells *cells, int32_t n_seqs, int32_t n_ctx_seq, bool unified);
void fake_cells_free(fake_cells *cells);

/* Whether a token may be put at a position: the next one, with no hole and nothing of another set before it. */
bool fake_cells_fits(fake_cells *cells, int32_t seq, int32_t pos, int32_t n_before);
void fake_cells_put(fake_cells *cells, int32_t seq, int32_t token);

lcrt_status fake_cells_trim(fake_cells *cells, int32_t seq, int32_t p0, int32_t p1);
lcrt_status fake_cells_shift(fake_cells *cells, int32_t seq, int32_t p0, int32_t p1, int32_t delta);
lcrt_status fake_cells_share(fake_cells *cells, int32_t src, int32_t dst, int32_t n);
lcrt_status fake_cells_move(fake_cells *cells, int32_t src, int32_t dst);

/* The least length that a sequence can be cut to. */
int32_t fake_cells_min(const fake_cells *cells, int32_t seq);
/* It cannot go back from where it is now. */
void fake_cells_settle(fake_cells *cells, int32_t seq);

/* What a sequence holds as bytes: all of it, or with part the little that says how it was. */
size_t fake_cells_size(const fake_cells *cells, int32_t seq, bool part);
void fake_cells_get(const fake_cells *cells, int32_t seq, bool part, uint8_t *out);
/* LCRT_ERR_FORMAT for other bytes. n_max: cells in all; negative: no limit. */
lcrt_status fake_cells_set(fake_cells *cells, int32_t seq, bool part, const uint8_t *data, size_t len, int64_t n_max);

#endif
