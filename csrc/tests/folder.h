/* folder.h -- a folder of a test's own, gone when it ends. */
#ifndef LCRT_TEST_FOLDER_H
#define LCRT_TEST_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

typedef struct test_folder {
    char path[256];
    int fd;
} test_folder;

static inline test_folder folder_new(void) {
    test_folder folder;
    const char *base = getenv("TMPDIR");
    snprintf(folder.path, sizeof(folder.path), "%s/lcrt-test-XXXXXX", base != NULL ? base : "/tmp");
    REQUIRE(mkdtemp(folder.path) != NULL);
    folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(folder.fd >= 0);
    return folder;
}

/* Everything in it, one level of folders deep, or only counted. */
static inline int32_t folder_walk(int fd, bool remove) {
    int32_t n = 0;
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(own >= 0);
    DIR *dir = fdopendir(own);
    REQUIRE(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        int inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0) {
            n += folder_walk(inner, remove);
            (void)close(inner);
        } else {
            n++;
        }
        if (remove) {
            (void)unlinkat(fd, entry->d_name, inner >= 0 ? AT_REMOVEDIR : 0);
        }
    }
    (void)closedir(dir);
    return n;
}

/* Files in it, those in its folders included. */
static inline int32_t folder_files(const test_folder *folder) {
    return folder_walk(folder->fd, false);
}

static inline void folder_free(test_folder *folder) {
    (void)folder_walk(folder->fd, true);
    (void)close(folder->fd);
    (void)rmdir(folder->path);
}

/* The whole content of a small file. */
static inline size_t folder_load(int fd, const char *name, uint8_t *out, size_t cap) {
    int file = openat(fd, name, O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);
    ssize_t n = read(file, out, cap);
    REQUIRE(n >= 0);
    (void)close(file);
    return (size_t)n;
}

static inline void folder_save(int fd, const char *name, const uint8_t *data, size_t len) {
    int file = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(write(file, data, len) == (ssize_t)len);
    (void)close(file);
}

#endif
