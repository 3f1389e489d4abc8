/* fake-backend.h -- the fake backend's insides, shared by its files. */
#ifndef LCRT_FAKE_BACKEND_H
#define LCRT_FAKE_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fake-cells.h"
#include "lcrt/fake.h"

/* Logits of the token that comes next and of all others, where only one can come. */
#define FAKE_PEAK 10.0f
#define FAKE_FLOOR (-10.0f)

typedef struct fake_backend {
    lcrt_fake_params params;
    int32_t *script;
    fake_cells cells;
    int32_t *row_output; /* of the last decode: output number of each row, -1 without */
    int32_t n_rows;
    float *logits;                    /* n_outputs rows */
    int32_t *peaks;                   /* per row of logits: where it is not FAKE_FLOOR, -1 nowhere */
    int32_t n_calls;                  /* decodes asked for */
    int32_t n_guess_calls, n_guesses; /* ... and guesses, and tokens of these */

    atomic_bool interrupted;
    atomic_int_fast64_t clock_ns;
    pthread_mutex_t mutex; /* for what is below */
    pthread_cond_t cond;
    bool hold, held;
    lcrt_fake_stats stats;
} fake_backend;

extern const lcrt_backend_vtable fake_vtable;

void fake_free(void *self);

/* Spends so much time; false when interrupted. */
bool fake_spend(fake_backend *fake, int64_t cost);

/* What is behind this name in backend.h. */
lcrt_status fake_guess(void *self, lcrt_ahead *aheads, int32_t n_aheads);

#endif
