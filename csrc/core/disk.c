#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"
#include "disk-room.h"

/* A file that a writer has left for so long will not be finished. */
#define TEMPORARY_SECONDS 600

struct lcrt_disk {
    int root, folder;
    lcrt_state_key key;
    int64_t len_max;
    void (*wake)(void *data);
    void *wake_data;

    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* for what is below */
    pthread_cond_t cond;
    bool stop;
    lcrt_disk_task *todo, **todo_end;
    lcrt_disk_task *done, **done_end;
};

/* Makes path and what is missing above it. */
static void make_path(const char *path) {
    char part[4096];
    size_t len = strlen(path);
    if (len >= sizeof(part)) {
        return;
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            (void)mkdir(part, 0700);
        }
    }
}

/* Opens a folder of the user's own that nobody else can look into. */
static int open_own(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat facts;
    if (fd < 0) {
        return -1;
    }
    bool own = fstat(fd, &facts) == 0 && facts.st_uid == geteuid();
    if (!own || ((facts.st_mode & 0077) != 0 && fchmod(fd, 0700) != 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void put_done(lcrt_disk *disk, lcrt_disk_task *task) {
    task->next = NULL;
    *disk->done_end = task;
    disk->done_end = &task->next;
}

static void touch(int folder, const char *name) {
    (void)utimensat(folder, name, NULL, AT_SYMLINK_NOFOLLOW);
}

static void run(lcrt_disk *disk, lcrt_disk_task *task) {
    if (task->kind == LCRT_DISK_WRITE) {
        task->status = lcrt_disk_write(disk, task->name, task->state);
    } else if (task->kind == LCRT_DISK_READ) {
        task->status = lcrt_state_file_read(disk->folder, task->name, &disk->key, &task->state);
        if (task->status == LCRT_OK) {
            touch(disk->folder, task->name);
        } else if (task->status == LCRT_ERR_FORMAT) {
            (void)unlinkat(disk->folder, task->name, 0);
        }
    } else {
        lcrt_disk_remove(disk, task->name);
    }
}

static void *disk_main(void *data) {
    lcrt_disk *disk = data;
    pthread_mutex_lock(&disk->mutex);
    for (;;) {
        while (disk->todo == NULL && !disk->stop) {
            pthread_cond_wait(&disk->cond, &disk->mutex);
        }
        if (disk->stop) {
            break;
        }
        lcrt_disk_task *task = disk->todo;
        disk->todo = task->next;
        disk->todo_end = disk->todo == NULL ? &disk->todo : disk->todo_end;
        pthread_mutex_unlock(&disk->mutex);
        run(disk, task);
        pthread_mutex_lock(&disk->mutex);
        put_done(disk, task);
        disk->wake(disk->wake_data);
    }
    pthread_mutex_unlock(&disk->mutex);
    return NULL;
}

lcrt_status lcrt_disk_open(const lcrt_disk_params *params, lcrt_disk **out) {
    if (params->model[0] == '\0' || params->model[0] == '.' || strchr(params->model, '/') != NULL) {
        return LCRT_ERR_INVALID;
    }
    lcrt_disk *disk = calloc(1, sizeof(*disk));
    if (disk == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    disk->key = params->key;
    disk->len_max = params->len_max;
    disk->wake = params->wake;
    disk->wake_data = params->wake_data;
    disk->todo_end = &disk->todo;
    disk->done_end = &disk->done;
    disk->folder = -1;
    make_path(params->root);
    disk->root = open_own(AT_FDCWD, params->root);
    if (disk->root >= 0) {
        (void)mkdirat(disk->root, params->model, 0700);
        disk->folder = open_own(disk->root, params->model);
    }
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->cond, NULL);
    disk->started = disk->folder >= 0 && pthread_create(&disk->thread, NULL, disk_main, disk) == 0;
    if (!disk->started) {
        lcrt_disk_free(disk);
        return LCRT_ERR_IO;
    }
    *out = disk;
    return LCRT_OK;
}

void lcrt_disk_stop(lcrt_disk *disk) {
    if (disk->started) {
        pthread_mutex_lock(&disk->mutex);
        disk->stop = true;
        pthread_cond_signal(&disk->cond);
        pthread_mutex_unlock(&disk->mutex);
        pthread_join(disk->thread, NULL);
        disk->started = false;
    }
    while (disk->todo != NULL) {
        lcrt_disk_task *task = disk->todo;
        disk->todo = task->next;
        task->status = LCRT_ERR_CANCELLED;
        put_done(disk, task);
    }
    disk->todo_end = &disk->todo;
}

void lcrt_disk_free(lcrt_disk *disk) {
    if (disk == NULL) {
        return;
    }
    pthread_cond_destroy(&disk->cond);
    pthread_mutex_destroy(&disk->mutex);
    if (disk->folder >= 0) {
        (void)close(disk->folder);
    }
    if (disk->root >= 0) {
        (void)close(disk->root);
    }
    free(disk);
}

void lcrt_disk_submit(lcrt_disk *disk, lcrt_disk_task *task) {
    task->next = NULL;
    pthread_mutex_lock(&disk->mutex);
    *disk->todo_end = task;
    disk->todo_end = &task->next;
    pthread_cond_signal(&disk->cond);
    pthread_mutex_unlock(&disk->mutex);
}

lcrt_disk_task *lcrt_disk_done(lcrt_disk *disk) {
    pthread_mutex_lock(&disk->mutex);
    lcrt_disk_task *task = disk->done;
    if (task != NULL) {
        disk->done = task->next;
        disk->done_end = disk->done == NULL ? &disk->done : disk->done_end;
    }
    pthread_mutex_unlock(&disk->mutex);
    return task;
}

lcrt_status lcrt_disk_write(lcrt_disk *disk, const char *name, const lcrt_state *state) {
    int64_t len = (int64_t)lcrt_state_len(state);
    if (!lcrt_disk_make_room(disk->root, disk->len_max - len)) {
        return LCRT_ERR_FULL;
    }
    return lcrt_state_file_write(disk->folder, name, &disk->key, state);
}

void lcrt_disk_remove(lcrt_disk *disk, const char *name) {
    (void)unlinkat(disk->folder, name, 0);
}

void lcrt_disk_name(const lcrt_disk *disk, const lcrt_state *state, char name[LCRT_DISK_NAME_LEN]) {
    lcrt_checksum sum;
    lcrt_checksum_init(&sum);
    lcrt_checksum_add(&sum, &state->set, sizeof(state->set));
    lcrt_checksum_add(&sum, state->tokens, (size_t)state->n_tokens * sizeof(int32_t));
    (void)snprintf(name, LCRT_DISK_NAME_LEN, "%016" PRIx64 "-%016" PRIx64 "-%" PRId32 LCRT_DISK_SUFFIX, disk->key.setup,
                   lcrt_checksum_get(&sum), state->n_tokens);
}

/* Looks at one file; true when it is to be told of. */
static bool inspect(const lcrt_disk *disk, const char *name, lcrt_state_head *head) {
    lcrt_status status = lcrt_state_file_peek(disk->folder, name, head);
    if (status != LCRT_OK) {
        if (status == LCRT_ERR_FORMAT) {
            (void)unlinkat(disk->folder, name, 0);
        }
        return false;
    }
    bool same = head->key.version == disk->key.version && head->key.model == disk->key.model;
    if (!same) {
        (void)unlinkat(disk->folder, name, 0);
    }
    if (same && head->key.setup == disk->key.setup) {
        return true;
    }
    free(head->tokens);
    free(head->stops);
    return false;
}

void lcrt_disk_scan(lcrt_disk *disk, void (*found)(void *data, const char *name, lcrt_state_head *head, int64_t age_ns),
                    void *data) {
    DIR *dir = lcrt_disk_list(disk->folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        struct stat facts;
        lcrt_state_head head;
        if (fstatat(disk->folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        int64_t age = (int64_t)time(NULL) - (int64_t)facts.st_mtime;
        if (lcrt_disk_is_temporary(name) && age > TEMPORARY_SECONDS) {
            (void)unlinkat(disk->folder, name, 0);
        } else if (lcrt_disk_is_state(name) && strlen(name) < LCRT_DISK_NAME_LEN && inspect(disk, name, &head)) {
            found(data, name, &head, (age > 0 ? age : 0) * 1000000000);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}
