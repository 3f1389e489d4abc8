/* pace.h -- how many prompt rows a step can take while others decode.
 *
 * Engine thread only. Learns what steps cost: decode rows by their number, and prompt
 * rows by the size of the chunk, as a share that belongs to the size (learnt slowly)
 * times a rate that belongs to the moment (learnt fast: contexts grow, machines are
 * busy). */
#ifndef LCRT_PACE_H
#define LCRT_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define LCRT_PACE_SIZES 25

typedef struct lcrt_pace {
    int64_t target_ns;
    int32_t n_min, n_max;          /* a chunk is never smaller, never larger */
    double decode_ns[10];          /* steps of up to 1, 2, 4 .. decode rows; 0: not measured */
    double row_ns;                 /* rate: one prompt row in a very large chunk; 0: not measured */
    double share[LCRT_PACE_SIZES]; /* cost of a row in a chunk of this size, in such rows */
    int32_t largest;               /* the largest size measured, an index; -1: none */
    bool measured[LCRT_PACE_SIZES];
} lcrt_pace;

void lcrt_pace_init(lcrt_pace *pace, int64_t target_ns, int32_t n_min, int32_t n_max);

/* Prompt rows for the next step beside n_decode decode rows. */
int32_t lcrt_pace_chunk(const lcrt_pace *pace, int32_t n_decode);

/* The same where the rows are several prompts': no least number makes those worth a pass. */
int32_t lcrt_pace_more(const lcrt_pace *pace, int32_t n_decode);

/* The same with fewer rows than n_prompt. */
int32_t lcrt_pace_below(const lcrt_pace *pace, int32_t n_decode, int32_t n_prompt);

/* Whether even the least chunk takes more than half as long again as the step has time for. */
bool lcrt_pace_least_is_long(const lcrt_pace *pace, int32_t n_decode);

/* A step of another kind: what a prompt row costs was seen one step longer ago, and may be less by now. */
void lcrt_pace_doubt(lcrt_pace *pace);

/* A step of so many rows took ns. */
void lcrt_pace_measure(lcrt_pace *pace, int32_t n_decode, int32_t n_prompt, int64_t ns);

#endif
