#include "shift.h"

/* Positions beyond the kept ones without which shifting would be most of the work. */
#define ROOM_MIN 4

void lcrt_shift_plan(int32_t n_held, int32_t n_ctx, int32_t n_keep, int32_t *n_kept, int32_t *n_dropped) {
    int32_t n_keep_max = n_ctx > ROOM_MIN ? n_ctx - ROOM_MIN : 0;
    int32_t n = n_keep < n_keep_max ? n_keep : n_keep_max;
    n = n < 0 ? 0 : n;
    n = n < n_held ? n : n_held;
    int32_t n_rest = n_held - n;
    *n_kept = n;
    *n_dropped = n_rest > 1 ? n_rest / 2 : n_rest;
}
