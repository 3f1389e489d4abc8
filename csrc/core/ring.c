#include "ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define CACHE_LINE 64

/* Before each record. skip is set where the rest up to the end of the buffer is unused. */
typedef struct record_head {
    uint32_t len;
    uint32_t skip;
} record_head;

/* Positions count bytes since init and never wrap around in practice. */
struct lcrt_ring {
    size_t len;
    unsigned char *bytes;
    alignas(CACHE_LINE) atomic_size_t head; /* written by the writer: end of what is published */
    size_t reserved;                        /* writer's own: where the reserved record begins */
    size_t tail_seen;                       /* writer's own: last value of tail it has read */
    alignas(CACHE_LINE) atomic_size_t tail; /* written by the reader: end of what was given back */
    size_t read;                            /* reader's own: end of what next has returned */
};

static size_t padded(size_t len) {
    return (len + 7) & ~(size_t)7;
}

static record_head *head_at(const lcrt_ring *ring, size_t position) {
    return (record_head *)(void *)(ring->bytes + (position & (ring->len - 1)));
}

lcrt_status lcrt_ring_init(size_t len, lcrt_ring **out) {
    if (len < 64 || (len & (len - 1)) != 0 || len > UINT32_MAX / 2) {
        return LCRT_ERR_INVALID;
    }
    lcrt_ring *ring = aligned_alloc(CACHE_LINE, sizeof(*ring));
    unsigned char *bytes = malloc(len);
    if (ring == NULL || bytes == NULL) {
        free(ring);
        free(bytes);
        return LCRT_ERR_NO_MEMORY;
    }
    ring->len = len;
    ring->bytes = bytes;
    ring->reserved = ring->tail_seen = ring->read = 0;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    *out = ring;
    return LCRT_OK;
}

void lcrt_ring_free(lcrt_ring *ring) {
    if (ring != NULL) {
        free(ring->bytes);
        free(ring);
    }
}

size_t lcrt_ring_record_max(const lcrt_ring *ring) {
    return ring->len / 2 - sizeof(record_head);
}

/* Whether the bytes up to position, exclusive, are free to write. */
static bool has_room(lcrt_ring *ring, size_t position) {
    if (position - ring->tail_seen > ring->len) {
        ring->tail_seen = atomic_load(&ring->tail);
    }
    return position - ring->tail_seen <= ring->len;
}

void *lcrt_ring_reserve(lcrt_ring *ring, size_t len) {
    if (len > lcrt_ring_record_max(ring)) {
        return NULL;
    }
    size_t need = sizeof(record_head) + padded(len);
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t left = ring->len - (head & (ring->len - 1));
    size_t start = left < need ? head + left : head;
    if (!has_room(ring, start + need)) {
        return NULL;
    }
    if (start != head) {
        head_at(ring, head)->skip = 1;
    }
    ring->reserved = start;
    return head_at(ring, start) + 1;
}

void lcrt_ring_commit(lcrt_ring *ring, size_t len) {
    record_head *head = head_at(ring, ring->reserved);
    head->len = (uint32_t)len;
    head->skip = 0;
    atomic_store(&ring->head, ring->reserved + sizeof(*head) + padded(len));
}

const void *lcrt_ring_next(lcrt_ring *ring, size_t *len) {
    size_t head = atomic_load(&ring->head);
    if (ring->read == head) {
        return NULL;
    }
    const record_head *record = head_at(ring, ring->read);
    if (record->skip) {
        ring->read += ring->len - (ring->read & (ring->len - 1));
        record = head_at(ring, ring->read);
    }
    *len = record->len;
    ring->read += sizeof(*record) + padded(record->len);
    return record + 1;
}

void lcrt_ring_release(lcrt_ring *ring) {
    atomic_store(&ring->tail, ring->read);
}

bool lcrt_ring_empty(const lcrt_ring *ring) {
    return ring->read == atomic_load(&ring->head);
}
