/* state-file.h -- one state as a file: written whole or not at all, believed only when verified.
 *
 * A file begins with a head (numbers, tokens, lengths of the checkpoints, a checksum of these) and ends
 * with a checksum of everything before it. It is written under another name, synced and renamed, so that
 * readers never see half of one. Numbers are as this machine has them; another machine's are not
 * recognised. Any thread; several processes may use one folder. */
#ifndef LCRT_STATE_FILE_H
#define LCRT_STATE_FILE_H

#include <stdint.h>

#include "state.h"

/* What the names of files end with while they are written. */
#define LCRT_STATE_TEMPORARY ".part"

/* What a state depends on, as checksums of texts. */
typedef struct lcrt_state_key {
    uint64_t version; /* of this program and its backend: another one's files are of no use to anybody */
    uint64_t model;   /* weights, and the backend's own adapters */
    uint64_t setup;   /* types and sizes of the cache */
} lcrt_state_key;

/* What the head says. */
typedef struct lcrt_state_head {
    lcrt_state_key key;
    uint64_t set;
    int32_t *tokens; /* the caller's to free */
    int32_t n_tokens;
    int32_t *stops; /* lengths that the state can be cut to, ascending; the caller's to free */
    int32_t n_stops;
    int64_t file_len;
} lcrt_state_head;

/* Writes folder/name. LCRT_ERR_IO, with nothing left behind, when the folder is gone, full or read-only. */
lcrt_status lcrt_state_file_write(int folder, const char *name, const lcrt_state_key *key, const lcrt_state *state);

/* Reads the head only. LCRT_ERR_IO: there is none, or it cannot be read. LCRT_ERR_FORMAT: it is damaged,
 * cut short or no state file. */
lcrt_status lcrt_state_file_peek(int folder, const char *name, lcrt_state_head *out);

/* Reads and verifies everything. LCRT_ERR_FORMAT also when it has another key. */
lcrt_status lcrt_state_file_read(int folder, const char *name, const lcrt_state_key *key, lcrt_state **out);

#endif
