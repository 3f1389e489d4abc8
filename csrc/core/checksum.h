/* checksum.h -- a 64-bit checksum over a stream of bytes: XXH64.
 *
 * A pure computation. Every single changed byte changes the sum; it is no protection against
 * somebody who wants it equal. */
#ifndef LCRT_CHECKSUM_H
#define LCRT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

typedef struct lcrt_checksum {
    uint64_t lanes[4];
    uint64_t n_bytes;
    uint8_t rest[32]; /* bytes that do not fill a block yet */
} lcrt_checksum;

void lcrt_checksum_init(lcrt_checksum *sum);
void lcrt_checksum_add(lcrt_checksum *sum, const void *data, size_t len);

/* The sum so far; more may be added afterwards. */
uint64_t lcrt_checksum_get(const lcrt_checksum *sum);

/* All in one. */
uint64_t lcrt_checksum_of(const void *data, size_t len);

#endif
