/* test-state-llama.c -- content of a real model's sequences, taken out and put back.
 *
 * LCRT_TEST_MODEL names a GGUF; without it the test is skipped (exit code 77). */
#include <string.h>

#include "lcrt/model.h"
#include "lcrt/vocab.h"
#include "llama-rig.h"
#include "test.h"

#define N_PROMPT_MAX 64

static lcrt_model *model;
static int32_t prompt[N_PROMPT_MAX];
static int32_t n_prompt;

static lcrt_backend make(int32_t n_parallel, lcrt_kv_layout layout, int64_t n_cells) {
    lcrt_context_params params = lcrt_context_params_default();
    params.n_ctx = 256;
    params.n_batch = 64;
    params.n_ubatch = 64;
    params.n_threads = 1;
    params.n_parallel = n_parallel;
    params.layout = layout;
    params.kv_cells_max = n_cells;
    lcrt_backend backend;
    char err[512];
    REQUIRE(lcrt_backend_llama(model, &params, &backend, err, sizeof(err)) == LCRT_OK);
    return backend;
}

static void end(lcrt_backend *b) {
    b->vtable->free(b->self);
}

/* Computes prompt[from, to) behind what the sequence holds; returns the last row's logits, the caller's to free. */
static float *pass(lcrt_backend *b, int32_t seq, int32_t from, int32_t to) {
    lcrt_row rows[N_PROMPT_MAX];
    for (int32_t i = from; i < to; i++) {
        rows[i - from] = (lcrt_row){.token = prompt[i], .pos = i, .seq = seq, .output = i == to - 1};
    }
    REQUIRE(b->vtable->decode(b->self, rows, to - from) == LCRT_OK);
    const float *logits = b->vtable->logits(b->self, to - from - 1);
    REQUIRE(logits != NULL);
    float *copy = malloc((size_t)b->info.n_vocab * sizeof(float));
    REQUIRE(copy != NULL);
    memcpy(copy, logits, (size_t)b->info.n_vocab * sizeof(float));
    return copy;
}

/* What a sequence holds, the caller's to free. */
static uint8_t *take(lcrt_backend *b, int32_t seq, size_t *len) {
    size_t cap = b->vtable->state_size(b->self, seq, false);
    REQUIRE(cap > 0);
    uint8_t *data = malloc(cap);
    REQUIRE(data != NULL);
    REQUIRE(b->vtable->state_get(b->self, seq, false, data, cap, len) == LCRT_OK && *len <= cap);
    return data;
}

static void check_same(const float *a, const float *b, int32_t n) {
    CHECK(memcmp(a, b, (size_t)n * sizeof(float)) == 0);
}

static void content_goes_on_in_another_sequence_of_another_backend(void) {
    const lcrt_kv_layout layouts[] = {LCRT_KV_UNIFIED, LCRT_KV_SPLIT};
    for (int32_t i = 0; i < 2; i++) {
        lcrt_backend first = make(3, layouts[i], 0), second = make(3, layouts[i], 0);
        size_t len;
        free(pass(&first, 0, 0, 10));
        uint8_t *data = take(&first, 0, &len);
        float *want = pass(&first, 0, 10, n_prompt);
        CHECK_INT(first.vtable->state_set(first.self, 2, false, data, len), LCRT_OK);
        CHECK_INT(second.vtable->state_set(second.self, 1, false, data, len), LCRT_OK);
        float *here = pass(&first, 2, 10, n_prompt), *there = pass(&second, 1, 10, n_prompt);
        check_same(here, want, first.info.n_vocab);
        check_same(there, want, first.info.n_vocab);
        free(here);
        free(there);
        free(want);
        free(data);
        end(&first);
        end(&second);
    }
}

static void content_that_came_back_can_be_cut(void) {
    lcrt_backend b = make(2, LCRT_KV_UNIFIED, 0);
    size_t len;
    free(pass(&b, 0, 0, 8));
    float *want = pass(&b, 0, 8, n_prompt);
    uint8_t *data = take(&b, 0, &len);
    CHECK_INT(b.vtable->state_set(b.self, 1, false, data, len), LCRT_OK);
    CHECK(b.info.can_trim);
    CHECK_INT(b.vtable->trim_min(b.self, 1), 0);
    CHECK_INT(b.vtable->trim(b.self, 1, 8, -1), LCRT_OK);
    float *got = pass(&b, 1, 8, n_prompt);
    check_same(got, want, b.info.n_vocab);
    free(got);
    free(want);
    free(data);
    end(&b);
}

static void what_was_there_before_is_replaced(void) {
    lcrt_backend b = make(2, LCRT_KV_UNIFIED, 0);
    size_t len;
    free(pass(&b, 0, 0, 10));
    uint8_t *data = take(&b, 0, &len);
    float *want = pass(&b, 0, 10, n_prompt);
    free(pass(&b, 1, 0, n_prompt));
    CHECK_INT(b.vtable->state_set(b.self, 1, false, data, len), LCRT_OK);
    float *got = pass(&b, 1, 10, n_prompt);
    check_same(got, want, b.info.n_vocab);
    free(got);
    free(want);
    free(data);
    end(&b);
}

static void cut_bytes_are_refused_and_do_no_harm(void) {
    lcrt_backend b = make(2, LCRT_KV_UNIFIED, 0);
    size_t len;
    free(pass(&b, 0, 0, 10));
    uint8_t *data = take(&b, 0, &len);
    float *want = pass(&b, 0, 10, n_prompt);
    for (size_t n = 0; n < len; n += n < 256 ? 1 : len / 7) {
        CHECK_INT(b.vtable->state_set(b.self, 1, false, data, n), LCRT_ERR_FORMAT);
        CHECK_INT(b.vtable->trim(b.self, 1, 0, -1), LCRT_OK);
    }
    CHECK_INT(b.vtable->state_set(b.self, 1, false, data, len), LCRT_OK);
    float *got = pass(&b, 1, 10, n_prompt);
    check_same(got, want, b.info.n_vocab);
    free(got);
    free(want);
    free(data);
    end(&b);
}

static void without_cells_it_says_so(void) {
    lcrt_backend b = make(3, LCRT_KV_UNIFIED, 256);
    size_t len;
    free(pass(&b, 0, 0, n_prompt));
    uint8_t *data = take(&b, 0, &len);
    int32_t n_fit = 256 / n_prompt;
    lcrt_row row = {.token = prompt[0], .seq = 1};
    for (row.pos = 0; row.pos < (n_fit - 1) * n_prompt + 1; row.pos++) {
        REQUIRE(b.vtable->decode(b.self, &row, 1) == LCRT_OK);
    }
    while (b.vtable->state_set(b.self, 2, false, data, len) == LCRT_OK) {
        REQUIRE(row.pos < 256);
        REQUIRE(b.vtable->trim(b.self, 2, 0, -1) == LCRT_OK);
        REQUIRE(b.vtable->decode(b.self, &row, 1) == LCRT_OK);
        row.pos++;
    }
    CHECK_INT(b.vtable->state_set(b.self, 2, false, data, len), LCRT_ERR_FULL);
    free(data);
    end(&b);
}

static void wrong_sequences_are_refused(void) {
    lcrt_backend b = make(1, LCRT_KV_UNIFIED, 0);
    size_t len = 0;
    uint8_t data[8] = {0};
    CHECK_INT(b.vtable->state_size(b.self, 1, false), 0);
    CHECK_INT(b.vtable->state_get(b.self, -1, false, data, sizeof(data), &len), LCRT_ERR_INVALID);
    CHECK_INT(b.vtable->state_set(b.self, 1, false, data, sizeof(data)), LCRT_ERR_INVALID);
    CHECK_INT(b.vtable->trim_min(b.self, 5), 0);
    CHECK(lcrt_backend_llama_version()[0] == 'b');
    end(&b);
}

int main(void) {
    model = llama_rig_model();
    if (model == NULL) {
        return SKIPPED;
    }
    static const char text[] = "The little fox ran over the hill and saw a river that was wide and cold in the morning";
    n_prompt = lcrt_vocab_tokenise(model, text, (int32_t)strlen(text), false, false, prompt, N_PROMPT_MAX);
    REQUIRE(n_prompt > 15);
    RUN(content_goes_on_in_another_sequence_of_another_backend);
    RUN(content_that_came_back_can_be_cut);
    RUN(what_was_there_before_is_replaced);
    RUN(cut_bytes_are_refused_and_do_no_harm);
    RUN(without_cells_it_says_so);
    RUN(wrong_sequences_are_refused);
    lcrt_model_free(model);
    return test_end();
}
