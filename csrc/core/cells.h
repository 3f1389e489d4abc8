/* cells.h -- which cells of a common pool slots share, and how many are in use.
 *
 * Engine thread only. Only beginnings are shared: two slots have their first cells in
 * common, up to some number, and none behind. Tokens do not tell: two jobs that computed
 * the same prompt apart have the same tokens in different cells. */
#ifndef LCRT_CELLS_H
#define LCRT_CELLS_H

#include <stdint.h>

#include "lcrt/status.h"

typedef struct lcrt_cells {
    int32_t n_slots;
    int32_t *held;   /* cells of each slot */
    int32_t *common; /* n_slots times n_slots: first cells that two slots have in common */
    int64_t n_used;  /* cells in use, each counted once */
} lcrt_cells;

lcrt_status lcrt_cells_init(lcrt_cells *cells, int32_t n_slots);
void lcrt_cells_free(lcrt_cells *cells);

/* A slot gets n cells of its own behind what it has. */
void lcrt_cells_grow(lcrt_cells *cells, int32_t slot, int32_t n);

/* dst, which has none, shares the first n cells of src. */
void lcrt_cells_share(lcrt_cells *cells, int32_t src, int32_t dst, int32_t n);

/* A slot gives up all but its first n cells. */
void lcrt_cells_trim(lcrt_cells *cells, int32_t slot, int32_t n);

/* A slot gives up its cells [p0, p1). None behind them may be common with another slot. */
void lcrt_cells_cut(lcrt_cells *cells, int32_t slot, int32_t p0, int32_t p1);

/* First cells that two slots have in common. */
int32_t lcrt_cells_common(const lcrt_cells *cells, int32_t a, int32_t b);

/* First cells of a slot that any other slot has too. */
int32_t lcrt_cells_shared(const lcrt_cells *cells, int32_t slot);

#endif
