#include "fake-cells.h"

#include <stdlib.h>
#include <string.h>

uint64_t fake_hash(uint64_t before, int32_t token) {
    uint64_t x = before + 0x9E3779B97F4A7C15u * ((uint64_t)(uint32_t)token + 1);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t fake_hash_in(uint64_t set, uint64_t before, int32_t token) {
    return fake_hash(before + set * 0xD6E8FEB86659FD93u, token);
}

lcrt_status fake_cells_init(fake_cells *cells, int32_t n_seqs, int32_t n_ctx_seq, bool unified) {
    memset(cells, 0, sizeof(*cells));
    cells->seqs = calloc((size_t)n_seqs, sizeof(*cells->seqs));
    cells->n_sharing = malloc((size_t)n_seqs * (size_t)n_ctx_seq * sizeof(*cells->n_sharing));
    if (cells->seqs == NULL || cells->n_sharing == NULL) {
        fake_cells_free(cells);
        return LCRT_ERR_NO_MEMORY;
    }
    for (int32_t i = 0; i < n_seqs * n_ctx_seq; i++) {
        cells->n_sharing[i] = i + 1;
    }
    cells->unified = unified;
    cells->n_seqs = n_seqs;
    cells->n_ctx_seq = n_ctx_seq;
    cells->n_back = -1;
    for (int32_t i = 0; i < n_seqs; i++) {
        cells->seqs[i].cells = malloc((size_t)n_ctx_seq * sizeof(fake_cell));
        if (cells->seqs[i].cells == NULL) {
            fake_cells_free(cells);
            return LCRT_ERR_NO_MEMORY;
        }
    }
    return LCRT_OK;
}

void fake_cells_free(fake_cells *cells) {
    for (int32_t i = 0; i < cells->n_seqs; i++) {
        free(cells->seqs[i].cells);
    }
    free(cells->seqs);
    free(cells->n_sharing);
    memset(cells, 0, sizeof(*cells));
}

/* A cell for one sequence; there are always enough, the backend counts. */
static int32_t take_place(fake_cells *cells) {
    int32_t place = cells->free;
    cells->free = cells->n_sharing[place];
    cells->n_sharing[place] = 1;
    cells->n_used++;
    return place;
}

static void leave_place(fake_cells *cells, int32_t place) {
    if (--cells->n_sharing[place] == 0) {
        cells->n_sharing[place] = cells->free;
        cells->free = place;
        cells->n_used--;
    }
}

static lcrt_status fault(fake_cells *cells) {
    cells->n_faults++;
    return LCRT_ERR_INVALID;
}

static bool known(const fake_cells *cells, int32_t seq) {
    return seq >= 0 && seq < cells->n_seqs;
}

bool fake_cells_fits(fake_cells *cells, int32_t seq, int32_t pos, int32_t n_before) {
    if (!known(cells, seq)) {
        fault(cells);
        return false;
    }
    const fake_seq *own = &cells->seqs[seq];
    bool hole = own->n_cells > 0 && own->cells[own->n_cells - 1].pos != own->n_cells - 1;
    bool foreign = own->n_cells > 0 && own->cells[own->n_cells - 1].set != cells->set;
    if (hole || foreign || pos != own->n_cells + n_before || pos >= cells->n_ctx_seq) {
        fault(cells);
        return false;
    }
    return true;
}

void fake_cells_put(fake_cells *cells, int32_t seq, int32_t token) {
    fake_seq *own = &cells->seqs[seq];
    uint64_t before = own->n_cells > 0 ? own->cells[own->n_cells - 1].hash : 0;
    own->cells[own->n_cells] = (fake_cell){.pos = own->n_cells,
                                           .token = token,
                                           .place = take_place(cells),
                                           .hash = fake_hash_in(cells->set, before, token),
                                           .set = cells->set};
    own->n_cells++;
    own->n_seen = own->n_cells > own->n_seen ? own->n_cells : own->n_seen;
}

/* After cells were taken out or renumbered; those before first are as they were. */
static void rehash(fake_seq *own, int32_t first) {
    for (int32_t i = first; i < own->n_cells; i++) {
        uint64_t before = i > 0 ? own->cells[i - 1].hash : 0;
        own->cells[i].hash = fake_hash_in(own->cells[i].set, before, own->cells[i].token);
    }
}

lcrt_status fake_cells_trim(fake_cells *cells, int32_t seq, int32_t p0, int32_t p1) {
    if (!known(cells, seq) || p0 < 0) {
        return fault(cells);
    }
    fake_seq *own = &cells->seqs[seq];
    int32_t n = 0;
    for (int32_t i = 0; i < own->n_cells; i++) {
        bool gone = own->cells[i].pos >= p0 && (p1 < 0 || own->cells[i].pos < p1);
        if (gone) {
            leave_place(cells, own->cells[i].place);
        } else {
            own->cells[n++] = own->cells[i];
        }
    }
    own->n_cells = n;
    own->n_seen = n > 0 ? own->n_seen : 0;
    rehash(own, p0 < n ? p0 : n);
    return LCRT_OK;
}

lcrt_status fake_cells_shift(fake_cells *cells, int32_t seq, int32_t p0, int32_t p1, int32_t delta) {
    if (!known(cells, seq)) {
        return fault(cells);
    }
    fake_seq *own = &cells->seqs[seq];
    int32_t last = -1;
    for (int32_t i = 0; i < own->n_cells; i++) {
        if (own->cells[i].pos >= p0 && own->cells[i].pos < p1) {
            own->cells[i].pos += delta;
            cells->n_faults += cells->n_sharing[own->cells[i].place] > 1;
        }
        if (own->cells[i].pos <= last) {
            return fault(cells);
        }
        last = own->cells[i].pos;
    }
    return LCRT_OK;
}

lcrt_status fake_cells_share(fake_cells *cells, int32_t src, int32_t dst, int32_t n) {
    if (!known(cells, src) || !known(cells, dst) || cells->seqs[dst].n_cells > 0 || cells->seqs[src].n_cells < n) {
        return fault(cells);
    }
    memcpy(cells->seqs[dst].cells, cells->seqs[src].cells, (size_t)n * sizeof(fake_cell));
    cells->seqs[dst].n_cells = n;
    cells->seqs[dst].n_seen = cells->seqs[src].n_seen;
    for (int32_t i = 0; i < n; i++) {
        fake_cell *cell = &cells->seqs[dst].cells[i];
        if (cells->unified) {
            cells->n_sharing[cell->place]++;
        } else {
            cell->place = take_place(cells);
        }
    }
    return LCRT_OK;
}

lcrt_status fake_cells_move(fake_cells *cells, int32_t src, int32_t dst) {
    if (!known(cells, src) || !known(cells, dst) || cells->seqs[dst].n_cells > 0) {
        return fault(cells);
    }
    fake_seq empty = cells->seqs[dst];
    cells->seqs[dst] = cells->seqs[src];
    cells->seqs[src] = empty;
    cells->n_moved += cells->seqs[dst].n_cells;
    return LCRT_OK;
}
