#include "crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* What is to be done is described by one number, n in the upper half and the next i in
 * the lower: whoever adds 1 knows at once whether its i is work of this run. work and
 * data may only be read by someone whose i is. */
struct lcrt_crew {
    _Atomic uint64_t order;
    atomic_int n_done;
    lcrt_crew_work work;
    void *data;
    int32_t n; /* the owner's */

    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint64_t n_runs; /* under mutex */
    bool stop;       /* under mutex */
    int32_t n_threads;
    pthread_t threads[];
};

static void take_part(lcrt_crew *crew) {
    for (;;) {
        uint64_t order = atomic_fetch_add(&crew->order, 1);
        uint32_t i = (uint32_t)order;
        if (i >= (uint32_t)(order >> 32)) {
            return;
        }
        crew->work(crew->data, (int32_t)i);
        atomic_fetch_add(&crew->n_done, 1);
    }
}

static void *crew_main(void *data) {
    lcrt_crew *crew = data;
    uint64_t n_runs = 0;
    pthread_mutex_lock(&crew->mutex);
    for (;;) {
        while (!crew->stop && crew->n_runs == n_runs) {
            pthread_cond_wait(&crew->cond, &crew->mutex);
        }
        if (crew->stop) {
            break;
        }
        n_runs = crew->n_runs;
        pthread_mutex_unlock(&crew->mutex);
        take_part(crew);
        pthread_mutex_lock(&crew->mutex);
    }
    pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

lcrt_status lcrt_crew_init(int32_t n_threads, lcrt_crew **out) {
    int32_t n_others = n_threads > 1 ? n_threads - 1 : 0;
    lcrt_crew *crew = calloc(1, sizeof(*crew) + (size_t)n_others * sizeof(crew->threads[0]));
    if (crew == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    atomic_init(&crew->order, 0);
    atomic_init(&crew->n_done, 0);
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->cond, NULL);
    for (; crew->n_threads < n_others; crew->n_threads++) {
        if (pthread_create(&crew->threads[crew->n_threads], NULL, crew_main, crew) != 0) {
            lcrt_crew_free(crew);
            return LCRT_ERR_NO_MEMORY;
        }
    }
    *out = crew;
    return LCRT_OK;
}

void lcrt_crew_free(lcrt_crew *crew) {
    if (crew == NULL) {
        return;
    }
    pthread_mutex_lock(&crew->mutex);
    crew->stop = true;
    pthread_cond_broadcast(&crew->cond);
    pthread_mutex_unlock(&crew->mutex);
    for (int32_t i = 0; i < crew->n_threads; i++) {
        pthread_join(crew->threads[i], NULL);
    }
    pthread_cond_destroy(&crew->cond);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}

static void put_order(lcrt_crew *crew, lcrt_crew_work work, void *data, int32_t n) {
    crew->work = work;
    crew->data = data;
    crew->n = n;
    atomic_store(&crew->n_done, 0);
    atomic_store(&crew->order, (uint64_t)(uint32_t)n << 32);
}

static void wake(lcrt_crew *crew) {
    if (crew->n_threads > 0) {
        pthread_mutex_lock(&crew->mutex);
        crew->n_runs++;
        pthread_cond_broadcast(&crew->cond);
        pthread_mutex_unlock(&crew->mutex);
    }
}

void lcrt_crew_begin(lcrt_crew *crew, lcrt_crew_work work, void *data, int32_t n) {
    put_order(crew, work, data, n);
    wake(crew);
}

void lcrt_crew_end(lcrt_crew *crew) {
    take_part(crew);
    while (atomic_load(&crew->n_done) < crew->n) {
        sched_yield();
    }
}

void lcrt_crew_run(lcrt_crew *crew, lcrt_crew_work work, void *data, int32_t n) {
    put_order(crew, work, data, n);
    if (n > 1) {
        wake(crew);
    }
    lcrt_crew_end(crew);
}
