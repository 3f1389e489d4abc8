/* tiers.h -- states of sequences that are no longer in the backend: in host memory, or as files.
 *
 * A book of states under their tokens, for each set of changes of the weights one that knows nothing of the others.
 * What host memory has no room for goes to disk when there is one, else it is forgotten, the least valuable first.
 * States come back to host memory before they are used.
 *
 * The engine thread calls everything. Files are written and read by the disk's own thread; settle takes
 * up what it has done. Nothing here knows a backend: bytes come in and go out. */
#ifndef LCRT_TIERS_H
#define LCRT_TIERS_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "state.h"

typedef struct lcrt_tiers lcrt_tiers;

typedef struct lcrt_tiers_params {
    int64_t ram_len;       /* bytes of states in host memory */
    int64_t disk_len;      /* bytes of files; 0: no disk */
    lcrt_disk_params disk; /* as far as disk_len is not 0 */
    bool can_trim;         /* a state serves every beginning of its tokens, not only its stops */
} lcrt_tiers_params;

typedef enum lcrt_tier { LCRT_TIER_DEVICE, LCRT_TIER_HOST, LCRT_TIER_DISK, LCRT_N_TIERS } lcrt_tier;

typedef struct lcrt_item lcrt_item; /* one state in the book */

typedef struct lcrt_match {
    lcrt_item *item; /* NULL: nothing */
    int32_t n;       /* tokens that it has in common and can be cut to */
    lcrt_tier tier;
} lcrt_match;

typedef struct lcrt_tiers_stats {
    int64_t ram_len, n_ram;               /* bytes and number of states in host memory */
    int64_t file_len, n_file;             /* of those known on disk */
    int64_t n_written, n_read, n_refused; /* files; refused: read, but not to be trusted */
} lcrt_tiers_stats;

/* Without the disk when its folder cannot be used: *disk_status says so. now_ns: the engine's clock. */
lcrt_status lcrt_tiers_init(const lcrt_tiers_params *params, int64_t now_ns, lcrt_tiers **out,
                            lcrt_status *disk_status);

/* Forgets what is in host memory. NULL is fine. */
void lcrt_tiers_free(lcrt_tiers *tiers);

/* The state of a set that spares most of tokens; of equals, one in host memory. */
lcrt_match lcrt_tiers_find(lcrt_tiers *tiers, uint64_t set, const int32_t *tokens, int32_t n_tokens);

/* Whether a state of exactly these tokens, or one that can be cut to them, is in the book. */
bool lcrt_tiers_has(lcrt_tiers *tiers, uint64_t set, const int32_t *tokens, int32_t n_tokens);

/* Whether there is room anywhere for so many bytes; what is stored now can go. */
bool lcrt_tiers_takes(const lcrt_tiers *tiers, size_t len);

/* Takes a state, also when it is not kept. Those of its own earlier turns are forgotten. */
void lcrt_tiers_put(lcrt_tiers *tiers, lcrt_state *state, int64_t now_ns);

/* The state of an item in host memory, which has been of use now; valid until the next call. */
const lcrt_state *lcrt_tiers_use(lcrt_tiers *tiers, lcrt_item *item, int64_t now_ns);

/* The item's bytes did not do: it is forgotten, its file too. */
void lcrt_tiers_refuse(lcrt_tiers *tiers, lcrt_item *item);

/* Reads an item that is on disk only. While it is busy, find says disk and another fetch changes nothing. */
void lcrt_tiers_fetch(lcrt_tiers *tiers, lcrt_item *item);

/* Whether the disk is at work on it. */
bool lcrt_tiers_busy(const lcrt_item *item);

/* Takes up what the disk has done since. Cheap when it has done nothing. */
void lcrt_tiers_settle(lcrt_tiers *tiers, int64_t now_ns);

/* Ends the disk's thread; from then on put writes to disk at once, in the caller's thread, and forgets. */
void lcrt_tiers_close(lcrt_tiers *tiers);

/* After close: writes what is in host memory only, the most valuable first, while clock says earlier than
 * end_ns. Returns the number of states that stay unwritten. */
int32_t lcrt_tiers_flush(lcrt_tiers *tiers, int64_t (*clock)(void *data), void *data, int64_t end_ns);

void lcrt_tiers_stats_get(const lcrt_tiers *tiers, lcrt_tiers_stats *out);

#endif
