/* event.h -- what leaves the engine: records of the event ring.
 *
 * write is the engine thread's, read the reader's. */
#ifndef LCRT_EVENT_H
#define LCRT_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lcrt/engine.h"
#include "ring.h"
#include "sequence.h"

/* The least length of an event ring: any one token with its alternatives fits half of it. */
#define LCRT_EVENTS_LEN_MIN 4096

/* Writes what the sequence has to say, in as few records as it takes. False when the
 * ring had no room for all of it; then the rest waits in the sequence. *n_written
 * goes up by the number of records. */
bool lcrt_event_write(lcrt_sequence *sequence, lcrt_ring *ring, int32_t *n_written);

/* A view of a record. */
void lcrt_event_read(const void *record, lcrt_event *out);

#endif
