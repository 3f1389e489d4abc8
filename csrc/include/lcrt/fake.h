/* fake.h -- a backend without a model, for tests and for measuring the engine alone.
 *
 * It stores the token of every position of every sequence and predicts the next one
 * from them, so that a wrong position, a lost cell or another sequence's content gives
 * another answer. What no caller may do (a hole in the positions, a move onto content)
 * makes decode fail and is counted.
 *
 * Threads: as backend.h says; stats, clock and hold from any thread. */
#ifndef LCRT_FAKE_H
#define LCRT_FAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lcrt/backend.h"
#include "lcrt/grammar.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The vocabulary: three control tokens, the letters, and pieces made to be difficult.
 * Tokens beyond the named ones are words: " w100", " w101" and so on. */
enum {
    LCRT_FAKE_EOG = 0,    /* control, "</s>" */
    LCRT_FAKE_BOS = 1,    /* control, "<s>" */
    LCRT_FAKE_MARK = 2,   /* control, "<|mark|>" */
    LCRT_FAKE_A = 3,      /* "a" .. "z" follow each other */
    LCRT_FAKE_SPACE = 29, /* " " */
    LCRT_FAKE_NEWLINE = 30,
    LCRT_FAKE_STOP = 31,      /* "STOP" */
    LCRT_FAKE_ST = 32,        /* "ST" */
    LCRT_FAKE_OP = 33,        /* "OP" */
    LCRT_FAKE_E_ACUTE_1 = 34, /* the two bytes of an e with acute */
    LCRT_FAKE_E_ACUTE_2 = 35,
    LCRT_FAKE_EURO_1 = 36, /* the three bytes of the euro sign */
    LCRT_FAKE_EURO_2 = 37,
    LCRT_FAKE_EURO_3 = 38,
    LCRT_FAKE_FACE_1 = 39, /* an emoji: its first byte, the two after it, the last */
    LCRT_FAKE_FACE_2 = 40,
    LCRT_FAKE_FACE_3 = 41,
    LCRT_FAKE_INVALID = 42, /* a byte that is in no character */
    LCRT_FAKE_EMPTY = 43,   /* no bytes */
    LCRT_FAKE_LONG = 44,    /* 300 bytes of "x" */
    LCRT_FAKE_WORDS = 45,   /* the first word */
    LCRT_FAKE_N_VOCAB = 64  /* the default size; at least LCRT_FAKE_WORDS */
};

typedef enum lcrt_fake_mode {
    LCRT_FAKE_ALPHABET, /* after a letter the next one, after "z" the end; else the token itself. With set n the
                         * letter n % 5 behind the next one */
    LCRT_FAKE_SCRIPT,   /* after position p the script's token p modulo its length */
    LCRT_FAKE_HASH      /* any token, decided by everything the sequence holds */
} lcrt_fake_mode;

typedef struct lcrt_fake_params {
    lcrt_fake_mode mode;
    const int32_t *script; /* copied */
    int32_t n_script;
    uint64_t seed;    /* HASH */
    int32_t n_window; /* HASH: so many last tokens decide; 0: all */
    float eog_bias;   /* HASH: added to the logit of the end; others lie in -4 .. 4 */

    int32_t n_vocab, n_ctx, n_ctx_seq, n_seq_max, n_batch, n_parallel, n_chunk; /* as in lcrt_backend_info */
    int32_t n_outputs;                                                          /* the same; 0: n_seq_max */
    bool unified, consecutive, can_trim, can_shift, can_store;
    uint64_t n_sets; /* 1 .. n_sets are known beside 0 */
    int32_t n_undo;  /* as in lcrt_backend_info; n_back is at least that */
    int32_t n_back;  /* without can_trim: so many positions can be forgotten, as with a sliding window */

    int64_t step_ns;   /* what a pass costs, with consecutive each run of sequence ids in it ... */
    int64_t row_ns;    /* ... and each of its rows */
    int64_t adapt_ns;  /* what a change of the set costs */
    int64_t copy_ns;   /* what copying one token between sequences costs, where they share no cells */
    bool virtual_time; /* lcrt_fake_clock moves on by that; else the thread is kept busy */

    bool can_guess;        /* the tokens behind the next one, as they will come ... */
    int32_t n_wrong;       /* ... but for every so many-th of them; 0: none is wrong */
    int64_t guess_ns;      /* what each costs */
    int32_t guess_fail_at; /* the guess that fails, counted from 1; 0: none */

    int32_t fail_at; /* the decode that fails, counted from 1; 0: none */
    int32_t full_at; /* the decode that finds no room although there is some; 0: none */
    int32_t n_full;  /* and so many after it */

    /* Called at the start of every decode, with what it is asked to do. */
    void (*on_decode)(void *data, const lcrt_row *rows, int32_t n_rows);
    void *on_decode_data;
} lcrt_fake_params;

/* ALPHABET, 8 sequences in 4096 unified cells, able to do everything, no cost. */
lcrt_fake_params lcrt_fake_params_default(void);

lcrt_status lcrt_backend_fake(const lcrt_fake_params *params, lcrt_backend *out);

typedef struct lcrt_fake_stats {
    int64_t n_decodes; /* calls that computed something */
    int64_t n_rows;
    int64_t n_gaps;   /* of the calls, those whose sequence ids did not follow each other */
    int64_t n_faults; /* things that no caller may do */
    int64_t n_cells;  /* in use now */
    int64_t n_moved;  /* tokens moved to other sequences */
    int64_t n_adapts; /* changes of the set */
} lcrt_fake_stats;

void lcrt_fake_stats_get(const lcrt_backend *backend, lcrt_fake_stats *out);

/* The virtual time; self is the backend's. */
int64_t lcrt_fake_clock(void *self);

/* While on, a decode that begins waits until it is off again or interrupted. */
void lcrt_fake_hold(const lcrt_backend *backend, bool on);

/* Waits until a decode is held. */
void lcrt_fake_wait_held(const lcrt_backend *backend);

/* The logits after tokens with a set, computed from nothing but these: what a test compares with. */
void lcrt_fake_logits(const lcrt_fake_params *params, uint64_t set, const int32_t *tokens, int32_t n_tokens,
                      float *out);

/* Bytes of a token, as the backend's piece. */
int32_t lcrt_fake_piece(int32_t token, bool special, char *out, int32_t cap);

/* What has been asked of a grammar, or of several that share this. */
typedef struct lcrt_fake_grammar_stats {
    atomic_int n_masks;
    atomic_int n_accepted; /* tokens */
    atomic_int n_faults;   /* tokens that were not allowed, or taken back too many */
    atomic_int n_freed;
} lcrt_fake_grammar_stats;

/* Which of the first 64 tokens may stand at each place of an answer. */
typedef struct lcrt_fake_grammar_params {
    const uint64_t *places;         /* bit t: token t may stand here; copied */
    int32_t n_places;               /* behind the last one nothing but the end may come */
    int32_t n_least;                /* the end may come after as many tokens */
    bool free;                      /* forces nothing, also where there is no choice */
    int32_t fail_at;                /* the mask that cannot be computed, counted from 1; 0: none */
    void (*on_mask)(void *data);    /* called by every mask, in its thread */
    void (*on_forced)(void *data);  /* the same by whoever asks what is forced */
    void *on_mask_data;             /* of both */
    lcrt_fake_grammar_stats *stats; /* outlives the grammar; NULL: not counted */
} lcrt_fake_grammar_params;

lcrt_status lcrt_grammar_fake(const lcrt_fake_grammar_params *params, lcrt_grammar *out);

#ifdef __cplusplus
}
#endif
#endif
