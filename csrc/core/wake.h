/* wake.h -- how the engine thread and its caller wake each other.
 *
 * A bell lets the engine sleep until somebody has rung; a signal makes a file
 * descriptor readable for a reader that waits in an event loop. */
#ifndef LCRT_WAKE_H
#define LCRT_WAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lcrt/status.h"

typedef struct lcrt_bell {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    atomic_uint n_rings;
    atomic_bool sleeping;
} lcrt_bell;

lcrt_status lcrt_bell_init(lcrt_bell *bell);
void lcrt_bell_free(lcrt_bell *bell);

/* Any thread. Cheap while nobody sleeps. */
void lcrt_bell_ring(lcrt_bell *bell);

/* The sleeper: how often it has rung. Read this before looking for work ... */
unsigned lcrt_bell_count(lcrt_bell *bell);

/* ... and when there was none, sleep until it has rung once more. */
void lcrt_bell_wait(lcrt_bell *bell, unsigned n_rings);

typedef struct lcrt_signal {
    int fd_read;
    int fd_write; /* the same where there is an eventfd */
    atomic_bool on;
} lcrt_signal;

lcrt_status lcrt_signal_init(lcrt_signal *signal);
void lcrt_signal_free(lcrt_signal *signal);

/* Makes fd_read readable, if it is not yet. Any thread. */
void lcrt_signal_set(lcrt_signal *signal);

/* Reader: must come before it looks at what was signalled. */
void lcrt_signal_clear(lcrt_signal *signal);

/* Reader: until the signal is set or timeout_ns have passed; negative waits for ever.
 * False when the time is over. */
bool lcrt_signal_wait(lcrt_signal *signal, int64_t timeout_ns);

#endif
