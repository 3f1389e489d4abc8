/* tiers-book.h -- the insides of tiers, shared by its files. */
#ifndef LCRT_TIERS_BOOK_H
#define LCRT_TIERS_BOOK_H

#include "lcrt/prefix.h"
#include "tiers.h"

/* A length at which an item can be used, an entry of the tree. */
typedef struct tiers_stop {
    lcrt_item *item;
    int32_t entry;
    int32_t n;
} tiers_stop;

/* The tree of one set. */
typedef struct tiers_book {
    struct tiers_book *next;
    uint64_t set;
    lcrt_prefix *tree;
    int32_t n_items;
} tiers_book;

struct lcrt_item {
    lcrt_item *next, **link;
    tiers_book *book; /* NULL: out of it */
    uint64_t set;
    lcrt_state *state; /* NULL: on disk only */
    int64_t len;       /* of the state */
    int64_t file_len;
    int32_t n_tokens;
    int32_t n_uses;
    int64_t used_ns;
    lcrt_disk_task *task; /* the disk is at work on it */
    bool on_disk;
    bool leaving; /* host memory forgets it once it is written */
    bool held;    /* was read for a job, which has not used it yet */
    bool gone;    /* out of the book; freed when the disk is done */
    char name[LCRT_DISK_NAME_LEN];
    int32_t n_stops;
    tiers_stop stops[]; /* the last one is the whole */
};

struct lcrt_tiers {
    tiers_book *books; /* each has items */
    bool can_trim;
    bool closed;
    int64_t ram_max;
    lcrt_disk *disk; /* NULL: none */
    lcrt_item *items;
    int64_t leaving_len; /* of ram_len, what is on its way to disk */
    int32_t n_tasks;     /* submitted and not settled */
    lcrt_tiers_stats stats;
};

/* NULL when nothing of a set is stored. */
tiers_book *lcrt_tiers_book(const lcrt_tiers *tiers, uint64_t set);

/* Without the items. */
void lcrt_tiers_free_books(lcrt_tiers *tiers);

/* An item of these tokens that can be cut to stops and has nothing yet. NULL without memory. */
lcrt_item *lcrt_tiers_add(lcrt_tiers *tiers, uint64_t set, const int32_t *tokens, int32_t n_tokens,
                          const int32_t *stops, int32_t n_stops);

/* Out of the book, and its file away. */
void lcrt_tiers_remove(lcrt_tiers *tiers, lcrt_item *item);

/* Host memory forgets the state. */
void lcrt_tiers_drop_state(lcrt_tiers *tiers, lcrt_item *item);

/* Gives an item a state. */
void lcrt_tiers_set_state(lcrt_tiers *tiers, lcrt_item *item, lcrt_state *state);

/* Puts a task for the disk's thread in its queue; false without memory. */
bool lcrt_tiers_submit(lcrt_tiers *tiers, lcrt_item *item, lcrt_disk_kind kind);

/* Forgets states of which item is a later turn; with files their files too. */
void lcrt_tiers_drop_earlier(lcrt_tiers *tiers, const lcrt_item *item, bool files);

/* What a byte of it is worth. */
double lcrt_tiers_value(const lcrt_tiers *tiers, const lcrt_item *item, int64_t now_ns);

/* Moves or forgets states until host memory is within its budget. */
void lcrt_tiers_make_room(lcrt_tiers *tiers, int64_t now_ns);

#endif
