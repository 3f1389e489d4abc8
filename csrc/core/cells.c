#include "cells.h"

#include <stdlib.h>
#include <string.h>

lcrt_status lcrt_cells_init(lcrt_cells *cells, int32_t n_slots) {
    memset(cells, 0, sizeof(*cells));
    cells->n_slots = n_slots;
    cells->held = calloc((size_t)n_slots, sizeof(*cells->held));
    cells->common = calloc((size_t)n_slots * (size_t)n_slots, sizeof(*cells->common));
    if (cells->held == NULL || cells->common == NULL) {
        lcrt_cells_free(cells);
        return LCRT_ERR_NO_MEMORY;
    }
    return LCRT_OK;
}

void lcrt_cells_free(lcrt_cells *cells) {
    free(cells->held);
    free(cells->common);
    memset(cells, 0, sizeof(*cells));
}

/* First cells that slot has in common with others; itself it has nothing in common with. */
static int32_t *row(const lcrt_cells *cells, int32_t slot) {
    return cells->common + (size_t)slot * (size_t)cells->n_slots;
}

static void set_common(lcrt_cells *cells, int32_t a, int32_t b, int32_t n) {
    row(cells, a)[b] = n;
    row(cells, b)[a] = n;
}

static void limit_common(lcrt_cells *cells, int32_t slot, int32_t n) {
    for (int32_t i = 0; i < cells->n_slots; i++) {
        if (row(cells, slot)[i] > n) {
            set_common(cells, slot, i, n);
        }
    }
}

void lcrt_cells_grow(lcrt_cells *cells, int32_t slot, int32_t n) {
    cells->held[slot] += n;
    cells->n_used += n;
}

void lcrt_cells_share(lcrt_cells *cells, int32_t src, int32_t dst, int32_t n) {
    for (int32_t i = 0; i < cells->n_slots; i++) {
        int32_t n_common = row(cells, src)[i];
        if (i != dst) {
            set_common(cells, dst, i, n_common < n ? n_common : n);
        }
    }
    set_common(cells, dst, src, n);
    cells->held[dst] = n;
}

/* How many of the cells [p0, p1) of a slot no other has. */
static int32_t own(const lcrt_cells *cells, int32_t slot, int32_t p0, int32_t p1) {
    int32_t n_shared = lcrt_cells_shared(cells, slot);
    int32_t first = n_shared > p0 ? n_shared : p0;
    return first < p1 ? p1 - first : 0;
}

void lcrt_cells_trim(lcrt_cells *cells, int32_t slot, int32_t n) {
    if (n < cells->held[slot]) {
        cells->n_used -= own(cells, slot, n, cells->held[slot]);
        cells->held[slot] = n;
        limit_common(cells, slot, n);
    }
}

void lcrt_cells_cut(lcrt_cells *cells, int32_t slot, int32_t p0, int32_t p1) {
    if (p1 > p0) {
        cells->n_used -= own(cells, slot, p0, p1);
        cells->held[slot] -= p1 - p0;
        limit_common(cells, slot, p0);
    }
}

int32_t lcrt_cells_common(const lcrt_cells *cells, int32_t a, int32_t b) {
    return row(cells, a)[b];
}

int32_t lcrt_cells_shared(const lcrt_cells *cells, int32_t slot) {
    int32_t n = 0;
    for (int32_t i = 0; i < cells->n_slots; i++) {
        n = row(cells, slot)[i] > n ? row(cells, slot)[i] : n;
    }
    return n;
}
