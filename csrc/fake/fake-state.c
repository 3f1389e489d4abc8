/* fake-state.c -- content of the fake cache as bytes, and how far it can be cut back. */
#include <string.h>

#include "fake-cells.h"

#define WHOLE_MAGIC 0x57484F4C
#define PART_MAGIC 0x50415254

/* In front of the tokens; alone, it says how a sequence was. */
typedef struct state_record {
    int32_t magic;
    int32_t n_cells;
    uint64_t hash; /* of all tokens */
    uint64_t set;
} state_record;

int32_t fake_cells_min(const fake_cells *cells, int32_t seq) {
    const fake_seq *own = &cells->seqs[seq];
    if (cells->n_back < 0) {
        return 0;
    }
    int32_t n = own->n_seen - cells->n_back;
    n = n > 0 ? n : 0;
    return n < own->n_cells ? n : own->n_cells;
}

void fake_cells_settle(fake_cells *cells, int32_t seq) {
    fake_seq *own = &cells->seqs[seq];
    own->n_seen = own->n_cells + (cells->n_back > 0 ? cells->n_back : 0);
}

size_t fake_cells_size(const fake_cells *cells, int32_t seq, bool part) {
    size_t n = part ? 0 : (size_t)cells->seqs[seq].n_cells;
    return sizeof(state_record) + n * sizeof(int32_t);
}

void fake_cells_get(const fake_cells *cells, int32_t seq, bool part, uint8_t *out) {
    const fake_seq *own = &cells->seqs[seq];
    state_record record = {.magic = part ? PART_MAGIC : WHOLE_MAGIC, .n_cells = own->n_cells};
    record.hash = own->n_cells > 0 ? own->cells[own->n_cells - 1].hash : 0;
    record.set = own->n_cells > 0 ? own->cells[own->n_cells - 1].set : 0;
    memcpy(out, &record, sizeof(record));
    for (int32_t i = 0; i < own->n_cells && !part; i++) {
        memcpy(out + sizeof(record) + (size_t)i * sizeof(int32_t), &own->cells[i].token, sizeof(int32_t));
    }
}

static int32_t token_at(const uint8_t *data, int32_t i) {
    int32_t token;
    memcpy(&token, data + sizeof(state_record) + (size_t)i * sizeof(token), sizeof(token));
    return token;
}

/* The same cut off behind what it was; other content than that is a fault. */
static lcrt_status set_part(fake_cells *cells, int32_t seq, const state_record *record) {
    fake_seq *own = &cells->seqs[seq];
    if (own->n_cells < record->n_cells || own->cells[record->n_cells - 1].hash != record->hash) {
        cells->n_faults++;
        return LCRT_ERR_FORMAT;
    }
    return fake_cells_trim(cells, seq, record->n_cells, -1);
}

static lcrt_status set_whole(fake_cells *cells, int32_t seq, const state_record *record, const uint8_t *data,
                             int64_t n_max) {
    uint64_t hash = 0;
    for (int32_t i = 0; i < record->n_cells; i++) {
        hash = fake_hash_in(record->set, hash, token_at(data, i));
    }
    if (hash != record->hash || record->n_cells > cells->n_ctx_seq) {
        return LCRT_ERR_FORMAT;
    }
    lcrt_status status = fake_cells_trim(cells, seq, 0, -1);
    if (status == LCRT_OK && n_max >= 0 && cells->n_used + record->n_cells > n_max) {
        status = LCRT_ERR_FULL;
    }
    uint64_t set = cells->set;
    cells->set = record->set;
    for (int32_t i = 0; i < record->n_cells && status == LCRT_OK; i++) {
        fake_cells_put(cells, seq, token_at(data, i));
    }
    cells->set = set;
    return status;
}

lcrt_status fake_cells_set(fake_cells *cells, int32_t seq, bool part, const uint8_t *data, size_t len, int64_t n_max) {
    state_record record;
    if (len < sizeof(record)) {
        return LCRT_ERR_FORMAT;
    }
    memcpy(&record, data, sizeof(record));
    size_t n = record.n_cells > 0 ? (size_t)record.n_cells : 0;
    bool known = record.magic == (part ? PART_MAGIC : WHOLE_MAGIC) && n > 0;
    if (!known || len != sizeof(record) + (part ? 0 : n * sizeof(int32_t))) {
        return LCRT_ERR_FORMAT;
    }
    lcrt_status status = part ? set_part(cells, seq, &record) : set_whole(cells, seq, &record, data, n_max);
    if (status == LCRT_OK) {
        fake_cells_settle(cells, seq); /* nothing of what was before it came back */
    }
    return status;
}
