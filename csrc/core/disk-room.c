#include "disk-room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "state-file.h"
#include "value.h"

#define PATH_LEN_MAX 520

typedef struct room_file {
    char path[PATH_LEN_MAX]; /* from root */
    int64_t len;
    double value; /* per byte */
} room_file;

typedef struct room_files {
    room_file *items;
    size_t n, cap;
    int64_t len;
} room_files;

static bool ends_with(const char *name, const char *end) {
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

DIR *lcrt_disk_list(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL && fd >= 0) {
        (void)close(fd);
    }
    return dir;
}

bool lcrt_disk_is_state(const char *name) {
    return ends_with(name, LCRT_DISK_SUFFIX);
}

bool lcrt_disk_is_temporary(const char *name) {
    return ends_with(name, LCRT_STATE_TEMPORARY);
}

/* The number of tokens that the name tells, at least 1. */
static int32_t tokens_of(const char *name) {
    const char *last = strrchr(name, '-');
    long n = last != NULL ? strtol(last + 1, NULL, 10) : 0;
    return n > 0 && n < INT32_MAX ? (int32_t)n : 1;
}

static bool add(room_files *files, const char *model, const char *name, const struct stat *facts) {
    if (files->n == files->cap) {
        size_t cap = files->cap * 2 + 64;
        room_file *items = realloc(files->items, cap * sizeof(*items));
        if (items == NULL) {
            return false;
        }
        files->items = items;
        files->cap = cap;
    }
    room_file *file = &files->items[files->n];
    int n = snprintf(file->path, sizeof(file->path), "%s/%s", model, name);
    if (n < 0 || n >= (int)sizeof(file->path)) {
        return true;
    }
    lcrt_worth worth = {.n_saved = tokens_of(name), .age_ns = (int64_t)(time(NULL) - facts->st_mtime) * 1000000000};
    file->len = (int64_t)facts->st_size;
    file->value = lcrt_value(&worth) / (double)(file->len + 1);
    files->len += file->len;
    files->n++;
    return true;
}

static bool add_folder(room_files *files, int root, const char *model) {
    bool good = true;
    int folder = openat(root, model, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = folder >= 0 ? lcrt_disk_list(folder) : NULL;
    struct dirent *entry;
    while (good && dir != NULL && (entry = readdir(dir)) != NULL) {
        struct stat facts;
        bool ours = lcrt_disk_is_state(entry->d_name) || lcrt_disk_is_temporary(entry->d_name);
        if (ours && fstatat(folder, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0) {
            good = add(files, model, entry->d_name, &facts);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return good;
}

static int by_value(const void *a, const void *b) {
    const room_file *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

bool lcrt_disk_make_room(int root, int64_t len_max) {
    room_files files = {0};
    bool good = len_max >= 0;
    DIR *dir = good ? lcrt_disk_list(root) : NULL;
    struct dirent *entry;
    while (good && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            good = add_folder(&files, root, entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (good && files.len > len_max) {
        qsort(files.items, files.n, sizeof(*files.items), by_value);
        for (size_t i = 0; i < files.n && files.len > len_max; i++) {
            /* A file that somebody else is just writing is left to him. */
            if (lcrt_disk_is_state(files.items[i].path) && unlinkat(root, files.items[i].path, 0) == 0) {
                files.len -= files.items[i].len;
            }
        }
        good = files.len <= len_max;
    }
    free(files.items);
    return good;
}
