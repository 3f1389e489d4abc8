/* value.h -- what cached tokens are worth. Pure; any thread. */
#ifndef LCRT_VALUE_H
#define LCRT_VALUE_H

#include <stdint.h>

typedef struct lcrt_worth {
    int32_t n_saved; /* tokens that had to be computed again: those held nowhere else */
    int32_t n_uses;  /* how many prompts have found them */
    int64_t age_ns;  /* since they were last in use */
} lcrt_worth;

/* Tokens saved times the chance that they are wanted again. Compare it between things that
 * take the same place; divide it by cells or bytes where room is what is short. */
double lcrt_value(const lcrt_worth *worth);

#endif
