/* test-lanes-llama.c -- products with half-precision weights and GELU on CPUs against double precision.
 *
 * Every case is computed by ggml's CPU backend, in whose place our kernel stands, with one thread and with more. The
 * tolerance is that of single precision; a product whose activations are rounded to halves is outside of it by a factor of
 * ten. And a row's product is the same to the bit whatever other rows are beside it.
 *
 * Usage: test-lanes-llama [seed]. */
#include <math.h>

#include "ggml-backend.h"
#include "ggml.h"
#include "llama-rig.h"

#define N_GELU 4096
#define N_CASES 80
#define N_THREADS 5
#define TOLERANCE 2e-6 /* of the sum of what is added up, without signs */
#define LEAST_ROWS 3   /* fewer are ggml's own */

typedef struct product {
    struct ggml_context *ctx;
    struct ggml_tensor *weights, *rows, *out;
} product;

static uint64_t seed = 20261129;
static ggml_backend_t backend;
static ggml_backend_buffer_t buffer; /* of the current case; products want weights that lie in one */

static float random_float(void) {
    return (float)test_between(&seed, -30000, 30000) / 10000;
}

static void fill_weights(struct ggml_tensor *weights) {
    size_t n = (size_t)ggml_nelements(weights);
    float *values = malloc(n * sizeof(*values));
    REQUIRE(values != NULL);
    for (size_t i = 0; i < n; i++) {
        values[i] = random_float();
    }
    (void)ggml_quantize_chunk(weights->type, values, weights->data, 0, weights->ne[1], weights->ne[0], NULL);
    free(values);
}

static product make(enum ggml_type type, int32_t n_k, int32_t n_out, int32_t n_rows) {
    struct ggml_init_params params = {.mem_size = (size_t)1 << 21, .mem_buffer = NULL, .no_alloc = true};
    product p = {.ctx = ggml_init(params)};
    REQUIRE(p.ctx != NULL);
    p.weights = ggml_new_tensor_2d(p.ctx, type, n_k, n_out);
    p.rows = ggml_new_tensor_2d(p.ctx, GGML_TYPE_F32, n_k, n_rows);
    p.out = ggml_mul_mat(p.ctx, p.weights, p.rows);
    buffer = ggml_backend_alloc_ctx_tensors(p.ctx, backend);
    REQUIRE(buffer != NULL);
    fill_weights(p.weights);
    for (int64_t i = 0; i < ggml_nelements(p.rows); i++) {
        ((float *)p.rows->data)[i] = random_float();
    }
    return p;
}

static void drop(product *p) {
    ggml_backend_buffer_free(buffer);
    ggml_free(p->ctx);
}

/* out: n_rows rows from the first one on. The result of rows behind them is not a number. */
static void compute(product *p, int32_t first, int32_t n_rows, int32_t n_threads) {
    memset(p->out->data, 0xff, ggml_nbytes(p->out));
    size_t at = (size_t)first * p->rows->nb[1];
    struct ggml_tensor *rows = ggml_view_2d(p->ctx, p->rows, p->rows->ne[0], n_rows, p->rows->nb[1], at);
    struct ggml_tensor *out = ggml_mul_mat(p->ctx, p->weights, rows);
    out->data = p->out->data;
    out->buffer = p->out->buffer;
    struct ggml_cgraph *graph = ggml_new_graph_custom(p->ctx, 8, false);
    ggml_build_forward_expand(graph, out);
    llama_rig_compute(backend, graph, n_threads);
}

/* How far a row is from what it should be, as a part of what was added up. */
static double off(const product *p, int32_t row, int32_t column) {
    const float *x = (const float *)p->rows->data + (size_t)row * (size_t)p->rows->ne[0];
    const ggml_fp16_t *w = (const ggml_fp16_t *)p->weights->data + (size_t)column * (size_t)p->rows->ne[0];
    double sum = 0, size = 0;
    for (int64_t k = 0; k < p->rows->ne[0]; k++) {
        double part = (double)x[k] * (double)ggml_fp16_to_fp32(w[k]);
        sum += part;
        size += fabs(part);
    }
    const float *out = (const float *)p->out->data + (size_t)row * (size_t)p->out->ne[0];
    return fabs((double)out[column] - sum) / size;
}

static void check_case(int32_t n_k, int32_t n_out, int32_t n_rows) {
    product p = make(GGML_TYPE_F16, n_k, n_out, n_rows);
    for (int32_t n_threads = 1; n_threads <= N_THREADS; n_threads++) {
        compute(&p, 0, n_rows, n_threads);
        double worst = 0;
        for (int32_t row = 0; row < n_rows; row++) {
            for (int32_t column = row % 7; column < n_out; column += 7) {
                double apart = off(&p, row, column);
                worst = apart <= worst ? worst : apart; /* not a number counts */
            }
        }
        if (!(worst < TOLERANCE)) {
            printf("%g off: k %d columns %d rows %d threads %d\n", worst, n_k, n_out, n_rows, n_threads);
        }
        CHECK(worst < TOLERANCE);
    }
    drop(&p);
}

static void test_random_shapes(void) {
    for (int32_t i = 0; i < N_CASES; i++) {
        int32_t n_k = 32 * test_between(&seed, 1, i % 4 == 0 ? 48 : 8);
        int32_t n_out = i % 3 == 0 ? 32 * test_between(&seed, 1, 6) : test_between(&seed, 1, 200);
        check_case(n_k, n_out, i % 5 == 0 ? test_between(&seed, 60, 300) : test_between(&seed, LEAST_ROWS, 60));
    }
}

static void test_a_row_is_the_same_in_every_company(void) {
    product p = make(GGML_TYPE_F16, 384, 416, 290);
    size_t row_bytes = (size_t)p.out->ne[0] * sizeof(float);
    compute(&p, 0, LEAST_ROWS, 1);
    float *alone = malloc(LEAST_ROWS * row_bytes);
    REQUIRE(alone != NULL);
    memcpy(alone, p.out->data, LEAST_ROWS * row_bytes);
    for (int32_t n_rows = LEAST_ROWS; n_rows <= 290; n_rows += n_rows < 40 ? 1 : 83) {
        for (int32_t n_threads = 1; n_threads <= N_THREADS; n_threads += 2) {
            compute(&p, 0, n_rows, n_threads);
            CHECK(memcmp(alone, p.out->data, LEAST_ROWS * row_bytes) == 0);
        }
    }
    free(alone);
    drop(&p);
}

/* What ggml says of each row alone is what several say together, to the bit. */
static void check_q4(int32_t n_k, int32_t n_out, int32_t n_rows) {
    product p = make(GGML_TYPE_Q4_1, n_k, n_out, n_rows);
    size_t row_bytes = (size_t)n_out * sizeof(float);
    char *alone = malloc((size_t)n_rows * row_bytes);
    REQUIRE(alone != NULL);
    for (int32_t row = 0; row < n_rows; row++) {
        compute(&p, row, 1, 1 + row % 2);
        memcpy(alone + (size_t)row * row_bytes, p.out->data, row_bytes);
    }
    for (int32_t n_threads = 1; n_threads <= N_THREADS; n_threads++) {
        compute(&p, 0, n_rows, n_threads);
        CHECK(memcmp(alone, p.out->data, (size_t)n_rows * row_bytes) == 0);
    }
    free(alone);
    drop(&p);
}

static void test_four_bits_are_what_ggml_says_row_by_row(void) {
    for (int32_t n_rows = 2; n_rows <= 36; n_rows++) {
        check_q4(32 * test_between(&seed, 1, 20), test_between(&seed, 1, 130), n_rows);
    }
    check_q4(576, 1536, 131);
}

/* Between the infinities, the tangent's formula; ggml's table of halves is outside of it by a factor of a hundred. */
static void test_gelu(void) {
    struct ggml_init_params params = {.mem_size = (size_t)1 << 20, .mem_buffer = NULL, .no_alloc = false};
    struct ggml_context *ctx = ggml_init(params);
    REQUIRE(ctx != NULL);
    struct ggml_tensor *in = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, N_GELU / 64, 64);
    float *x = in->data;
    for (int32_t i = 0; i < N_GELU; i++) {
        x[i] = random_float() * (i % 4 == 0 ? 10.0F : 1.0F);
    }
    x[0] = INFINITY;
    x[1] = -INFINITY;
    x[2] = 0.0F;
    x[3] = 1e30F;
    x[4] = -1e30F;
    x[5] = NAN;
    struct ggml_tensor *out = ggml_gelu(ctx, in);
    struct ggml_cgraph *graph = ggml_new_graph_custom(ctx, 8, false);
    ggml_build_forward_expand(graph, out);
    for (int32_t n_threads = 1; n_threads <= N_THREADS; n_threads++) {
        memset(out->data, 0xff, ggml_nbytes(out));
        llama_rig_compute(backend, graph, n_threads);
        const float *y = out->data;
        CHECK(y[0] == INFINITY && y[1] == 0.0F && y[2] == 0.0F && y[3] == 1e30F && y[4] == 0.0F && isnan(y[5]));
        for (int32_t i = 6; i < N_GELU; i++) {
            double v = (double)x[i];
            double expected = v / 2 * (1 + tanh(0.7978845608028654 * v * (1 + 0.044715 * v * v)));
            CHECK(fabs((double)y[i] - expected) < 2e-6 * fmax(1, fabs(v)));
        }
    }
    ggml_free(ctx);
}

int main(int argc, char **argv) {
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : seed;
    printf("seed %llu\n", (unsigned long long)seed);
    backend = llama_rig_backend();
    if (backend == NULL) {
        return SKIPPED;
    }
    RUN(test_random_shapes);
    RUN(test_a_row_is_the_same_in_every_company);
    RUN(test_four_bits_are_what_ggml_says_row_by_row);
    RUN(test_gelu);
    ggml_backend_free(backend);
    return test_end();
}
