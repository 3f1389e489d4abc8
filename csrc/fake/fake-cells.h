/* fake-cells.h -- the fake backend's KV cache: which token is at which position.
 *
 * One thread. A sequence's cells are ordered by position; between trim and shift they may
 * have a hole, which is a fault at the next decode. */
#ifndef LCRT_FAKE_CELLS_H
#define LCRT_FAKE_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "lcrt/status.h"

typedef struct fake_cell {
    int32_t pos;
    int32_t token;
    uint64_t hash; /* of this and all tokens before it */
} fake_cell;

typedef struct fake_seq {
    fake_cell *cells;
    int32_t n_cells;
} fake_seq;

typedef struct fake_cells {
    fake_seq *seqs;
    int32_t n_seqs;
    int32_t n_ctx_seq;
    int64_t n_used;
    int64_t n_moved;
    int64_t n_faults;
} fake_cells;

/* The hash of tokens, continued from that of the ones before (0: none). */
uint64_t fake_hash(uint64_t before, int32_t token);

lcrt_status fake_cells_init(fake_cells *cells, int32_t n_seqs, int32_t n_ctx_seq);
void fake_cells_free(fake_cells *cells);

/* Whether a token may be put at a position: the next one, with no hole before it. */
bool fake_cells_fits(fake_cells *cells, int32_t seq, int32_t pos, int32_t n_before);
void fake_cells_put(fake_cells *cells, int32_t seq, int32_t token);

lcrt_status fake_cells_trim(fake_cells *cells, int32_t seq, int32_t p0, int32_t p1);
lcrt_status fake_cells_shift(fake_cells *cells, int32_t seq, int32_t p0, int32_t p1, int32_t delta);
lcrt_status fake_cells_share(fake_cells *cells, int32_t src, int32_t dst, int32_t n);
lcrt_status fake_cells_move(fake_cells *cells, int32_t src, int32_t dst);

#endif
