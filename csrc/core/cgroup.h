/* cgroup.h -- what the control groups that this process is in leave it of the machine (Linux, version 2).
 *
 * Limits of a group hold for all below it, so those of the process's own group and of every one above it
 * count, the smallest of them. Any thread. */
#ifndef LCRT_CGROUP_H
#define LCRT_CGROUP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_cgroup {
    uint64_t memory_left; /* bytes; UINT64_MAX: no limit. File pages that can be given up do not count as used */
    double cpus;          /* processors; 0: no limit */
} lcrt_cgroup;

/* self: the file that names the process's group, usually /proc/self/cgroup; root: where groups are mounted, usually
 * /sys/fs/cgroup. What cannot be read limits nothing. */
lcrt_cgroup lcrt_cgroup_get(const char *self, const char *root);

#ifdef __cplusplus
}
#endif
#endif
