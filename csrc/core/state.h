/* state.h -- what a sequence holds, outside of the backend: tokens, and bytes that only the backend reads.
 *
 * A state has the whole content of a sequence and, where the memory cannot be cut, checkpoints: what of
 * the memory cannot be cut, as it was at an earlier length. A whole content with a checkpoint of length n
 * on top of it can be cut to n.
 *
 * A state is its owner's, one thread at a time. Checkpoints are shared by counted references and do not
 * change; their references may be taken and given back by any thread. */
#ifndef LCRT_STATE_H
#define LCRT_STATE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/status.h"

typedef struct lcrt_checkpoint {
    atomic_int n_refs;
    int32_t n_tokens; /* the length that it cuts to */
    size_t len;
    uint8_t data[];
} lcrt_checkpoint;

/* With one reference and data to be filled; NULL without memory. */
lcrt_checkpoint *lcrt_checkpoint_new(int32_t n_tokens, size_t len);
lcrt_checkpoint *lcrt_checkpoint_ref(lcrt_checkpoint *checkpoint);
/* Gives a reference back. NULL is fine. */
void lcrt_checkpoint_free(lcrt_checkpoint *checkpoint);

/* Checkpoints of one sequence, the shortest first, no two of one length. */
typedef struct lcrt_checkpoints {
    lcrt_checkpoint **items;
    int32_t n, cap;
} lcrt_checkpoints;

void lcrt_checkpoints_free(lcrt_checkpoints *list);
/* Takes the reference, also when it fails. One of the same length is replaced. */
lcrt_status lcrt_checkpoints_put(lcrt_checkpoints *list, lcrt_checkpoint *checkpoint);
/* Forgets those longer than n. */
void lcrt_checkpoints_cut(lcrt_checkpoints *list, int32_t n);
/* Adds references to those of from that are not longer than n. */
lcrt_status lcrt_checkpoints_copy(lcrt_checkpoints *list, const lcrt_checkpoints *from, int32_t n);
/* The longest that is not longer than n; NULL when there is none. */
lcrt_checkpoint *lcrt_checkpoints_find(const lcrt_checkpoints *list, int32_t n);
/* Bytes of all. */
size_t lcrt_checkpoints_len(const lcrt_checkpoints *list);
/* Until no more than n_max are left: forgets the one whose loss makes the smallest gap; the longest stays. */
void lcrt_checkpoints_thin(lcrt_checkpoints *list, int32_t n_max);

typedef struct lcrt_state {
    uint64_t set; /* of changes of the weights that it was computed with; 0 unless told otherwise */
    int32_t *tokens;
    int32_t n_tokens;
    uint8_t *data; /* the whole content */
    size_t len;
    lcrt_checkpoints checkpoints; /* none longer than n_tokens */
} lcrt_state;

/* Copies the tokens; data is to be filled. */
lcrt_status lcrt_state_init(const int32_t *tokens, int32_t n_tokens, size_t len, lcrt_state **out);
void lcrt_state_free(lcrt_state *state);

/* Bytes that it takes. */
size_t lcrt_state_len(const lcrt_state *state);

#endif
