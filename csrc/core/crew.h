/* crew.h -- a few threads that share the rows of one step.
 *
 * One owner calls run, which takes part in the work itself. The threads sleep between
 * runs. */
#ifndef LCRT_CREW_H
#define LCRT_CREW_H

#include <stdint.h>

#include "lcrt/status.h"

typedef struct lcrt_crew lcrt_crew;

/* One piece of work; different i run at the same time. */
typedef void (*lcrt_crew_work)(void *data, int32_t i);

/* n_threads in all, the owner included. */
lcrt_status lcrt_crew_init(int32_t n_threads, lcrt_crew **out);
void lcrt_crew_free(lcrt_crew *crew);

/* Calls work(data, 0 .. n - 1) and returns when all have returned. */
void lcrt_crew_run(lcrt_crew *crew, lcrt_crew_work work, void *data, int32_t n);

/* The same in two halves: the other threads begin, and the owner does what it likes
 * until it takes part at the end. */
void lcrt_crew_begin(lcrt_crew *crew, lcrt_crew_work work, void *data, int32_t n);
void lcrt_crew_end(lcrt_crew *crew);

#endif
