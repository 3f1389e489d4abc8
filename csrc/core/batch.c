#include "batch.h"

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static bool any_stream(const lcrt_share *shares, int32_t n_shares) {
    for (int32_t i = 0; i < n_shares; i++) {
        if (shares[i].decoding) {
            return true;
        }
    }
    return false;
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

/* Gives streams that know the tokens after their next one more rows; returns how many. */
static int32_t divide_known(lcrt_share *shares, int32_t n_shares, int32_t n_max) {
    int32_t n = 0;
    for (int32_t i = 0; i < n_shares && n < n_max; i++) {
        lcrt_share *share = &shares[i];
        if (share->decoding && share->n_rows > 0) {
            int32_t n_more = least(share->n_wanted - share->n_rows, n_max - n);
            share->n_rows += n_more;
            n += n_more;
        }
    }
    return n;
}

/* Rows of a prompt that wants more than n_max: as many as leave a multiple of n_round. */
static int32_t part(int32_t n_wanted, int32_t n_max, int32_t n_round) {
    if (n_round == 0) {
        return n_max;
    }
    int32_t n = n_max - (n_round - (n_wanted - n_max) % n_round) % n_round;
    return n > 0 ? n : n_max;
}

/* Gives prompts n_left rows, the oldest first, and n_over more where one can end with them. */
static void divide_prompts(lcrt_share *shares, int32_t n_shares, const lcrt_batch_limits *limits, int32_t n_left,
                           int32_t n_over) {
    bool streams = any_stream(shares, n_shares);
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
        bool ends = share->n_wanted <= n_left + (n_before > 0 ? n_over : 0);
        if (!ends && limits->even && n_before > 0 && n_left < limits->n_chunk / 4) {
            return;
        }
        share->n_rows = ends ? share->n_wanted : part(share->n_wanted, n_left, limits->n_round);
        if (!ends) {
            return;
        }
        n_left -= share->n_rows;
        n_before += share->n_rows;
        if (streams && limits->n_more > 0 && n_left + n_over > limits->n_more - n_before) {
            n_left = least(n_left, limits->n_more - n_before);
            n_over = 0;
        }
    }
}

void lcrt_batch_divide(lcrt_share *shares, int32_t n_shares, const lcrt_batch_limits *limits) {
    bool streams = any_stream(shares, n_shares);
    int32_t n_max = least(limits->n_batch, limits->n_free);
    int32_t n_decode = divide_decode(shares, n_shares, least(n_max, limits->n_decode));
    int32_t n_known = limits->n_known > 0 ? limits->n_known : limits->n_chunk;
    n_decode += divide_known(shares, n_shares, least(least(n_max, limits->n_decode) - n_decode, n_known));
    int32_t n_left = least(n_max - n_decode, limits->n_prompt);
    int32_t n_over = 0;
    if (streams && n_left > limits->n_chunk) {
        n_over = limits->even ? least(n_left - limits->n_chunk, limits->n_chunk / 4) : 0;
        n_left = limits->n_chunk;
    }
    divide_prompts(shares, n_shares, limits, n_left, n_over);
}
