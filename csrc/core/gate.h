/* gate.h -- whether drafts pay, and how long they should be.
 *
 * A pure computation, engine thread only. It learns what passes cost by their number of rows,
 * and how often drafts of each source are right: also of those that no row was spent on, which
 * are compared with what came anyway. A draft is tried when the two say that tokens come faster
 * with it. Should they be wrong, a credit bounds the loss: every pass adds a small part of its
 * time, gains add to it up to a limit, losses take from it, and without credit there are no drafts.
 * What has to be spent before there can be a draft may take half of it, if the answer will bring that in. */
#ifndef LCRT_GATE_H
#define LCRT_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* Rows of a pass that are known apart; with more there are no drafts. */
#define LCRT_GATE_ROWS 64
/* Where drafts come from: the levels of lookup.h; a way that has just been found again; the same, should a token
 * have taken the place of another one; a draft model. */
#define LCRT_GATE_SOURCES 6
#define LCRT_GATE_NEAR 3
#define LCRT_GATE_SKIP 4
#define LCRT_GATE_MODEL 5

typedef struct lcrt_gate {
    double one_ns;                          /* a pass of one row, now; 0: nothing measured */
    double costs[LCRT_GATE_ROWS + 1];       /* of so many rows, in passes of one; 0: not measured */
    int32_t n_measured[LCRT_GATE_ROWS + 1]; /* times, as far as it matters */
    double rates[LCRT_GATE_SOURCES];        /* of drafted tokens, right ones */
    double back;                            /* what a pass costs more behind one of more rows, in passes of one row */
    int32_t n_rows_last;                    /* of the last pass */
    bool was_plain;                         /* ... and whether the one before the last choice had no drafts */
    bool asks;
    double credit_ns;
    int32_t n_declined; /* drafts since the last pass with any */
} lcrt_gate;

/* How right the drafts of one sequence are. */
typedef struct lcrt_gate_own {
    double rates[LCRT_GATE_SOURCES];
} lcrt_gate_own;

/* What could be drafted for one stream. */
typedef struct lcrt_gate_wish {
    int32_t n_max;  /* tokens; 0: nothing */
    double rate;    /* each is right with this chance if those before it are */
    double each_ns; /* what drafting one costs */
    double once_ns; /* what it costs before there can be any at all, maybe over several passes ... */
    int32_t n_left; /* ... which so many tokens of the answer, drafted or not, must bring in; 1 at least if it costs */
} lcrt_gate_wish;

/* asks: there is a source that costs before it is known how right it is. The credit begins with enough for that. */
void lcrt_gate_init(lcrt_gate *gate, bool asks);

/* What a sequence begins with: what is known from others. */
void lcrt_gate_begin(const lcrt_gate *gate, lcrt_gate_own *own);

/* A pass of so many decode rows and no others took ns. */
void lcrt_gate_measure(lcrt_gate *gate, int32_t n_rows, int64_t ns);

/* Of a draft from this source, n_right tokens were right, and then one was not if wrong. */
void lcrt_gate_observe(lcrt_gate *gate, lcrt_gate_own *own, int32_t source, int32_t n_right, bool wrong);

/* Whether so many drafts in a row were declined that one is tried should it be affordable. A source that has no
 * guesses unless it is asked for them then wishes with this rate at least, and for no more tokens than this. */
bool lcrt_gate_is_curious(const lcrt_gate *gate);
#define LCRT_GATE_RETRY_RATE 0.85
#define LCRT_GATE_RETRY_TOKENS 3

/* The most tokens to draft for each stream of the next pass; 0: none. One row each is needed
 * anyway. n_spare: rows beyond these, over all streams. */
int32_t lcrt_gate_choose(lcrt_gate *gate, const lcrt_gate_wish *wishes, int32_t n_streams, int32_t n_spare);

/* Drafting took ns, whatever comes of it. */
void lcrt_gate_spend(lcrt_gate *gate, int64_t ns);

/* A pass with n_drafted tokens, of which n_taken became the answer, is over; 0: a draft that was chosen came to nothing. */
void lcrt_gate_settle(lcrt_gate *gate, int32_t n_streams, int32_t n_drafted, int32_t n_taken);

/* What a pass is expected to take; at most LCRT_GATE_ROWS. */
double lcrt_gate_cost(const lcrt_gate *gate, int32_t n_rows);

#endif
