#include "cgroup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_LEN 4096

/* The process's group below the root, without a slash at its end; the root itself where nothing says more. */
static void read_group(const char *self, char out[PATH_LEN]) {
    char line[PATH_LEN];
    FILE *file = fopen(self, "r");
    out[0] = '\0';
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        /* Seen from a namespace further in, a group has a name that leads out of it. */
        if (strncmp(line, "0::/", 4) == 0 && strstr(line, "/..") == NULL) {
            memcpy(out, line + 3, strlen(line + 3) + 1);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    size_t len = strlen(out);
    if (len > 0 && out[len - 1] == '/') {
        out[len - 1] = '\0';
    }
}

static FILE *open_in(const char *root, const char *group, const char *name) {
    char path[2 * PATH_LEN];
    int len = snprintf(path, sizeof(path), "%s%s/%s", root, group, name);
    return len > 0 && len < (int)sizeof(path) ? fopen(path, "r") : NULL;
}

/* The number at the beginning of a file; false when there is none. */
static bool read_number(const char *root, const char *group, const char *name, uint64_t *out) {
    FILE *file = open_in(root, group, name);
    bool found = file != NULL && fscanf(file, "%" SCNu64, out) == 1;
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* Bytes of file pages that nobody has used for a while. */
static uint64_t inactive_files(const char *root, const char *group) {
    char word[64];
    uint64_t value, found = 0;
    FILE *file = open_in(root, group, "memory.stat");
    while (file != NULL && fscanf(file, "%63s %" SCNu64, word, &value) == 2) {
        found = strcmp(word, "inactive_file") == 0 ? value : found;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static uint64_t memory_left(const char *root, const char *group) {
    uint64_t limit, used = 0;
    if (!read_number(root, group, "memory.max", &limit)) {
        return UINT64_MAX;
    }
    (void)read_number(root, group, "memory.current", &used);
    uint64_t files = inactive_files(root, group);
    uint64_t held = used > files ? used - files : 0;
    return limit > held ? limit - held : 0;
}

static double cpus_of(const char *root, const char *group) {
    uint64_t quota, period;
    FILE *file = open_in(root, group, "cpu.max");
    bool found = file != NULL && fscanf(file, "%" SCNu64 " %" SCNu64, &quota, &period) == 2;
    if (file != NULL) {
        (void)fclose(file);
    }
    return found && quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

lcrt_cgroup lcrt_cgroup_get(const char *self, const char *root) {
    char group[PATH_LEN];
    lcrt_cgroup out = {.memory_left = UINT64_MAX};
    read_group(self, group);
    for (;;) {
        uint64_t left = memory_left(root, group);
        double cpus = cpus_of(root, group);
        out.memory_left = left < out.memory_left ? left : out.memory_left;
        out.cpus = cpus > 0 && (out.cpus <= 0 || cpus < out.cpus) ? cpus : out.cpus;
        char *last = strrchr(group, '/');
        if (last == NULL) {
            return out;
        }
        *last = '\0';
    }
}
