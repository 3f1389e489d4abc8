#include "compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Only what is used of it becomes memory. */
#define STACK_LEN ((size_t)512 << 20)
#define RUNNING_MAX 4
#define ERR_CAP 4096

static const char *const kinds[] = {"json_schema", "regex", "lark", "llguidance"};

/* Shared by the thread and by who waits for it; the last of the two frees it. */
typedef struct run {
    lcrt_guide *guide;
    lcrt_guide_kind kind;
    char *text; /* ends with 0 */
    size_t text_len;
    bool keep;

    pthread_mutex_t mutex; /* for what is below */
    pthread_cond_t cond;
    bool done;
    bool left; /* nobody waits any more */
    llg_matcher *matcher;
    uint64_t number;
    char err[ERR_CAP];
} run;

static void run_free(run *r) {
    lcrt_guide *guide = r->guide;
    if (r->matcher != NULL) {
        lcrt_guide_return(guide, r->matcher, r->number);
    }
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->mutex);
    free(r->text);
    free(r);
    lcrt_guide_free(guide);
}

static run *run_new(lcrt_guide *guide, const lcrt_source *source) {
    run *r = calloc(1, sizeof(*r));
    char *text = malloc(source->text_len + 1);
    if (r == NULL || text == NULL) {
        free(r);
        free(text);
        return NULL;
    }
    memcpy(text, source->text, source->text_len);
    text[source->text_len] = '\0';
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    r->guide = guide;
    r->kind = source->kind;
    r->text = text;
    r->text_len = source->text_len;
    r->keep = source->keep;
    atomic_fetch_add(&guide->n_refs, 1);
    return r;
}

/* NULL with a message in err when it cannot be compiled. */
static llg_matcher *compile(const run *r, char *err) {
    const lcrt_guide *guide = r->guide;
    llg_setup setup;
    memset(&setup, 0, sizeof(setup));
    guide->llg.setup_defaults(&setup, guide->tokenizer);
    setup.log_buffer_level = 0;
    setup.log_stderr_level = 0;
    setup.limits.n_lexer_states = (size_t)guide->params.lexer_states_max;
    setup.limits.verbose = false;
    llg_matcher *matcher = guide->llg.matcher_new(&setup, kinds[r->kind], r->text);
    const char *wrong = guide->llg.matcher_error(matcher);
    if (wrong == NULL) {
        return matcher;
    }
    (void)snprintf(err, ERR_CAP, "%s", wrong);
    guide->llg.matcher_free(matcher);
    return NULL;
}

static void *run_main(void *data) {
    run *r = data;
    lcrt_guide *guide = r->guide;
    char err[ERR_CAP] = "";
    llg_matcher *matcher = compile(r, err);
    uint64_t number =
        matcher != NULL && r->keep ? lcrt_guide_remember(guide, r->kind, r->text, r->text_len, matcher) : 0;
    atomic_fetch_sub(&guide->n_running, 1);
    pthread_mutex_lock(&r->mutex);
    r->matcher = matcher;
    r->number = number;
    memcpy(r->err, err, sizeof(err));
    r->done = true;
    bool left = r->left;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->mutex);
    if (left) {
        run_free(r);
    }
    return NULL;
}

static bool start(run *r) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_LEN);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool started = pthread_create(&thread, &attributes, run_main, r) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

static struct timespec end_of(int32_t wait_ms) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += wait_ms / 1000;
    end.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    return end;
}

/* False when time was up before it was done; then the thread frees it. */
static bool wait_done(run *r, int32_t wait_ms) {
    struct timespec end = end_of(wait_ms);
    pthread_mutex_lock(&r->mutex);
    int failed = 0;
    while (!r->done && failed != ETIMEDOUT) {
        failed = pthread_cond_timedwait(&r->cond, &r->mutex, &end);
    }
    bool done = r->done;
    r->left = !done;
    pthread_mutex_unlock(&r->mutex);
    return done;
}

/* Takes what the thread has made. */
static lcrt_status take(run *r, llg_matcher **out, uint64_t *number, char *err, size_t err_cap) {
    *out = r->matcher;
    *number = r->number;
    r->matcher = NULL;
    (void)snprintf(err, err_cap, "%s", r->err);
    run_free(r);
    return *out != NULL ? LCRT_OK : LCRT_ERR_GRAMMAR;
}

lcrt_status lcrt_guide_run(lcrt_guide *guide, const lcrt_source *source, llg_matcher **out, uint64_t *number, char *err,
                           size_t err_cap) {
    if (atomic_fetch_add(&guide->n_running, 1) >= RUNNING_MAX) {
        atomic_fetch_sub(&guide->n_running, 1);
        (void)snprintf(err, err_cap, "too many grammars are being compiled, try again later");
        return LCRT_ERR_FULL;
    }
    run *r = run_new(guide, source);
    if (r == NULL || !start(r)) {
        atomic_fetch_sub(&guide->n_running, 1);
        if (r != NULL) {
            run_free(r);
        }
        return LCRT_ERR_NO_MEMORY;
    }
    int32_t wait_ms = guide->params.compile_ms;
    if (!wait_done(r, wait_ms)) {
        (void)snprintf(err, err_cap, "it takes longer than %d ms to compile: make it simpler", wait_ms);
        return LCRT_ERR_TOO_LONG;
    }
    return take(r, out, number, err, err_cap);
}
