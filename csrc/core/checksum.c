#include "checksum.h"

#include <string.h>

#define BLOCK_LEN 32

static const uint64_t prime_1 = 0x9E3779B185EBCA87u, prime_2 = 0xC2B2AE3D27D4EB4Fu, prime_3 = 0x165667B19E3779F9u,
                      prime_4 = 0x85EBCA77C2B2AE63u, prime_5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t x, int n) {
    return (x << n) | (x >> (64 - n));
}

static uint64_t word_64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t word_32(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t turn(uint64_t lane, uint64_t word) {
    return rotate(lane + word * prime_2, 31) * prime_1;
}

void lcrt_checksum_init(lcrt_checksum *sum) {
    *sum = (lcrt_checksum){.lanes = {prime_1 + prime_2, prime_2, 0, 0 - prime_1}};
}

/* Takes whole blocks; returns where they end. */
static const uint8_t *add_blocks(lcrt_checksum *sum, const uint8_t *at, size_t n_blocks) {
    uint64_t a = sum->lanes[0], b = sum->lanes[1], c = sum->lanes[2], d = sum->lanes[3];
    for (; n_blocks > 0; n_blocks--, at += BLOCK_LEN) {
        a = turn(a, word_64(at));
        b = turn(b, word_64(at + 8));
        c = turn(c, word_64(at + 16));
        d = turn(d, word_64(at + 24));
    }
    sum->lanes[0] = a;
    sum->lanes[1] = b;
    sum->lanes[2] = c;
    sum->lanes[3] = d;
    return at;
}

void lcrt_checksum_add(lcrt_checksum *sum, const void *data, size_t len) {
    const uint8_t *at = data;
    size_t n_rest = (size_t)(sum->n_bytes % BLOCK_LEN);
    sum->n_bytes += len;
    if (n_rest > 0) {
        size_t n = len < BLOCK_LEN - n_rest ? len : BLOCK_LEN - n_rest;
        memcpy(sum->rest + n_rest, at, n);
        at += n;
        len -= n;
        if (n_rest + n < BLOCK_LEN) {
            return;
        }
        (void)add_blocks(sum, sum->rest, 1);
    }
    at = add_blocks(sum, at, len / BLOCK_LEN);
    if (len % BLOCK_LEN > 0) {
        memcpy(sum->rest, at, len % BLOCK_LEN);
    }
}

/* The bytes behind the last whole block. */
static uint64_t add_rest(uint64_t hash, const uint8_t *at, size_t len) {
    for (; len >= 8; at += 8, len -= 8) {
        hash = rotate(hash ^ turn(0, word_64(at)), 27) * prime_1 + prime_4;
    }
    if (len >= 4) {
        hash = rotate(hash ^ (word_32(at) * prime_1), 23) * prime_2 + prime_3;
        at += 4;
        len -= 4;
    }
    for (; len > 0; at++, len--) {
        hash = rotate(hash ^ (*at * prime_5), 11) * prime_1;
    }
    return hash;
}

uint64_t lcrt_checksum_get(const lcrt_checksum *sum) {
    const uint64_t *lanes = sum->lanes;
    uint64_t hash = prime_5; /* as with a seed of 0 */
    if (sum->n_bytes >= BLOCK_LEN) {
        hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
        for (int i = 0; i < 4; i++) {
            hash = (hash ^ turn(0, lanes[i])) * prime_1 + prime_4;
        }
    }
    hash = add_rest(hash + sum->n_bytes, sum->rest, (size_t)(sum->n_bytes % BLOCK_LEN));
    hash = (hash ^ (hash >> 33)) * prime_2;
    hash = (hash ^ (hash >> 29)) * prime_3;
    return hash ^ (hash >> 32);
}

uint64_t lcrt_checksum_of(const void *data, size_t len) {
    lcrt_checksum sum;
    lcrt_checksum_init(&sum);
    lcrt_checksum_add(&sum, data, len);
    return lcrt_checksum_get(&sum);
}
