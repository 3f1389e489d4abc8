#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

lcrt_status lcrt_bell_init(lcrt_bell *bell) {
    atomic_init(&bell->n_rings, 0);
    atomic_init(&bell->sleeping, false);
    if (pthread_mutex_init(&bell->mutex, NULL) != 0) {
        return LCRT_ERR_NO_MEMORY;
    }
    if (pthread_cond_init(&bell->cond, NULL) != 0) {
        pthread_mutex_destroy(&bell->mutex);
        return LCRT_ERR_NO_MEMORY;
    }
    return LCRT_OK;
}

void lcrt_bell_free(lcrt_bell *bell) {
    pthread_cond_destroy(&bell->cond);
    pthread_mutex_destroy(&bell->mutex);
}

/* The count goes up before sleeping is read here, and sleeping is set before the count
 * is read in wait: one of the two sees the other, so that no ring is lost. */
void lcrt_bell_ring(lcrt_bell *bell) {
    atomic_fetch_add(&bell->n_rings, 1);
    if (atomic_load(&bell->sleeping)) {
        pthread_mutex_lock(&bell->mutex);
        pthread_cond_signal(&bell->cond);
        pthread_mutex_unlock(&bell->mutex);
    }
}

unsigned lcrt_bell_count(lcrt_bell *bell) {
    return atomic_load(&bell->n_rings);
}

void lcrt_bell_wait(lcrt_bell *bell, unsigned n_rings) {
    pthread_mutex_lock(&bell->mutex);
    atomic_store(&bell->sleeping, true);
    while (atomic_load(&bell->n_rings) == n_rings) {
        pthread_cond_wait(&bell->cond, &bell->mutex);
    }
    atomic_store(&bell->sleeping, false);
    pthread_mutex_unlock(&bell->mutex);
}

#ifdef __linux__
static lcrt_status open_fds(lcrt_signal *signal) {
    signal->fd_read = signal->fd_write = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return signal->fd_read < 0 ? LCRT_ERR_IO : LCRT_OK;
}
#else
static lcrt_status open_fds(lcrt_signal *signal) {
    int fds[2];
    if (pipe(fds) != 0) {
        return LCRT_ERR_IO;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    signal->fd_read = fds[0];
    signal->fd_write = fds[1];
    return LCRT_OK;
}
#endif

lcrt_status lcrt_signal_init(lcrt_signal *signal) {
    atomic_init(&signal->on, false);
    return open_fds(signal);
}

void lcrt_signal_free(lcrt_signal *signal) {
    close(signal->fd_read);
    if (signal->fd_write != signal->fd_read) {
        close(signal->fd_write);
    }
}

void lcrt_signal_set(lcrt_signal *signal) {
    static const uint64_t one = 1;
    if (!atomic_exchange(&signal->on, true)) {
        ssize_t n;
        do {
            n = write(signal->fd_write, &one, sizeof(one));
        } while (n < 0 && errno == EINTR);
    }
}

/* The descriptor first, then the flag: what is signalled in between is seen by the
 * reader, who looks after this, and what comes later writes again. */
void lcrt_signal_clear(lcrt_signal *signal) {
    uint64_t counts[16];
    ssize_t n;
    do {
        n = read(signal->fd_read, counts, sizeof(counts));
    } while (n < 0 && errno == EINTR);
    atomic_exchange(&signal->on, false);
}

bool lcrt_signal_wait(lcrt_signal *signal, int64_t timeout_ns) {
    struct pollfd entry = {.fd = signal->fd_read, .events = POLLIN};
    int64_t ms = timeout_ns < 0 ? -1 : timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return poll(&entry, 1, ms > INT_MAX ? INT_MAX : (int)ms) > 0;
}
