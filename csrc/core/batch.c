#include "batch.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Gives decoding sequences their rows; returns how many. */
static int32_t divide_decode(lcrt_share *shares, int32_t n_shares, int32_t n_max) {
    int32_t n = 0;
    for (int32_t i = 0; i < n_shares; i++) {
        shares[i].n_rows = shares[i].decoding && n < n_max ? 1 : 0;
        n += shares[i].n_rows;
    }
    return n;
}

/* Rows of a prompt that wants more than n_max: as many as leave a multiple of n_round. */
static int32_t part(int32_t n_wanted, int32_t n_max, int32_t n_round) {
    if (n_wanted <= n_max || n_round == 0) {
        return least(n_wanted, n_max);
    }
    int32_t n = n_max - (n_round - (n_wanted - n_max) % n_round) % n_round;
    return n > 0 ? n : n_max;
}

void lcrt_batch_divide(lcrt_share *shares, int32_t n_shares, const lcrt_batch_limits *limits) {
    bool streams = false;
    for (int32_t i = 0; i < n_shares; i++) {
        streams = streams || shares[i].decoding;
    }
    int32_t n_max = least(limits->n_batch, limits->n_free);
    int32_t n_decode = divide_decode(shares, n_shares, least(n_max, limits->n_decode));
    int32_t n_left = least(n_max - n_decode, limits->n_prompt);
    if (streams) {
        n_left = least(n_left, limits->n_chunk);
    }
    int32_t n_before = 0; /* rows of prompts that end in this step */
    for (int32_t i = 0; i < n_shares && n_left > 0; i++) {
        lcrt_share *share = &shares[i];
        if (share->decoding) {
            continue;
        }
        bool longer = n_before > 0 && share->n_wanted > n_before && share->n_wanted > limits->n_chunk;
        if (!streams && longer) {
            n_left = least(n_left, limits->n_chunk);
        }
        share->n_rows = part(share->n_wanted, n_left, limits->n_round);
        if (share->n_rows < share->n_wanted) {
            return;
        }
        n_left -= share->n_rows;
        n_before += share->n_rows;
    }
}
