/* test-llama-limits.c -- what a context says of itself to the engine, and how much room it takes for it.
 *
 * These numbers decide speed only, so nothing but a benchmark would miss them. LCRT_TEST_MODEL names a GGUF; without
 * it the test is skipped (exit code 77). */
#include "lcrt/model.h"
#include "llama.h"
#include "llama-rig.h"
#include "test.h"

static lcrt_model *model;

static lcrt_context_params usual(int32_t n_parallel) {
    lcrt_context_params params = lcrt_context_params_default();
    params.n_ctx = 1024;
    params.n_threads = 1;
    params.n_parallel = n_parallel;
    return params;
}

static lcrt_backend make(lcrt_context_params params) {
    char err[512];
    lcrt_backend backend;
    REQUIRE(lcrt_backend_llama(model, &params, &backend, err, sizeof(err)) == LCRT_OK);
    return backend;
}

static void drop(lcrt_backend *backend) {
    backend->vtable->free(backend->self);
}

/* Flash attention on CPUs computes 64 rows of one sequence at a time. */
static void prompts_come_in_whole_tiles_of_attention(void) {
    static const lcrt_kv_layout layouts[] = {LCRT_KV_SPLIT, LCRT_KV_UNIFIED};
    for (int i = 0; i < 2; i++) {
        lcrt_context_params params = usual(4);
        params.layout = layouts[i];
        lcrt_backend b = make(params);
        CHECK_INT(b.info.unified, layouts[i] == LCRT_KV_UNIFIED);
        CHECK_INT(b.info.n_chunk, llama_supports_gpu_offload() ? 0 : 64);
        drop(&b);
    }
}

static void without_flash_attention_there_are_no_tiles(void) {
    lcrt_context_params params = usual(4);
    params.flash_attention = 0;
    lcrt_backend b = make(params);
    CHECK_INT(b.info.n_chunk, 0);
    drop(&b);
}

/* Bytes of a context with so many rows of logits. */
static uint64_t size_with(int32_t n_outputs) {
    lcrt_context_params params = usual(1);
    params.n_outputs = n_outputs;
    lcrt_backend b = make(params);
    uint64_t total = 0;
    uint64_t device = 0;
    lcrt_backend_llama_memory(&b, &total, &device);
    drop(&b);
    return total;
}

/* Of the numbers of rows with the same size as one row, 128 is the last. */
static void there_is_room_for_128_rows_of_logits(void) {
    if (llama_supports_gpu_offload()) {
        CHECK(size_with(1) < size_with(128));
        return;
    }
    CHECK_INT(size_with(128), size_with(1));
    CHECK(size_with(129) > size_with(128));
}

int main(void) {
    model = llama_rig_model();
    if (model == NULL) {
        return SKIPPED;
    }
    RUN(prompts_come_in_whole_tiles_of_attention);
    RUN(without_flash_attention_there_are_no_tiles);
    RUN(there_is_room_for_128_rows_of_logits);
    lcrt_model_free(model);
    return test_end();
}
