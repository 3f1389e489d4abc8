/* ring.h -- records from one thread to another, without locks.
 *
 * One writer and one reader, which may be different threads. Records have any
 * length, lie in one piece and begin at multiples of 8. Nothing is allocated
 * after init; neither side ever waits for the other. */
#ifndef LCRT_RING_H
#define LCRT_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "lcrt/status.h"

typedef struct lcrt_ring lcrt_ring;

/* len in bytes, a power of two of at least 64. */
lcrt_status lcrt_ring_init(size_t len, lcrt_ring **out);
void lcrt_ring_free(lcrt_ring *ring);

/* The longest record that fits whatever the ring's position is. */
size_t lcrt_ring_record_max(const lcrt_ring *ring);

/* Writer: place for a record of up to len bytes, NULL when there is no room now.
 * A new reserve forgets one that was not committed. */
void *lcrt_ring_reserve(lcrt_ring *ring, size_t len);

/* Writer: publishes the reserved record; len may be less than was reserved. */
void lcrt_ring_commit(lcrt_ring *ring, size_t len);

/* Reader: the next record, NULL when there is none. Valid until release. */
const void *lcrt_ring_next(lcrt_ring *ring, size_t *len);

/* Reader: gives back the space of all records that next has returned. */
void lcrt_ring_release(lcrt_ring *ring);

/* Reader: true when next would return NULL. */
bool lcrt_ring_empty(const lcrt_ring *ring);

#endif
