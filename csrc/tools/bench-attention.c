/* bench-attention.c -- microseconds of one attention operation on CPUs while streams decode.
 *
 * bench-attention [-t THREADS] [-r REPEATS] [-k KEY_HEADS] [-g HEADS_PER_KEY_HEAD] [-d HEAD_SIZE]: for several numbers
 * of streams and cells, a row of each stream. LCRT_LIB_DIR names the backends: with those of another build, say
 * build/peers, its attention is measured. One line for each shape: layout, streams, cells of a stream, median and least
 * of the times. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ggml-backend.h"
#include "ggml.h"
#include "lcrt/model.h"

#define N_TIMES_MAX 10000
/* Cells that each stream has of its own behind common ones. */
#define N_OWN 64

typedef enum bench_layout {
    BENCH_SPLIT, /* every stream has its cells for itself */
    BENCH_POOL,  /* all cells lie in one row, every stream sees its own */
    BENCH_COMMON /* a pool, and all but the last cells are of all */
} bench_layout;

static const char *const layout_names[] = {"split", "pool", "common"};

typedef struct bench_shape {
    bench_layout layout;
    int32_t n_streams, n_cells; /* of one stream */
} bench_shape;

typedef struct bench_setup {
    int32_t n_threads, n_repeats, n_kv_heads, n_group, n_head; /* n_head: numbers of a head */
    ggml_backend_t backend;
} bench_setup;

static uint64_t random_state = 1;

static float draw(void) {
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (float)((int64_t)(random_state >> 40) - (1 << 23)) / (float)(1 << 23);
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t n_elements(const struct ggml_tensor *tensor) {
    return (size_t)ggml_nelements(tensor);
}

static struct ggml_tensor *make_half(struct ggml_context *ctx, int64_t n0, int64_t n1, int64_t n2, int64_t n3) {
    struct ggml_tensor *tensor = ggml_new_tensor_4d(ctx, GGML_TYPE_F16, n0, n1, n2, n3);
    for (size_t i = 0; i < n_elements(tensor); i++) {
        ((ggml_fp16_t *)tensor->data)[i] = ggml_fp32_to_fp16(draw());
    }
    return tensor;
}

static int64_t pool_cells(const bench_shape *shape) {
    if (shape->layout == BENCH_POOL) {
        return (int64_t)shape->n_streams * shape->n_cells;
    }
    return shape->layout == BENCH_SPLIT ? shape->n_cells : shape->n_cells + (int64_t)(shape->n_streams - 1) * N_OWN;
}

static bool sees(const bench_shape *shape, int64_t stream, int64_t cell) {
    switch (shape->layout) {
    case BENCH_POOL:
        return cell / shape->n_cells == stream;
    case BENCH_COMMON:
        return cell < shape->n_cells - N_OWN || (cell - shape->n_cells + N_OWN) / N_OWN == stream;
    default:
        return true;
    }
}

static struct ggml_tensor *make_mask(struct ggml_context *ctx, const bench_shape *shape) {
    const int64_t n_cells = pool_cells(shape), n = shape->n_streams;
    struct ggml_tensor *mask = shape->layout == BENCH_SPLIT ? ggml_new_tensor_4d(ctx, GGML_TYPE_F16, n_cells, 1, 1, n)
                                                            : ggml_new_tensor_4d(ctx, GGML_TYPE_F16, n_cells, n, 1, 1);
    const ggml_fp16_t open = ggml_fp32_to_fp16(0.0F), closed = ggml_fp32_to_fp16(-INFINITY);
    for (int64_t i = 0; i < n * n_cells; i++) {
        ((ggml_fp16_t *)mask->data)[i] = sees(shape, i / n_cells, i % n_cells) ? open : closed;
    }
    return mask;
}

/* Tensors as llama.cpp makes them: heads of a cell follow each other, and so do rows of different heads. */
static struct ggml_tensor *make(const bench_setup *bench, const bench_shape *shape, struct ggml_context *ctx) {
    const bool split = shape->layout == BENCH_SPLIT;
    const int64_t n_rows = split ? 1 : shape->n_streams, n_apart = split ? shape->n_streams : 1;
    const int64_t n_heads = (int64_t)bench->n_kv_heads * bench->n_group;
    struct ggml_tensor *q = ggml_new_tensor_4d(ctx, GGML_TYPE_F32, bench->n_head, n_heads, n_rows, n_apart);
    for (size_t i = 0; i < n_elements(q); i++) {
        ((float *)q->data)[i] = draw();
    }
    struct ggml_tensor *k = make_half(ctx, bench->n_head, bench->n_kv_heads, pool_cells(shape), n_apart);
    struct ggml_tensor *v = make_half(ctx, bench->n_head, bench->n_kv_heads, pool_cells(shape), n_apart);
    return ggml_flash_attn_ext(ctx, ggml_permute(ctx, q, 0, 2, 1, 3), ggml_permute(ctx, k, 0, 2, 1, 3),
                               ggml_permute(ctx, v, 0, 2, 1, 3), make_mask(ctx, shape),
                               1.0F / sqrtf((float)bench->n_head), 0.0F, 0.0F);
}

/* Median and least of a shape's times. */
static int measure(const bench_setup *bench, const bench_shape *shape) {
    static double times[N_TIMES_MAX];
    const size_t n_numbers = (size_t)bench->n_head * (size_t)bench->n_kv_heads;
    const size_t n_cells = (size_t)shape->n_cells * (size_t)shape->n_streams;
    struct ggml_init_params params = {.mem_size = ((size_t)1 << 25) + n_cells * (4 * n_numbers + 64)};
    struct ggml_context *ctx = ggml_init(params);
    if (ctx == NULL) {
        return EXIT_FAILURE;
    }
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, make(bench, shape, ctx));
    bool good = true;
    for (int32_t i = -2; i < bench->n_repeats && good; i++) {
        const double begin_us = now_us();
        good = ggml_backend_graph_compute(bench->backend, graph) == GGML_STATUS_SUCCESS;
        times[i < 0 ? 0 : i] = now_us() - begin_us;
    }
    qsort(times, (size_t)bench->n_repeats, sizeof(times[0]), by_value);
    printf("%s %d %d %.1f %.1f\n", layout_names[shape->layout], shape->n_streams, shape->n_cells,
           times[bench->n_repeats / 2], times[0]);
    ggml_free(ctx);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int measure_all(const bench_setup *bench) {
    static const int32_t streams[] = {1, 8, 32}, cells[] = {1000, 4000};
    int failed = EXIT_SUCCESS;
    for (int layout = BENCH_SPLIT; layout <= BENCH_COMMON; layout++) {
        for (int i = 0; i < 6 && !failed; i++) {
            const bench_shape shape = {(bench_layout)layout, streams[i / 2], cells[i % 2]};
            failed = layout == BENCH_SPLIT || shape.n_streams > 1 ? measure(bench, &shape) : failed;
        }
    }
    return failed;
}

static bool open_backend(bench_setup *bench) {
    if (lcrt_runtime_init(getenv("LCRT_LIB_DIR")) != LCRT_OK) {
        fprintf(stderr, "bench-attention: no backends: LCRT_LIB_DIR does not name them\n");
        return false;
    }
    bench->backend = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
    if (bench->backend == NULL) {
        return false;
    }
    ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(ggml_backend_get_device(bench->backend));
    ggml_backend_set_n_threads_t set_threads =
        (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads");
    if (set_threads != NULL) {
        set_threads(bench->backend, bench->n_threads);
    }
    return set_threads != NULL;
}

int main(int argc, char **argv) {
    bench_setup bench = {.n_threads = 2, .n_repeats = 101, .n_kv_heads = 3, .n_group = 3, .n_head = 64};
    for (int option; (option = getopt(argc, argv, "t:r:k:g:d:")) != -1;) {
        const int number = optarg != NULL ? atoi(optarg) : 0;
        int32_t *to = option == 't'   ? &bench.n_threads
                      : option == 'r' ? &bench.n_repeats
                      : option == 'k' ? &bench.n_kv_heads
                      : option == 'g' ? &bench.n_group
                                      : &bench.n_head;
        if (option == '?' || number < 1 || number > N_TIMES_MAX) {
            fprintf(stderr, "usage: bench-attention [-t THREADS] [-r REPEATS] [-k KEY_HEADS] [-g HEADS_PER_KEY_HEAD] "
                            "[-d HEAD_SIZE]\n");
            return 2;
        }
        *to = number;
    }
    const int status = open_backend(&bench) ? measure_all(&bench) : EXIT_FAILURE;
    ggml_backend_free(bench.backend);
    return status;
}
