/* disk-room.h -- how much the files of all models take, and which of them go. Any thread. */
#ifndef LCRT_DISK_ROOM_H
#define LCRT_DISK_ROOM_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#define LCRT_DISK_SUFFIX ".state"

/* A listing of a folder, from its beginning; NULL when it cannot be read. */
DIR *lcrt_disk_list(int folder);

/* Whether a name is that of a state, or of one that is being written. */
bool lcrt_disk_is_state(const char *name);
bool lcrt_disk_is_temporary(const char *name);

/* Removes the least valuable states in the folders of root until they take no more than len_max bytes.
 * False when that cannot be. */
bool lcrt_disk_make_room(int root, int64_t len_max);

#endif
