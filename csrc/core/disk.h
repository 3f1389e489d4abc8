/* disk.h -- states as files in a folder of the user's, written and read by a thread of its own.
 *
 * root/model/name: root and model are made with mode 0700; a root that belongs to somebody else is refused.
 * All files below root together stay within a budget; the least valuable go first, whichever model and
 * process they are of. Damaged files are removed when they are met.
 *
 * One thread owns it and calls everything; wake is called by the disk's own thread. */
#ifndef LCRT_DISK_H
#define LCRT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "state-file.h"

#define LCRT_DISK_NAME_LEN 64 /* bytes of a name with its end */

typedef struct lcrt_disk lcrt_disk;

typedef struct lcrt_disk_params {
    const char *root;  /* its parent may be missing too */
    const char *model; /* a plain name */
    lcrt_state_key key;
    int64_t len_max;          /* bytes of all files below root */
    void (*wake)(void *data); /* a task is done */
    void *wake_data;
} lcrt_disk_params;

typedef enum lcrt_disk_kind { LCRT_DISK_WRITE, LCRT_DISK_READ, LCRT_DISK_REMOVE } lcrt_disk_kind;

/* Whoever submits it gets it back from done and frees it then. */
typedef struct lcrt_disk_task {
    struct lcrt_disk_task *next;
    lcrt_disk_kind kind;
    char name[LCRT_DISK_NAME_LEN];
    lcrt_state *state; /* WRITE: lent, not changed until done. READ: what was read, to be taken */
    void *owner;       /* the submitter's */
    lcrt_status status;
} lcrt_disk_task;

/* LCRT_ERR_IO: the folder cannot be made or used. */
lcrt_status lcrt_disk_open(const lcrt_disk_params *params, lcrt_disk **out);

/* Ends the thread; tasks it has not begun are given back as LCRT_ERR_CANCELLED by done. */
void lcrt_disk_stop(lcrt_disk *disk);

/* After stop and done. NULL is fine. */
void lcrt_disk_free(lcrt_disk *disk);

/* Calls found for every file with the same key, which takes tokens and stops of the head. Removes what is
 * damaged, another version's, another model's, and what an interrupted write has left. */
void lcrt_disk_scan(lcrt_disk *disk, void (*found)(void *data, const char *name, lcrt_state_head *head, int64_t age_ns),
                    void *data);

/* The name of a state's file. */
void lcrt_disk_name(const lcrt_disk *disk, const lcrt_state *state, char name[LCRT_DISK_NAME_LEN]);

void lcrt_disk_submit(lcrt_disk *disk, lcrt_disk_task *task);

/* A task that is done; NULL when there is none. Never waits. */
lcrt_disk_task *lcrt_disk_done(lcrt_disk *disk);

/* Both in the caller's thread, after stop. */
lcrt_status lcrt_disk_write(lcrt_disk *disk, const char *name, const lcrt_state *state);
void lcrt_disk_remove(lcrt_disk *disk, const char *name);

#endif
