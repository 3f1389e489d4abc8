#include "tiers.h"

#include <stdlib.h>
#include <string.h>

#include "tiers-book.h"

/* Entries of the tree that are looked at for one that does. */
#define MATCHES_MAX 64
/* After so long nobody waits any more for a state that was read. */
#define HELD_NS 60000000000

typedef struct tiers_scan {
    lcrt_tiers *tiers;
    int64_t now_ns;
} tiers_scan;

/* One file that an earlier engine has left. */
static void found(void *data, const char *name, lcrt_state_head *head, int64_t age_ns) {
    const tiers_scan *scan = data;
    lcrt_tiers *tiers = scan->tiers;
    lcrt_item *item = lcrt_tiers_add(tiers, head->set, head->tokens, head->n_tokens, head->stops, head->n_stops);
    free(head->tokens);
    free(head->stops);
    if (item != NULL) {
        memcpy(item->name, name, strlen(name) + 1);
        item->on_disk = true;
        item->file_len = item->len = head->file_len;
        item->used_ns = scan->now_ns - age_ns;
        tiers->stats.file_len += item->file_len;
        tiers->stats.n_file++;
    }
}

lcrt_status lcrt_tiers_init(const lcrt_tiers_params *params, int64_t now_ns, lcrt_tiers **out,
                            lcrt_status *disk_status) {
    lcrt_tiers *tiers = calloc(1, sizeof(*tiers));
    if (tiers == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    tiers->can_trim = params->can_trim;
    tiers->ram_max = params->ram_len;
    *disk_status = LCRT_OK;
    if (params->disk_len > 0) {
        lcrt_disk_params disk = params->disk;
        disk.len_max = params->disk_len;
        *disk_status = lcrt_disk_open(&disk, &tiers->disk);
    }
    if (tiers->disk != NULL) {
        tiers_scan scan = {.tiers = tiers, .now_ns = now_ns};
        lcrt_disk_scan(tiers->disk, found, &scan);
    }
    *out = tiers;
    return LCRT_OK;
}

void lcrt_tiers_free(lcrt_tiers *tiers) {
    if (tiers == NULL) {
        return;
    }
    lcrt_tiers_close(tiers);
    for (lcrt_item *item = tiers->items; item != NULL;) {
        lcrt_item *next = item->next;
        lcrt_state_free(item->state);
        free(item);
        item = next;
    }
    lcrt_disk_free(tiers->disk);
    lcrt_tiers_free_books(tiers);
    free(tiers);
}

lcrt_match lcrt_tiers_find(lcrt_tiers *tiers, uint64_t set, const int32_t *tokens, int32_t n_tokens) {
    lcrt_match best = {.tier = LCRT_TIER_HOST};
    lcrt_prefix_match matches[MATCHES_MAX];
    const tiers_book *book = lcrt_tiers_book(tiers, set);
    if (book == NULL || n_tokens <= 0) {
        return best;
    }
    int32_t n = lcrt_prefix_list(book->tree, tokens, n_tokens, matches, MATCHES_MAX);
    if (n == MATCHES_MAX && !tiers->can_trim) {
        /* Many that share more than they can be cut to may hide the one that does. */
        n--;
        matches[n].entry = lcrt_prefix_find(book->tree, tokens, n_tokens, true, &matches[n].n_shared);
        n += matches[n].entry >= 0;
    }
    for (int32_t i = 0; i < n; i++) {
        const tiers_stop *stop = lcrt_prefix_data(book->tree, matches[i].entry);
        int32_t n_usable = tiers->can_trim || matches[i].n_shared == stop->n ? matches[i].n_shared : 0;
        bool nearer = n_usable == best.n && best.tier == LCRT_TIER_DISK && stop->item->state != NULL;
        if (n_usable > best.n || (n_usable > 0 && nearer)) {
            best.item = stop->item;
            best.n = n_usable;
            best.tier = stop->item->state != NULL ? LCRT_TIER_HOST : LCRT_TIER_DISK;
        }
    }
    return best;
}

bool lcrt_tiers_has(lcrt_tiers *tiers, uint64_t set, const int32_t *tokens, int32_t n_tokens) {
    return lcrt_tiers_find(tiers, set, tokens, n_tokens).n == n_tokens;
}

/* An item's state is on disk now. */
static void note_file(lcrt_tiers *tiers, lcrt_item *item) {
    item->on_disk = true;
    item->file_len = item->len;
    tiers->stats.file_len += item->file_len;
    tiers->stats.n_file++;
    tiers->stats.n_written++;
    lcrt_tiers_drop_earlier(tiers, item, true);
}

/* In this thread; host memory forgets it in any case. */
static void write_now(lcrt_tiers *tiers, lcrt_item *item) {
    if (lcrt_disk_write(tiers->disk, item->name, item->state) == LCRT_OK) {
        note_file(tiers, item);
        lcrt_tiers_drop_state(tiers, item);
    } else {
        lcrt_tiers_remove(tiers, item);
    }
}

bool lcrt_tiers_takes(const lcrt_tiers *tiers, size_t len) {
    return tiers->disk != NULL || (int64_t)len <= tiers->ram_max;
}

static lcrt_item *add(lcrt_tiers *tiers, lcrt_state *state) {
    int32_t n_stops = state->checkpoints.n;
    int32_t *stops = malloc((size_t)n_stops * sizeof(*stops) + 1);
    if (stops == NULL) {
        return NULL;
    }
    for (int32_t i = 0; i < n_stops; i++) {
        stops[i] = state->checkpoints.items[i]->n_tokens;
    }
    lcrt_item *item = lcrt_tiers_add(tiers, state->set, state->tokens, state->n_tokens, stops, n_stops);
    free(stops);
    return item;
}

void lcrt_tiers_put(lcrt_tiers *tiers, lcrt_state *state, int64_t now_ns) {
    lcrt_item *item = add(tiers, state);
    if (item == NULL) {
        lcrt_state_free(state);
        return;
    }
    lcrt_tiers_set_state(tiers, item, state);
    item->used_ns = now_ns;
    if (tiers->disk != NULL) {
        lcrt_disk_name(tiers->disk, state, item->name);
    }
    if (tiers->closed && tiers->disk != NULL) {
        write_now(tiers, item);
        return;
    }
    lcrt_tiers_drop_earlier(tiers, item, false);
    lcrt_tiers_make_room(tiers, now_ns);
}

const lcrt_state *lcrt_tiers_use(lcrt_tiers *tiers, lcrt_item *item, int64_t now_ns) {
    (void)tiers;
    item->n_uses++;
    item->used_ns = now_ns;
    item->held = false;
    return item->state;
}

void lcrt_tiers_refuse(lcrt_tiers *tiers, lcrt_item *item) {
    tiers->stats.n_refused++;
    lcrt_tiers_remove(tiers, item);
}

void lcrt_tiers_fetch(lcrt_tiers *tiers, lcrt_item *item) {
    if (item->state == NULL && item->task == NULL && tiers->disk != NULL && !tiers->closed) {
        (void)lcrt_tiers_submit(tiers, item, LCRT_DISK_READ);
    }
}

bool lcrt_tiers_busy(const lcrt_item *item) {
    return item->task != NULL;
}

/* A file has been written, or could not be. */
static void written(lcrt_tiers *tiers, lcrt_item *item, lcrt_status status, int64_t now_ns) {
    if (item->gone) {
        item->on_disk = status == LCRT_OK;
        item->file_len = 0;
        tiers->stats.n_file += item->on_disk;
        lcrt_tiers_remove(tiers, item);
        return;
    }
    if (status == LCRT_OK) {
        note_file(tiers, item);
    }
    if (item->leaving && status == LCRT_OK) {
        lcrt_tiers_drop_state(tiers, item);
    } else if (item->leaving && status != LCRT_ERR_CANCELLED) {
        lcrt_tiers_remove(tiers, item);
    } else if (item->leaving) {
        item->leaving = false;
        tiers->leaving_len -= item->len;
    }
    lcrt_tiers_make_room(tiers, now_ns);
}

/* The file still holds what its head said when it was found. */
static bool as_told(const lcrt_item *item, const lcrt_state *state) {
    for (int32_t i = 0; i + 1 < item->n_stops; i++) {
        const lcrt_checkpoint *checkpoint = lcrt_checkpoints_find(&state->checkpoints, item->stops[i].n);
        if (checkpoint == NULL || checkpoint->n_tokens != item->stops[i].n) {
            return false;
        }
    }
    return state->n_tokens == item->n_tokens && state->set == item->set;
}

/* A file has been read, or could not be. */
static void was_read(lcrt_tiers *tiers, lcrt_item *item, lcrt_disk_task *task, int64_t now_ns) {
    bool good = task->status == LCRT_OK && as_told(item, task->state);
    tiers->stats.n_read += good;
    if (item->gone || !good) {
        lcrt_state_free(task->state);
        tiers->stats.n_refused += task->status == LCRT_OK ? !good : task->status == LCRT_ERR_FORMAT;
        if (item->gone || task->status != LCRT_ERR_CANCELLED) {
            lcrt_tiers_remove(tiers, item);
        }
        return;
    }
    for (lcrt_item *other = tiers->items; other != NULL; other = other->next) {
        other->held = other->held && now_ns - other->used_ns < HELD_NS;
    }
    item->held = true;
    item->used_ns = now_ns;
    lcrt_tiers_set_state(tiers, item, task->state);
    lcrt_tiers_make_room(tiers, now_ns);
}

void lcrt_tiers_settle(lcrt_tiers *tiers, int64_t now_ns) {
    lcrt_disk_task *task;
    while (tiers->n_tasks > 0 && (task = lcrt_disk_done(tiers->disk)) != NULL) {
        tiers->n_tasks--;
        lcrt_item *item = task->owner;
        if (item != NULL) {
            item->task = NULL;
            if (task->kind == LCRT_DISK_WRITE) {
                written(tiers, item, task->status, now_ns);
            } else {
                was_read(tiers, item, task, now_ns);
            }
        } else if (task->status == LCRT_ERR_CANCELLED) {
            lcrt_disk_remove(tiers->disk, task->name);
        }
        free(task);
    }
}

void lcrt_tiers_close(lcrt_tiers *tiers) {
    if (tiers->closed) {
        return;
    }
    tiers->closed = true;
    if (tiers->disk != NULL) {
        lcrt_disk_stop(tiers->disk);
        tiers->ram_max = INT64_MAX;
        lcrt_tiers_settle(tiers, 0);
    }
}

int32_t lcrt_tiers_flush(lcrt_tiers *tiers, int64_t (*clock)(void *data), void *data, int64_t end_ns) {
    int32_t n_left = 0;
    for (;;) {
        int64_t now_ns = clock(data);
        lcrt_item *best = NULL;
        double value_max = -1;
        n_left = 0;
        for (lcrt_item *item = tiers->items; item != NULL; item = item->next) {
            if (item->state == NULL || item->on_disk) {
                continue;
            }
            n_left++;
            double value = lcrt_tiers_value(tiers, item, now_ns);
            if (value > value_max) {
                best = item;
                value_max = value;
            }
        }
        if (best == NULL || tiers->disk == NULL || now_ns >= end_ns) {
            return n_left;
        }
        write_now(tiers, best);
    }
}

void lcrt_tiers_stats_get(const lcrt_tiers *tiers, lcrt_tiers_stats *out) {
    *out = tiers->stats;
}
