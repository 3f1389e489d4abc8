/* test-layout-llama.cpp -- whether a context fits into the memory of a machine that has little.
 *
 * The limits are given, so that no machine has to be short of memory. LCRT_TEST_MODEL names a GGUF; without it the test
 * is skipped (exit code 77). */
#include "../llama/internal.hpp"
#include "../src/llama-ext.h" // beside common/, llama.cpp's staging header
#include "llama-rig.h"
#include "test.h"

namespace {

lcrt_model *model;

/* With few rows of logits, so that a context is nearly all memory of tokens. */
llama_context_params usual(uint32_t n_ctx, uint32_t n_sequences, bool unified) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = n_ctx;
    params.n_batch = 64;
    params.n_ubatch = 64;
    params.n_seq_max = n_sequences;
    params.n_outputs_max = n_sequences;
    params.n_threads = 1;
    params.n_threads_batch = 1;
    params.kv_unified = unified;
    params.no_perf = true;
    return params;
}

struct verdict {
    bool fits;
    uint64_t needed;
};

verdict ask(const llama_context_params &params, uint64_t available) {
    verdict out = {false, 0};
    out.fits = lcrt::fits_host(model, params, available, &out.needed);
    return out;
}

/* The bound that is asked first: nothing is measured where there is room for anything. */
uint64_t bound_of(const llama_context_params &params) {
    const verdict found = ask(params, UINT64_MAX);
    CHECK(found.fits);
    return found.needed;
}

uint64_t size_of(const llama_context_params &params) {
    llama_context *ctx = llama_init_from_model(model->llama, params);
    REQUIRE(ctx != nullptr);
    uint64_t size = 0;
    for (const auto &[type, data] : llama_get_memory_breakdown(ctx)) {
        size += data.context + data.compute;
    }
    llama_free(ctx);
    return size;
}

void what_is_measured_is_what_a_context_takes() {
    for (const bool unified : {true, false}) {
        llama_context_params params = usual(8192, 4, unified);
        params.n_batch = params.n_ubatch = 512;
        const verdict found = ask(params, bound_of(params));
        const double ratio = static_cast<double>(found.needed) / static_cast<double>(size_of(params));
        CHECK(ratio > 0.99 && ratio < 1.02);
        if (ratio <= 0.99 || ratio >= 1.02) {
            printf("  %.3f of what it takes\n", ratio);
        }
    }
}

void a_byte_too_few_is_too_few() {
    const llama_context_params params = usual(8192, 1, true);
    const uint64_t needed = ask(params, bound_of(params)).needed;
    CHECK(needed != bound_of(params));
    const verdict enough = ask(params, needed);
    const verdict less = ask(params, needed - 1);
    CHECK(enough.fits && !less.fits);
    CHECK(enough.needed == needed && less.needed == needed);
}

void the_bound_decides_where_even_small_contexts_have_no_room() {
    const llama_context_params params = usual(8192, 1, true);
    const verdict found = ask(params, 1000);
    CHECK(!found.fits);
    CHECK(found.needed == bound_of(params));
}

void the_bound_decides_of_contexts_as_small_as_those_measured() {
    const llama_context_params params = usual(256, 1, true);
    const uint64_t bound = bound_of(params);
    CHECK(ask(params, bound).fits);
    CHECK(!ask(params, bound - 1).fits);
    CHECK(ask(params, bound - 1).needed == bound);
}

/* Why there is no context is for the one who makes it to say. */
void what_cannot_be_measured_is_not_refused() {
    llama_context_params params = usual(8192, 1, true);
    params.type_v = GGML_TYPE_Q8_0;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    CHECK(ask(params, bound_of(params)).fits);
}

void devices_are_not_host_memory() {
    model->on_host = false;
    CHECK(ask(usual(8192, 1, true), 0).fits);
    model->on_host = true;
}

} // namespace

int main() {
    model = llama_rig_model();
    if (model == nullptr) {
        return SKIPPED;
    }
    REQUIRE(model->on_host);
    RUN(what_is_measured_is_what_a_context_takes);
    RUN(a_byte_too_few_is_too_few);
    RUN(the_bound_decides_where_even_small_contexts_have_no_room);
    RUN(the_bound_decides_of_contexts_as_small_as_those_measured);
    RUN(what_cannot_be_measured_is_not_refused);
    RUN(devices_are_not_host_memory);
    lcrt_model_free(model);
    return test_end();
}
