/* shift.h -- what happens when a sequence's context is full. Pure; any thread. */
#ifndef LCRT_SHIFT_H
#define LCRT_SHIFT_H

#include <stdint.h>

/* Of n_held positions of a context of n_ctx the first n_keep stay, at most n_ctx - 4 of
 * them; then the older half of the rest goes: n_dropped positions from *n_kept on.
 * n_dropped is at least 1 when there is anything to drop. */
void lcrt_shift_plan(int32_t n_held, int32_t n_ctx, int32_t n_keep, int32_t *n_kept, int32_t *n_dropped);

#endif
