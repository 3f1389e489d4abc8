/* backend.h -- the only way the engine reaches a model.
 *
 * A table of functions and some facts. csrc/llama fills it with llama.cpp,
 * csrc/fake with the alphabet. Threads: after lcrt_engine_init every function
 * is called from the engine thread only, except interrupt (any thread) and
 * piece and is_eog (any thread, they read immutable data). The engine owns the
 * backend once lcrt_engine_init has returned LCRT_OK and frees it. */
#ifndef LCRT_BACKEND_H
#define LCRT_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One token in one forward pass. */
typedef struct lcrt_row {
    int32_t token;
    int32_t pos; /* position in its sequence, from 0 */
    int32_t seq; /* 0 .. n_seq_max - 1 */
    bool output; /* logits are wanted */
} lcrt_row;

/* Facts that do not change while the backend lives. */
typedef struct lcrt_backend_info {
    int32_t n_vocab;
    int32_t n_ctx;      /* cells in all */
    int32_t n_ctx_seq;  /* the most positions one sequence can hold */
    int32_t n_seq_max;  /* sequences that can hold cells at the same time */
    int32_t n_batch;    /* the most rows of one decode */
    int32_t n_outputs;  /* the most rows with logits of one decode */
    int32_t n_parallel; /* rows that cost about as much as one: sampler threads */
    int32_t n_chunk;    /* rows of one sequence that a pass should have at least to be worth it; 0: any */
    bool unified;       /* sequences share the cells; share() is free of cost */
    bool consecutive;   /* a pass wants consecutive sequence ids and as many rows of each */
    bool can_trim;      /* the tail of a sequence can be forgotten, any length of it */
    int32_t n_undo;     /* without can_trim: rows of a sequence's newest pass that can be forgotten at the least, once;
                         * the first one of the pass cannot */
    bool can_store;     /* what a sequence holds can be taken out and put back; see state_size */
    bool can_shift;     /* positions can be moved */
    bool can_guess;     /* it knows what may come behind the next token; see guess */
} lcrt_backend_info;

/* What guess is asked for one sequence, and what it says. */
typedef struct lcrt_ahead {
    int32_t seq;
    int32_t token; /* the next one, ... */
    int32_t pos;   /* ... which belongs here: the sequence holds what is before it and no more */
    int32_t n_max; /* tokens behind that one; room for so many in out */
    int32_t *out;
    int32_t n; /* guessed; fewer, or none, where it does not know */
} lcrt_ahead;

typedef struct lcrt_backend_vtable {
    /* Passes from now on are made with another set of changes of the weights; 0: the backend's own. What a sequence
     * holds goes on with the set that it was computed with only. LCRT_ERR_INVALID: there is no such set. A change
     * may cost as much as a pass, the same set again nothing. */
    lcrt_status (*adapt)(void *self, uint64_t set);

    /* One forward pass over n_rows <= n_batch rows.
     * LCRT_ERR_FULL: no free cells, memory as before. LCRT_ERR_CANCELLED: interrupted,
     * memory as before. LCRT_ERR_BACKEND: anything else. */
    lcrt_status (*decode)(void *self, const lcrt_row *rows, int32_t n_rows);

    /* n_vocab logits of row i of the last decode, valid until the next one.
     * Waits for the device. NULL when the row had no output. */
    const float *(*logits)(void *self, int32_t i);

    /* Forgets positions [p0, p1) of a sequence; p1 < 0 means to the end.
     * LCRT_ERR_UNSUPPORTED when the memory cannot; the whole sequence always can. */
    lcrt_status (*trim)(void *self, int32_t seq, int32_t p0, int32_t p1);

    /* Moves positions [p0, p1) by delta. */
    lcrt_status (*shift)(void *self, int32_t seq, int32_t p0, int32_t p1, int32_t delta);

    /* dst, which must be empty, shares positions [0, n) of src. */
    lcrt_status (*share)(void *self, int32_t src, int32_t dst, int32_t n);

    /* Moves everything that src holds to dst, which must be empty. */
    lcrt_status (*move)(void *self, int32_t src, int32_t dst);

    /* The length to which the tail of a sequence can be trimmed at least: 0 where any can, more where old
     * positions of a sliding window are gone, all that it holds where a recurrent state cannot go back. */
    int32_t (*trim_min)(void *self, int32_t seq);

    /* Bytes that state_get writes; 0 when it cannot. Without part: everything that a sequence holds. With part:
     * only what trim cannot take back. */
    size_t (*state_size)(void *self, int32_t seq, bool part);

    /* Copies it out; *len is how many bytes of cap were written. Waits for the device. */
    lcrt_status (*state_get)(void *self, int32_t seq, bool part, uint8_t *out, size_t cap, size_t *len);

    /* Puts back what state_get of the same kind wrote, in this or another backend of the same model and sizes.
     * Without part it replaces the content of the sequence. With part the sequence must hold the same tokens,
     * or these and more; it then is as it was, what was behind is gone. After a failure the content is not to
     * be trusted. LCRT_ERR_FULL: no free cells. LCRT_ERR_FORMAT: these bytes are no such content. */
    lcrt_status (*state_set)(void *self, int32_t seq, bool part, const uint8_t *data, size_t len);

    /* Says what may come behind the next token of several sequences, where can_guess. What they hold stays as it is.
     * After an error it will not guess again. */
    lcrt_status (*guess)(void *self, lcrt_ahead *aheads, int32_t n_aheads);

    /* Bytes of a token, not terminated; with special, control tokens have their
     * text. The length, or minus the length needed when cap is too small. */
    int32_t (*piece)(void *self, int32_t token, bool special, char *out, int32_t cap);

    /* True for tokens that end a generation. */
    bool (*is_eog)(void *self, int32_t token);

    /* Asks a running decode to give up (on = true), or allows decoding again. */
    void (*interrupt)(void *self, bool on);

    void (*free)(void *self);
} lcrt_backend_vtable;

typedef struct lcrt_backend {
    const lcrt_backend_vtable *vtable;
    void *self;
    lcrt_backend_info info;
} lcrt_backend;

#ifdef __cplusplus
}
#endif
#endif
