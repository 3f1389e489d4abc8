/* test-attention-llama.c -- attention on CPUs against sums in double precision.
 *
 * Every case is computed by ggml's CPU backend, in whose place our kernel stands, with one thread and with more. The
 * tolerance is that of single precision; what sums or rounds in half precision is outside of it by a factor of ten.
 *
 * Usage: test-attention-llama [seed]. */
#include <math.h>

#include "ggml-backend.h"
#include "ggml.h"
#include "llama-rig.h"

#define N_CASES 160
#define N_THREADS 5 /* three have a neighbour on both sides: then tiles begin and end in the middle one */
#define TOLERANCE 2e-5
/* One stream with cells as few as these is computed by ggml itself, which sums in half precision. */
#define STOCK_CELLS 256
#define STOCK_TOLERANCE 1e-2

typedef struct attention_case {
    int32_t dk, dv, n_rows, n_cells, n_kv_heads, n_group, n_streams;
    float scale, cap, max_bias;
    bool masked, valued, sinks; /* valued: the mask has other values than zero and minus infinity */
    int32_t holes;              /* percent of the cells that a row does not see; 100: of each 8 rows one sees a cell */
    int32_t n_closed;           /* last rows, which see nothing */
} attention_case;

typedef struct attention_tensors {
    struct ggml_tensor *q, *k, *v, *mask, *sinks, *out;
} attention_tensors;

static uint64_t seed = 20261124;
static ggml_backend_t backend;

static float random_float(void) {
    double sum = 0;
    for (int32_t i = 0; i < 4; i++) {
        sum += (double)test_between(&seed, -10000, 10000) / 10000;
    }
    return (float)sum;
}

static bool chance(int32_t percent) {
    return test_between(&seed, 1, 100) <= percent;
}

static size_t n_elements(const struct ggml_tensor *tensor) {
    return (size_t)ggml_nelements(tensor);
}

static void fill_float(struct ggml_tensor *tensor) {
    for (size_t i = 0; i < n_elements(tensor); i++) {
        ((float *)tensor->data)[i] = random_float();
    }
}

static void fill_half(struct ggml_tensor *tensor) {
    for (size_t i = 0; i < n_elements(tensor); i++) {
        ((ggml_fp16_t *)tensor->data)[i] = ggml_fp32_to_fp16(random_float());
    }
}

static bool sees(const attention_case *c, int32_t row, int32_t cell) {
    if (row >= c->n_rows - c->n_closed) {
        return false;
    }
    if (c->holes == 100) {
        return cell % 8 == row % 8;
    }
    int32_t block = cell / 97;
    return (block * 7 + row / 5) % 100 >= c->holes && !chance(c->holes / 4);
}

static void fill_mask(const attention_case *c, struct ggml_tensor *mask) {
    ggml_fp16_t *data = mask->data;
    for (size_t i = 0; i < n_elements(mask); i++) {
        int32_t row = (int32_t)(i / (size_t)c->n_cells) % c->n_rows;
        int32_t cell = (int32_t)(i % (size_t)c->n_cells);
        float value = c->valued ? -(float)test_between(&seed, 0, 64) / 8 : 0.0F;
        data[i] = ggml_fp32_to_fp16(sees(c, row, cell) ? value : -INFINITY);
    }
}

/* Tensors as llama.cpp makes them: heads of a cell follow each other, and so do rows of different heads. */
static attention_tensors make(const attention_case *c, struct ggml_context *ctx) {
    attention_tensors t = {0};
    int32_t n_heads = c->n_kv_heads * c->n_group;
    struct ggml_tensor *q = ggml_new_tensor_4d(ctx, GGML_TYPE_F32, c->dk, n_heads, c->n_rows, c->n_streams);
    struct ggml_tensor *k = ggml_new_tensor_4d(ctx, GGML_TYPE_F16, c->dk, c->n_kv_heads, c->n_cells, c->n_streams);
    struct ggml_tensor *v = ggml_new_tensor_4d(ctx, GGML_TYPE_F16, c->dv, c->n_kv_heads, c->n_cells, c->n_streams);
    fill_float(q);
    fill_half(k);
    fill_half(v);
    t.q = ggml_permute(ctx, q, 0, 2, 1, 3);
    t.k = ggml_permute(ctx, k, 0, 2, 1, 3);
    t.v = ggml_permute(ctx, v, 0, 2, 1, 3);
    if (c->masked) {
        t.mask = ggml_new_tensor_4d(ctx, GGML_TYPE_F16, c->n_cells, c->n_rows, 1, c->n_streams);
        fill_mask(c, t.mask);
    }
    t.out = ggml_flash_attn_ext(ctx, t.q, t.k, t.v, t.mask, c->scale, c->max_bias, c->cap);
    if (c->sinks) {
        t.sinks = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, n_heads);
        fill_float(t.sinks);
        ggml_flash_attn_ext_add_sinks(t.out, t.sinks);
    }
    return t;
}

static const void *at(const struct ggml_tensor *tensor, int32_t i1, int32_t i2, int32_t i3) {
    return (const char *)tensor->data + (size_t)i1 * tensor->nb[1] + (size_t)i2 * tensor->nb[2] +
           (size_t)i3 * tensor->nb[3];
}

static double slope_of(const attention_case *c, int32_t head) {
    if (c->max_bias <= 0) {
        return 1;
    }
    int32_t n = 1;
    while (2 * n <= c->n_kv_heads * c->n_group) {
        n *= 2;
    }
    return head < n ? pow(2, -(double)c->max_bias * (head + 1) / n)
                    : pow(2, -(double)c->max_bias / 2 * (2 * (head - n) + 1) / n);
}

/* The score of one cell; minus infinity where the mask forbids it. */
static double score(const attention_case *c, const attention_tensors *t, const int32_t *index, int32_t cell) {
    double bias = 0, sum = 0;
    if (c->masked) {
        const ggml_fp16_t *mask = at(t->mask, index[0], 0, index[2]);
        bias = slope_of(c, index[1]) * (double)ggml_fp16_to_fp32(mask[cell]);
    }
    const float *q = at(t->q, index[0], index[1], index[2]);
    const ggml_fp16_t *k = at(t->k, cell, index[1] / c->n_group, index[2]);
    for (int32_t d = 0; d < c->dk; d++) {
        sum += (double)q[d] * (double)ggml_fp16_to_fp32(k[d]);
    }
    sum *= (double)c->scale;
    return (c->cap > 0 ? (double)c->cap * tanh(sum / (double)c->cap) : sum) + bias;
}

/* index: row, head, stream. */
static void expect_row(const attention_case *c, const attention_tensors *t, const int32_t *index, double *out) {
    double *scores = malloc((size_t)c->n_cells * sizeof(*scores));
    REQUIRE(scores != NULL);
    double top = -INFINITY, weight = 0;
    for (int32_t cell = 0; cell < c->n_cells; cell++) {
        scores[cell] = score(c, t, index, cell);
        top = fmax(top, scores[cell]);
    }
    memset(out, 0, (size_t)c->dv * sizeof(*out));
    for (int32_t cell = 0; cell < c->n_cells && top > -INFINITY; cell++) {
        const ggml_fp16_t *v = at(t->v, cell, index[1] / c->n_group, index[2]);
        double w = exp(scores[cell] - top);
        weight += w;
        for (int32_t d = 0; d < c->dv && w > 0; d++) {
            out[d] += w * (double)ggml_fp16_to_fp32(v[d]);
        }
    }
    if (c->sinks && weight > 0) {
        weight += exp((double)((const float *)t->sinks->data)[index[1]] - top);
    }
    for (int32_t d = 0; d < c->dv && weight > 0; d++) {
        out[d] /= weight;
    }
    free(scores);
}

/* How far the result is from what some of the rows should be, at most. */
static double compare(const attention_case *c, const attention_tensors *t) {
    double worst = 0, expected[1024];
    int32_t n_rows = c->n_rows * c->n_kv_heads * c->n_group * c->n_streams;
    for (int32_t i = 0; i < 48; i++) {
        int32_t row = n_rows <= 48 ? i % n_rows : test_between(&seed, 0, n_rows - 1);
        int32_t n_heads = c->n_kv_heads * c->n_group;
        int32_t index[3] = {row / n_heads % c->n_rows, row % n_heads, row / n_heads / c->n_rows};
        expect_row(c, t, index, expected);
        const float *out = at(t->out, index[1], index[0], index[2]);
        for (int32_t d = 0; d < c->dv; d++) {
            double apart = fabs((double)out[d] - expected[d]);
            worst = apart <= worst ? worst : apart; /* not a number counts */
        }
    }
    return worst;
}

static void check_case(const attention_case *c, const char *name) {
    struct ggml_init_params params = {.mem_size = (size_t)1 << 28, .mem_buffer = NULL, .no_alloc = false};
    struct ggml_context *ctx = ggml_init(params);
    REQUIRE(ctx != NULL);
    attention_tensors t = make(c, ctx);
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, t.out);
    const double tolerance = c->n_streams == 1 && c->n_cells <= STOCK_CELLS ? STOCK_TOLERANCE : TOLERANCE;
    for (int32_t n_threads = 1; n_threads <= N_THREADS; n_threads++) {
        memset(t.out->data, 0xff, ggml_nbytes(t.out));
        llama_rig_compute(backend, graph, n_threads);
        double worst = compare(c, &t);
        if (!(worst < tolerance)) {
            printf("%s: %g off: dk %d dv %d rows %d cells %d heads %d x %d streams %d threads %d\n", name, worst, c->dk,
                   c->dv, c->n_rows, c->n_cells, c->n_kv_heads, c->n_group, c->n_streams, n_threads);
        }
        CHECK(worst < tolerance);
    }
    ggml_free(ctx);
}

static attention_case random_case(void) {
    static const int32_t sizes[] = {64, 64, 80, 96, 128, 256}, groups[] = {1, 3, 4, 8};
    attention_case c = {.n_streams = 1, .max_bias = 0};
    c.dk = sizes[test_between(&seed, 0, 5)];
    c.dv = chance(80) ? c.dk : sizes[test_between(&seed, 0, 5)];
    c.n_group = groups[test_between(&seed, 0, 3)];
    c.n_kv_heads = test_between(&seed, 1, 4);
    c.n_rows = chance(40) ? test_between(&seed, 1, 4) : test_between(&seed, 1, 64);
    c.n_cells = chance(20) ? test_between(&seed, 1, 3000) : test_between(&seed, 1, 400);
    c.n_streams = chance(50) && c.n_cells < 1000 ? test_between(&seed, 2, 4) : 1;
    c.scale = 1.0F / sqrtf((float)c.dk);
    c.cap = chance(20) ? 30.0F : 0.0F;
    c.masked = chance(85);
    c.valued = c.masked && chance(20);
    c.max_bias = c.valued && chance(50) ? 8.0F : 0.0F;
    c.sinks = chance(20);
    c.holes = chance(30) ? 0 : chance(25) ? 100 : test_between(&seed, 1, 99);
    c.n_closed = chance(15) ? test_between(&seed, 1, c.n_rows) : 0;
    return c;
}

static void test_random_shapes(void) {
    for (int32_t i = 0; i < N_CASES; i++) {
        attention_case c = random_case();
        check_case(&c, "random");
    }
}

static void test_streams_that_share_a_beginning_and_nothing_else(void) {
    for (int32_t holes = 0; holes <= 100; holes += 50) {
        attention_case c = {.dk = 64, .dv = 64, .n_rows = 8, .n_cells = 1792, .n_kv_heads = 3, .n_group = 3};
        c.n_streams = 1;
        c.scale = 0.125F;
        c.masked = true;
        c.holes = holes;
        check_case(&c, "pool");
    }
}

static void test_one_row_of_each_stream(void) {
    attention_case c = {.dk = 64, .dv = 64, .n_rows = 1, .n_cells = 1024, .n_kv_heads = 3, .n_group = 3};
    c.n_streams = 8;
    c.scale = 0.125F;
    c.masked = true;
    c.holes = 40;
    check_case(&c, "split");
}

static void test_prompts_of_whole_tiles(void) {
    for (int32_t n_rows = 63; n_rows <= 130; n_rows += 67) {
        attention_case c = {.dk = 64, .dv = 64, .n_rows = n_rows, .n_cells = 700, .n_kv_heads = 2, .n_group = 4};
        c.n_streams = 1;
        c.scale = 0.125F;
        c.masked = true;
        c.holes = 30;
        check_case(&c, "prompt");
    }
}

static void test_closed_tiles_beside_others(void) {
    for (int32_t n_rows = 128; n_rows <= 256; n_rows += 64) {
        attention_case c = {.dk = 64, .dv = 64, .n_rows = n_rows, .n_cells = 600, .n_kv_heads = 4, .n_group = 1};
        c.n_streams = 1;
        c.scale = 0.125F;
        c.masked = true;
        c.n_closed = n_rows - 64;
        check_case(&c, "closed");
    }
}

static void test_rows_that_see_nothing_are_zero(void) {
    attention_case c = {.dk = 64, .dv = 64, .n_rows = 2, .n_cells = 300, .n_kv_heads = 2, .n_group = 2};
    c.n_streams = 2;
    c.scale = 0.125F;
    c.masked = true;
    c.n_closed = c.n_rows;
    struct ggml_init_params params = {.mem_size = (size_t)1 << 26, .mem_buffer = NULL, .no_alloc = false};
    struct ggml_context *ctx = ggml_init(params);
    REQUIRE(ctx != NULL);
    attention_tensors t = make(&c, ctx);
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, t.out);
    for (int32_t n_threads = 1; n_threads <= N_THREADS; n_threads++) {
        memset(t.out->data, 0xff, ggml_nbytes(t.out));
        llama_rig_compute(backend, graph, n_threads);
        for (size_t i = 0; i < n_elements(t.out); i++) {
            CHECK(((const float *)t.out->data)[i] == 0.0F);
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
    RUN(test_streams_that_share_a_beginning_and_nothing_else);
    RUN(test_one_row_of_each_stream);
    RUN(test_prompts_of_whole_tiles);
    RUN(test_closed_tiles_beside_others);
    RUN(test_rows_that_see_nothing_are_zero);
    ggml_backend_free(backend);
    return test_end();
}
