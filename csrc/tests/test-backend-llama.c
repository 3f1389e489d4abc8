/* test-backend-llama.c -- the table of backend.h over a real model.
 *
 * LCRT_TEST_MODEL names a GGUF; without it the test is skipped (exit code 77). */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lcrt/model.h"
#include "lcrt/vocab.h"
#include "llama.h"

enum { n_prompt_max = 64, error_len = 512 };

static const char text[] = "The little fox ran over the hill and saw a river that was wide and cold in the morning";

static lcrt_model *model;
static const char *model_path;
static int32_t prompt[n_prompt_max];
static int32_t n_prompt;
static char err[error_len];

static void load(void) {
    const lcrt_model_params params = lcrt_model_params_default();
    if (lcrt_model_load(model_path, &params, &model, err, sizeof(err)) != LCRT_OK) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
    n_prompt = lcrt_vocab_tokenise(model, text, (int32_t)strlen(text), false, false, prompt, n_prompt_max);
    assert(n_prompt > 15);
}

static lcrt_context_params small(int32_t n_parallel, lcrt_kv_layout layout) {
    lcrt_context_params params = lcrt_context_params_default();
    params.n_ctx = 256;
    params.n_batch = 64;
    params.n_ubatch = 64;
    params.n_threads = 1;
    params.n_parallel = n_parallel;
    params.layout = layout;
    return params;
}

static lcrt_backend make(lcrt_context_params params) {
    lcrt_backend backend;
    const lcrt_status status = lcrt_backend_llama(model, &params, &backend, err, sizeof(err));
    if (status != LCRT_OK) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
    return backend;
}

static void drop(lcrt_backend *backend) {
    backend->vtable->free(backend->self);
}

/* Decodes prompt[from, to) at those positions plus offset; the last row has an output. */
static lcrt_status pass(lcrt_backend *b, int32_t seq, int32_t from, int32_t to, int32_t offset) {
    lcrt_row rows[n_prompt_max];
    for (int32_t i = from; i < to; i++) {
        rows[i - from] = (lcrt_row){prompt[i], i + offset, seq, i == to - 1};
    }
    return b->vtable->decode(b->self, rows, to - from);
}

/* A copy of the logits of the last row of a pass. */
static float *keep(lcrt_backend *b, int32_t row) {
    const float *logits = b->vtable->logits(b->self, row);
    assert(logits != NULL);
    const size_t size = (size_t)b->info.n_vocab * sizeof(float);
    float *copy = malloc(size);
    assert(copy != NULL);
    memcpy(copy, logits, size);
    return copy;
}

static float distance(const float *a, const float *b, int32_t n) {
    float most = 0;
    for (int32_t i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(a[i] - b[i]));
    }
    return most;
}

static bool same(const float *a, const float *b, int32_t n) {
    return memcmp(a, b, (size_t)n * sizeof(float)) == 0;
}

/* What llama.cpp alone answers to the whole prompt. */
static float *plain_logits(int32_t n_vocab) {
    struct llama_model *plain = llama_model_load_from_file(model_path, llama_model_default_params());
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = 256;
    params.n_batch = 64;
    params.n_ubatch = 64;
    params.n_threads = 1;
    params.n_threads_batch = 1;
    params.kv_unified = true;
    struct llama_context *ctx = llama_init_from_model(plain, params);
    assert(ctx != NULL);
    assert(llama_decode(ctx, llama_batch_get_one(prompt, n_prompt)) == 0);
    float *copy = malloc((size_t)n_vocab * sizeof(float));
    assert(copy != NULL);
    memcpy(copy, llama_get_logits_ith(ctx, -1), (size_t)n_vocab * sizeof(float));
    llama_free(ctx);
    llama_model_free(plain);
    return copy;
}

static void test_logits_are_those_of_llama_cpp(void) {
    lcrt_backend b = make(small(1, LCRT_KV_AUTO));
    float *want = plain_logits(b.info.n_vocab);
    assert(pass(&b, 0, 0, n_prompt, 0) == LCRT_OK);
    assert(same(b.vtable->logits(b.self, n_prompt - 1), want, b.info.n_vocab));
    assert(b.vtable->logits(b.self, 0) == NULL);
    assert(b.vtable->logits(b.self, n_prompt) == NULL);
    free(want);
    drop(&b);
}

static void test_trim_and_again_is_the_same(void) {
    lcrt_backend b = make(small(1, LCRT_KV_AUTO));
    assert(b.info.can_trim);
    assert(pass(&b, 0, 0, 9, 0) == LCRT_OK && pass(&b, 0, 9, n_prompt, 0) == LCRT_OK);
    float *want = keep(&b, n_prompt - 10);
    assert(b.vtable->trim(b.self, 0, 9, -1) == LCRT_OK);
    assert(pass(&b, 0, 9, n_prompt, 0) == LCRT_OK);
    assert(same(b.vtable->logits(b.self, n_prompt - 10), want, b.info.n_vocab));
    assert(b.vtable->trim(b.self, 0, 0, -1) == LCRT_OK);
    assert(pass(&b, 0, 0, 9, 0) == LCRT_OK);
    free(want);
    drop(&b);
}

/* Attention looks at distances only: all positions moved alike, the next token is the same. */
static void test_shift_moves_positions(void) {
    lcrt_backend b = make(small(1, LCRT_KV_AUTO));
    assert(b.info.can_shift);
    assert(pass(&b, 0, 0, 10, 0) == LCRT_OK && pass(&b, 0, 10, 11, 0) == LCRT_OK);
    float *want = keep(&b, 0);
    assert(b.vtable->trim(b.self, 0, 10, -1) == LCRT_OK);
    assert(b.vtable->shift(b.self, 0, 0, 10, 7) == LCRT_OK);
    assert(pass(&b, 0, 10, 11, 0) == LCRT_ERR_INVALID);
    assert(pass(&b, 0, 10, 11, 7) == LCRT_OK);
    const float moved = distance(b.vtable->logits(b.self, 0), want, b.info.n_vocab);
    assert(moved < 1.5F);
    free(want);
    drop(&b);
}

static void move_in(lcrt_kv_layout layout) {
    lcrt_backend b = make(small(3, layout));
    assert(b.info.unified == (layout == LCRT_KV_UNIFIED) && b.info.consecutive == (layout == LCRT_KV_SPLIT));
    assert(pass(&b, 2, 0, 10, 0) == LCRT_OK && pass(&b, 2, 10, 11, 0) == LCRT_OK);
    float *want = keep(&b, 0);
    assert(b.vtable->trim(b.self, 2, 10, -1) == LCRT_OK);
    assert(b.vtable->move(b.self, 2, 0) == LCRT_OK);
    assert(pass(&b, 0, 10, 11, 0) == LCRT_OK);
    const float moved = distance(b.vtable->logits(b.self, 0), want, b.info.n_vocab);
    assert(moved < 1e-3F);
    assert(pass(&b, 2, 0, 10, 0) == LCRT_OK);
    free(want);
    drop(&b);
}

static void test_a_moved_sequence_goes_on(void) {
    move_in(LCRT_KV_SPLIT);
    move_in(LCRT_KV_UNIFIED);
}

static void share_in(lcrt_kv_layout layout) {
    lcrt_backend b = make(small(2, layout));
    assert(pass(&b, 0, 0, 10, 0) == LCRT_OK && pass(&b, 0, 10, 14, 0) == LCRT_OK);
    float *want = keep(&b, 3);
    assert(b.vtable->share(b.self, 0, 1, 10) == LCRT_OK);
    assert(b.vtable->trim(b.self, 0, 0, -1) == LCRT_OK);
    assert(pass(&b, 1, 10, 14, 0) == LCRT_OK);
    const float apart = distance(b.vtable->logits(b.self, 3), want, b.info.n_vocab);
    assert(apart < 1e-3F);
    free(want);
    drop(&b);
}

static void test_a_shared_prefix_outlives_its_source(void) {
    share_in(LCRT_KV_UNIFIED);
    share_in(LCRT_KV_SPLIT);
}

static void test_bad_rows_are_refused(void) {
    lcrt_backend b = make(small(2, LCRT_KV_AUTO));
    lcrt_row row = {b.info.n_vocab, 0, 0, true};
    assert(b.vtable->decode(b.self, &row, 1) == LCRT_ERR_INVALID);
    row = (lcrt_row){prompt[0], 0, 2, true};
    assert(b.vtable->decode(b.self, &row, 1) == LCRT_ERR_INVALID);
    row = (lcrt_row){prompt[0], -1, 0, true};
    assert(b.vtable->decode(b.self, &row, 1) == LCRT_ERR_INVALID);
    lcrt_row rows[65];
    for (int32_t i = 0; i < 65; i++) {
        rows[i] = (lcrt_row){prompt[0], i, 0, false};
    }
    assert(b.vtable->decode(b.self, rows, 0) == LCRT_ERR_INVALID);
    assert(b.vtable->decode(b.self, rows, 65) == LCRT_ERR_INVALID);
    assert(pass(&b, 0, 0, 5, 0) == LCRT_OK);
    drop(&b);
}

static void test_a_full_context_says_so_and_keeps_its_memory(void) {
    lcrt_backend b = make(small(1, LCRT_KV_AUTO));
    int32_t pos = 0;
    for (; pos + 16 <= b.info.n_ctx; pos += 16) {
        assert(pass(&b, 0, 0, 16, pos) == LCRT_OK);
    }
    assert(pass(&b, 0, 0, 16, pos) == LCRT_ERR_FULL);
    assert(b.vtable->trim(b.self, 0, 16, -1) == LCRT_OK);
    assert(pass(&b, 0, 0, 16, 16) == LCRT_OK);
    drop(&b);
}

static void test_an_interrupted_pass_leaves_nothing(void) {
    lcrt_backend b = make(small(1, LCRT_KV_AUTO));
    assert(pass(&b, 0, 0, 9, 0) == LCRT_OK);
    b.vtable->interrupt(b.self, true);
    assert(pass(&b, 0, 9, n_prompt, 0) == LCRT_ERR_CANCELLED);
    assert(b.vtable->logits(b.self, n_prompt - 10) == NULL);
    b.vtable->interrupt(b.self, false);
    assert(pass(&b, 0, 9, n_prompt, 0) == LCRT_OK);
    drop(&b);
}

static void test_the_layout_follows_the_cells(void) {
    lcrt_context_params params = small(4, LCRT_KV_AUTO);
    lcrt_backend b = make(params);
    assert(!b.info.unified && b.info.n_ctx == 1024 && b.info.n_ctx_seq == 256);
    drop(&b);
    params.kv_cells_max = 512;
    b = make(params);
    assert(b.info.unified && b.info.n_ctx == 512 && b.info.n_ctx_seq == 256 && !b.info.consecutive);
    drop(&b);
    params.n_ctx = 2048;
    b = make(params);
    assert(b.info.unified && b.info.n_ctx == 512 && b.info.n_ctx_seq == 512);
    drop(&b);
}

static void test_a_context_that_cannot_fit_is_an_error(void) {
    lcrt_backend b;
    lcrt_context_params params = small(1, LCRT_KV_AUTO);
    params.n_ctx = 1 << 30;
    assert(lcrt_backend_llama(model, &params, &b, err, sizeof(err)) == LCRT_ERR_NO_MEMORY);
    assert(strstr(err, "GiB") != NULL);
    params.n_parallel = 64;
    params.n_batch = 64;
    assert(lcrt_backend_llama(model, &params, &b, err, sizeof(err)) == LCRT_ERR_NO_MEMORY);
    params.n_parallel = 0;
    assert(lcrt_backend_llama(model, &params, &b, err, sizeof(err)) == LCRT_ERR_INVALID);
    params = small(1, LCRT_KV_AUTO);
    params.kv_type = "q7_9";
    assert(lcrt_backend_llama(model, &params, &b, err, sizeof(err)) == LCRT_ERR_INVALID);
}

static void test_pieces_make_up_the_text(void) {
    lcrt_backend b = make(small(1, LCRT_KV_AUTO));
    char out[sizeof(text) + 16];
    int32_t length = 0;
    for (int32_t i = 0; i < n_prompt; i++) {
        length += b.vtable->piece(b.self, prompt[i], false, out + length, (int32_t)sizeof(out) - length);
    }
    assert(length == (int32_t)strlen(text) && memcmp(out, text, (size_t)length) == 0);
    assert(b.vtable->is_eog(b.self, lcrt_vocab_eos(model)) && !b.vtable->is_eog(b.self, prompt[0]));
    assert(b.vtable->piece(b.self, -1, false, out, 4) == 0);
    drop(&b);
}

int main(void) {
    model_path = getenv("LCRT_TEST_MODEL");
    if (model_path == NULL || fopen(model_path, "rb") == NULL) {
        return 77;
    }
    if (lcrt_runtime_init(getenv("LCRT_LIB_DIR")) != LCRT_OK) {
        fprintf(stderr, "no backend found\n");
        return 1;
    }
    load();
    test_logits_are_those_of_llama_cpp();
    test_trim_and_again_is_the_same();
    test_shift_moves_positions();
    test_a_moved_sequence_goes_on();
    test_a_shared_prefix_outlives_its_source();
    test_bad_rows_are_refused();
    test_a_full_context_says_so_and_keeps_its_memory();
    test_an_interrupted_pass_leaves_nothing();
    test_the_layout_follows_the_cells();
    test_a_context_that_cannot_fit_is_an_error();
    test_pieces_make_up_the_text();
    lcrt_model_free(model);
    return 0;
}
