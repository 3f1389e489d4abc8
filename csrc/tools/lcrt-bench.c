/* lcrt-bench -- prefill and decode rates of a model in the engine, without Python.
 *
 * Every figure is wall time around the whole engine: submit, decode, sampling, text and
 * events included. --gaps measures decoding while every other sequence id has gone. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lcrt/engine.h"
#include "lcrt/fake.h"
#include "lcrt/model.h"

#define N_EVENTS 256

typedef struct bench_options {
    const char *model; /* "fake": the alphabet, which costs nothing */
    const char *backends;
    int32_t n_prompt, n_decode, n_repeat, n_parallel, n_threads, n_gpu_layers;
    lcrt_context_params context;
    bool gaps, json;
} bench_options;

typedef struct bench_result {
    const char *name;
    int32_t n_streams;
    double mean, deviation; /* tokens per second */
    double overhead;        /* share of step time outside the backend */
    int64_t n_moves;
} bench_result;

typedef struct bench_state {
    bench_options options;
    lcrt_model *model;
    lcrt_backend backend; /* the engine's once it runs */
    lcrt_engine *engine;
    int32_t *tokens;
    uint64_t next_id;
    bench_result results[4];
    int32_t n_results;
} bench_state;

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int fail(const char *what, lcrt_status status) {
    fprintf(stderr, "lcrt-bench: %s: %s\n", what, lcrt_status_text(status));
    return EXIT_FAILURE;
}

/* Sequences that the engine must be able to hold. */
static int32_t n_sequences(const bench_options *options) {
    return options->gaps ? 2 * options->n_parallel : options->n_parallel;
}

static int open_fake(bench_state *bench) {
    lcrt_fake_params params = lcrt_fake_params_default();
    params.n_vocab = 49152;
    params.n_seq_max = n_sequences(&bench->options);
    params.n_ctx_seq = bench->options.context.n_ctx;
    params.n_ctx = params.n_ctx_seq * params.n_seq_max;
    params.n_batch = 2048;
    lcrt_status status = lcrt_backend_fake(&params, &bench->backend);
    return status == LCRT_OK ? EXIT_SUCCESS : fail("fake backend", status);
}

static int open_model(bench_state *bench) {
    char error[512] = "";
    lcrt_status status = lcrt_runtime_init(bench->options.backends);
    if (status != LCRT_OK) {
        return fail("backends", status);
    }
    lcrt_model_params params = lcrt_model_params_default();
    params.n_gpu_layers = bench->options.n_gpu_layers;
    status = lcrt_model_load(bench->options.model, &params, &bench->model, error, sizeof(error));
    if (status != LCRT_OK) {
        return fail(error, status);
    }
    status = lcrt_backend_llama(bench->model, &bench->options.context, &bench->backend, error, sizeof(error));
    return status == LCRT_OK ? EXIT_SUCCESS : fail(error, status);
}

static int start(bench_state *bench) {
    bench_options *options = &bench->options;
    int32_t n_longest = options->n_prompt > options->n_decode ? options->n_prompt : options->n_decode;
    options->context.n_ctx = n_longest + 64;
    options->context.n_parallel = n_sequences(options);
    options->context.n_threads = options->n_threads;
    int failed = strcmp(options->model, "fake") == 0 ? open_fake(bench) : open_model(bench);
    if (failed) {
        return failed;
    }
    lcrt_engine_params params = lcrt_engine_params_default();
    params.n_slots = n_sequences(options);
    lcrt_status status = lcrt_engine_init(&bench->backend, &params, &bench->engine);
    if (status != LCRT_OK) {
        return fail("engine", status);
    }
    bench->tokens = malloc((size_t)n_longest * sizeof(*bench->tokens));
    if (bench->tokens == NULL) {
        return fail("prompt", LCRT_ERR_NO_MEMORY);
    }
    uint64_t random = 88172645463325252u;
    for (int32_t i = 0; i < n_longest; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bench->tokens[i] = (int32_t)(random % (uint64_t)bench->backend.info.n_vocab);
    }
    return EXIT_SUCCESS;
}

/* Jobs whose ids follow each other, all with the same lengths. */
static int submit(bench_state *bench, int32_t n_jobs, int32_t n_prompt, int32_t n_decode) {
    for (int32_t i = 0; i < n_jobs; i++) {
        lcrt_job job = {
            .id = bench->next_id++,
            .tokens = bench->tokens,
            .n_tokens = n_prompt,
            .max_tokens = n_decode,
            .n_logprobs = -1,
            .ignore_eog = true,
        };
        job.sampling = lcrt_sampling_default();
        job.sampling.temperature = 0;
        lcrt_status status = lcrt_engine_submit(bench->engine, &job);
        if (status != LCRT_OK) {
            return fail("submit", status);
        }
    }
    return EXIT_SUCCESS;
}

/* Reads until n jobs have started, or ended. */
static int wait_for(bench_state *bench, lcrt_event_kind kind, int32_t n) {
    lcrt_event events[N_EVENTS];
    while (n > 0) {
        lcrt_engine_wait(bench->engine, -1);
        int32_t n_events = lcrt_engine_events(bench->engine, events, N_EVENTS);
        for (int32_t i = 0; i < n_events; i++) {
            if (events[i].kind == LCRT_EVENT_FINISH && events[i].finish == LCRT_FINISH_ERROR) {
                return fail("a job", events[i].status);
            }
            n -= events[i].kind == kind;
        }
        lcrt_engine_release(bench->engine);
    }
    return EXIT_SUCCESS;
}

/* One run of n jobs; *ns is its wall time. */
static int run_plain(bench_state *bench, int32_t n_prompt, int32_t n_decode, int64_t *ns) {
    int32_t n = bench->options.n_parallel;
    int64_t begin_ns = now_ns();
    if (submit(bench, n, n_prompt, n_decode) || wait_for(bench, LCRT_EVENT_FINISH, n)) {
        return EXIT_FAILURE;
    }
    *ns = now_ns() - begin_ns;
    return EXIT_SUCCESS;
}

/* Twice as many streams begin, every other one is cancelled, the rest is measured. */
static int run_gaps(bench_state *bench, int32_t n_prompt, int32_t n_decode, int64_t *ns) {
    int32_t n = bench->options.n_parallel;
    uint64_t first = bench->next_id;
    if (submit(bench, 2 * n, n_prompt, -1) || wait_for(bench, LCRT_EVENT_START, 2 * n)) {
        return EXIT_FAILURE;
    }
    for (int32_t i = 1; i < 2 * n; i += 2) {
        lcrt_engine_cancel(bench->engine, first + (uint64_t)i);
    }
    if (wait_for(bench, LCRT_EVENT_FINISH, n)) {
        return EXIT_FAILURE;
    }
    int64_t begin_ns = now_ns();
    lcrt_event events[N_EVENTS];
    for (int32_t n_left = n * n_decode; n_left > 0;) {
        lcrt_engine_wait(bench->engine, -1);
        int32_t n_events = lcrt_engine_events(bench->engine, events, N_EVENTS);
        for (int32_t i = 0; i < n_events; i++) {
            n_left -= events[i].n_tokens;
        }
        lcrt_engine_release(bench->engine);
    }
    *ns = now_ns() - begin_ns;
    for (int32_t i = 0; i < 2 * n; i += 2) {
        lcrt_engine_cancel(bench->engine, first + (uint64_t)i);
    }
    return wait_for(bench, LCRT_EVENT_FINISH, n);
}

typedef int (*run_function)(bench_state *bench, int32_t n_prompt, int32_t n_decode, int64_t *ns);

/* A warm-up, then n_repeat runs. n_counted: tokens that a stream's rate is about. */
static int measure(bench_state *bench, const char *name, run_function run, int32_t n_prompt, int32_t n_decode,
                   int32_t n_counted) {
    double sum = 0, sum_squares = 0;
    int64_t ns;
    if (run(bench, n_prompt, n_decode, &ns)) {
        return EXIT_FAILURE;
    }
    lcrt_engine_stats before, after;
    lcrt_engine_stats_get(bench->engine, &before);
    int32_t n = bench->options.n_repeat;
    for (int32_t i = 0; i < n; i++) {
        if (run(bench, n_prompt, n_decode, &ns)) {
            return EXIT_FAILURE;
        }
        double rate = (double)n_counted * bench->options.n_parallel / ((double)ns / 1e9);
        sum += rate;
        sum_squares += rate * rate;
    }
    lcrt_engine_stats_get(bench->engine, &after);
    double mean = sum / n;
    double variance = n > 1 ? (sum_squares - sum * mean) / (n - 1) : 0;
    double step_ns = (double)(after.step_ns - before.step_ns);
    double decode_ns = (double)(after.decode_ns - before.decode_ns);
    bench->results[bench->n_results++] = (bench_result){
        .name = name,
        .n_streams = bench->options.n_parallel,
        .mean = mean,
        .deviation = variance > 0 ? sqrt(variance) : 0,
        .overhead = step_ns > 0 ? 1 - decode_ns / step_ns : 0,
        .n_moves = after.n_moves - before.n_moves,
    };
    return EXIT_SUCCESS;
}

static int measure_all(bench_state *bench) {
    const bench_options *options = &bench->options;
    int failed = EXIT_SUCCESS;
    if (options->n_prompt > 0) {
        failed = measure(bench, "prefill", run_plain, options->n_prompt, 1, options->n_prompt);
    }
    if (!failed && options->n_decode > 0) {
        failed = measure(bench, "decode", run_plain, 1, options->n_decode, options->n_decode);
    }
    if (!failed && options->n_decode > 0 && options->gaps) {
        failed = measure(bench, "decode, gaps", run_gaps, 1, options->n_decode, options->n_decode);
    }
    return failed;
}

static void print_table(const bench_state *bench) {
    printf("| %-14s | %7s | %20s | %8s | %5s |\n", "test", "streams", "tokens/s", "overhead", "moves");
    printf("|----------------|--------:|---------------------:|---------:|------:|\n");
    for (int32_t i = 0; i < bench->n_results; i++) {
        const bench_result *result = &bench->results[i];
        printf("| %-14s | %7d | %10.2f +- %6.2f | %6.2f %% | %5" PRId64 " |\n", result->name, result->n_streams,
               result->mean, result->deviation, 100 * result->overhead, result->n_moves);
    }
}

static void print_json(const bench_state *bench) {
    const bench_options *options = &bench->options;
    printf("[\n");
    for (int32_t i = 0; i < bench->n_results; i++) {
        const bench_result *result = &bench->results[i];
        printf("  {\"test\": \"%s\", \"streams\": %d, \"n_prompt\": %d, \"n_decode\": %d, \"n_threads\": %d, "
               "\"tokens_per_second\": %.3f, \"deviation\": %.3f, \"overhead\": %.5f, \"moves\": %" PRId64 "}%s\n",
               result->name, result->n_streams, options->n_prompt, options->n_decode, options->n_threads, result->mean,
               result->deviation, result->overhead, result->n_moves, i + 1 < bench->n_results ? "," : "");
    }
    printf("]\n");
}

static void usage(void) {
    fprintf(stderr, "usage: lcrt-bench -m FILE [options]\n"
                    "  -m FILE         model, or \"fake\" for the engine alone\n"
                    "  -p N            prompt tokens (512; 0: no prefill test)\n"
                    "  -n N            generated tokens (128; 0: no decode test)\n"
                    "  -t N            threads (0: as the backend advises)\n"
                    "  -r N            runs per test (5)\n"
                    "  --parallel N    streams at the same time (1)\n"
                    "  --gaps          also decode with every other sequence gone\n"
                    "  --layout NAME   auto, unified or split\n"
                    "  --flash N       flash attention: 1 on, 0 off, -1 as the backend advises\n"
                    "  --gpu-layers N  layers on the device (-1: all)\n"
                    "  --backends DIR  where the backends are\n"
                    "  --json          results as JSON\n");
}

static bool read_number(const char *text, int32_t least, int32_t *out) {
    char *end;
    long number = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || number < least || number > 1 << 24) {
        fprintf(stderr, "lcrt-bench: not a number that makes sense here: %s\n", text);
        return false;
    }
    *out = (int32_t)number;
    return true;
}

static bool read_layout(const char *text, lcrt_kv_layout *out) {
    static const char *const names[] = {"auto", "unified", "split"};
    for (int32_t i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (lcrt_kv_layout)i;
            return true;
        }
    }
    fprintf(stderr, "lcrt-bench: no layout of this name: %s\n", text);
    return false;
}

static bool read_flash(const char *text, int8_t *out) {
    int32_t number;
    bool good = read_number(text, -1, &number) && number <= 1;
    *out = good ? (int8_t)number : *out;
    return good;
}

static bool read_option(bench_options *options, int option) {
    switch (option) {
    case 'm':
        options->model = optarg;
        return true;
    case 'p':
        return read_number(optarg, 0, &options->n_prompt);
    case 'n':
        return read_number(optarg, 0, &options->n_decode);
    case 't':
        return read_number(optarg, 0, &options->n_threads);
    case 'r':
        return read_number(optarg, 1, &options->n_repeat);
    case 'P':
        return read_number(optarg, 1, &options->n_parallel);
    case 'G':
        options->gaps = true;
        return true;
    case 'L':
        return read_layout(optarg, &options->context.layout);
    case 'F':
        return read_flash(optarg, &options->context.flash_attention);
    case 'g':
        return read_number(optarg, -1, &options->n_gpu_layers);
    case 'B':
        options->backends = optarg;
        return true;
    case 'j':
        options->json = true;
        return true;
    default:
        return false;
    }
}

static bool read_options(bench_options *options, int argc, char **argv) {
    static const struct option names[] = {
        {"model", required_argument, NULL, 'm'},
        {"parallel", required_argument, NULL, 'P'},
        {"gaps", no_argument, NULL, 'G'},
        {"layout", required_argument, NULL, 'L'},
        {"flash", required_argument, NULL, 'F'},
        {"gpu-layers", required_argument, NULL, 'g'},
        {"backends", required_argument, NULL, 'B'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "m:p:n:t:r:", names, NULL)) != -1) {
        if (!read_option(options, option)) {
            return false;
        }
    }
    return options->model != NULL && optind == argc;
}

int main(int argc, char **argv) {
    bench_state bench = {
        .options = {.n_prompt = 512, .n_decode = 128, .n_repeat = 5, .n_parallel = 1, .n_gpu_layers = -1}};
    bench.options.context = lcrt_context_params_default();
    bench.options.backends = getenv("LCRT_LIB_DIR");
    if (!read_options(&bench.options, argc, argv)) {
        usage();
        return 2;
    }
    int failed = start(&bench);
    if (!failed) {
        failed = measure_all(&bench);
    }
    if (!failed) {
        (bench.options.json ? print_json : print_table)(&bench);
    }
    if (bench.engine == NULL && bench.backend.vtable != NULL) {
        bench.backend.vtable->free(bench.backend.self);
    }
    lcrt_engine_free(bench.engine);
    lcrt_model_free(bench.model);
    free(bench.tokens);
    return failed;
}
