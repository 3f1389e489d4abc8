/* tiers-book.c -- items under their tokens, and which of them leave host memory. */
#include "tiers-book.h"

#include <stdlib.h>
#include <string.h>

#include "value.h"

/* Entries of the tree that are looked at for one that does. */
#define MATCHES_MAX 64
/* Bytes on their way to disk beyond which states are rather forgotten than queued: a slow disk must not make
 * host memory overflow. */
#define LEAVING_MAX ((int64_t)512 << 20)

/* Copies the lengths, ascending and below n_tokens, and ends them with n_tokens. */
static int32_t copy_stops(const lcrt_tiers *tiers, lcrt_item *item, const int32_t *stops, int32_t n_stops) {
    int32_t n = 0;
    for (int32_t i = 0; i < n_stops && !tiers->can_trim; i++) {
        if (stops[i] > 0 && stops[i] < item->n_tokens) {
            item->stops[n++].n = stops[i];
        }
    }
    item->stops[n++].n = item->n_tokens;
    return n;
}

tiers_book *lcrt_tiers_book(const lcrt_tiers *tiers, uint64_t set) {
    tiers_book *book = tiers->books;
    while (book != NULL && book->set != set) {
        book = book->next;
    }
    return book;
}

static void free_book(tiers_book *book) {
    lcrt_prefix_free(book->tree);
    free(book);
}

void lcrt_tiers_free_books(lcrt_tiers *tiers) {
    while (tiers->books != NULL) {
        tiers_book *book = tiers->books;
        tiers->books = book->next;
        free_book(book);
    }
}

/* The book of a set, with one item more. NULL without memory. */
static tiers_book *enter_book(lcrt_tiers *tiers, uint64_t set) {
    tiers_book *book = lcrt_tiers_book(tiers, set);
    if (book == NULL) {
        book = calloc(1, sizeof(*book));
        if (book == NULL || lcrt_prefix_init(0, &book->tree) != LCRT_OK) {
            free(book);
            return NULL;
        }
        book->set = set;
        book->next = tiers->books;
        tiers->books = book;
    }
    book->n_items++;
    return book;
}

/* The book has one item less, and goes with the last one. */
static void leave_book(lcrt_tiers *tiers, tiers_book *book) {
    if (--book->n_items > 0) {
        return;
    }
    tiers_book **at = &tiers->books;
    while (*at != book) {
        at = &(*at)->next;
    }
    *at = book->next;
    free_book(book);
}

static void unstore(lcrt_tiers *tiers, lcrt_item *item, int32_t n_stops) {
    for (int32_t i = 0; i < n_stops; i++) {
        lcrt_prefix_remove(item->book->tree, item->stops[i].entry);
    }
    leave_book(tiers, item->book);
    item->book = NULL;
}

lcrt_item *lcrt_tiers_add(lcrt_tiers *tiers, uint64_t set, const int32_t *tokens, int32_t n_tokens,
                          const int32_t *stops, int32_t n_stops) {
    lcrt_item *item = calloc(1, sizeof(*item) + ((size_t)n_stops + 1) * sizeof(item->stops[0]));
    tiers_book *book = item != NULL ? enter_book(tiers, set) : NULL;
    if (book == NULL) {
        free(item);
        return NULL;
    }
    item->book = book;
    item->set = set;
    item->n_tokens = n_tokens;
    item->n_stops = copy_stops(tiers, item, stops, n_stops);
    for (int32_t i = 0; i < item->n_stops; i++) {
        tiers_stop *stop = &item->stops[i];
        stop->item = item;
        if (lcrt_prefix_store(book->tree, tokens, stop->n, stop, &stop->entry) != LCRT_OK) {
            unstore(tiers, item, i);
            free(item);
            return NULL;
        }
    }
    item->next = tiers->items;
    item->link = &tiers->items;
    if (item->next != NULL) {
        item->next->link = &item->next;
    }
    tiers->items = item;
    return item;
}

void lcrt_tiers_set_state(lcrt_tiers *tiers, lcrt_item *item, lcrt_state *state) {
    item->state = state;
    item->len = (int64_t)lcrt_state_len(state);
    tiers->stats.ram_len += item->len;
    tiers->stats.n_ram++;
}

void lcrt_tiers_drop_state(lcrt_tiers *tiers, lcrt_item *item) {
    if (item->state == NULL) {
        return;
    }
    lcrt_state_free(item->state);
    item->state = NULL;
    tiers->stats.ram_len -= item->len;
    tiers->stats.n_ram--;
    if (item->leaving) {
        tiers->leaving_len -= item->len;
        item->leaving = false;
    }
}

bool lcrt_tiers_submit(lcrt_tiers *tiers, lcrt_item *item, lcrt_disk_kind kind) {
    lcrt_disk_task *task = calloc(1, sizeof(*task));
    if (task == NULL) {
        return false;
    }
    task->kind = kind;
    memcpy(task->name, item->name, sizeof(task->name));
    if (kind != LCRT_DISK_REMOVE) {
        task->owner = item;
        item->task = task;
    }
    task->state = kind == LCRT_DISK_WRITE ? item->state : NULL;
    tiers->n_tasks++;
    lcrt_disk_submit(tiers->disk, task);
    return true;
}

void lcrt_tiers_remove(lcrt_tiers *tiers, lcrt_item *item) {
    if (!item->gone) {
        unstore(tiers, item, item->n_stops);
        *item->link = item->next;
        if (item->next != NULL) {
            item->next->link = item->link;
        }
        item->gone = true;
    }
    if (item->task != NULL) {
        return; /* settle comes back to it */
    }
    lcrt_tiers_drop_state(tiers, item);
    if (item->on_disk) {
        tiers->stats.file_len -= item->file_len;
        tiers->stats.n_file--;
        if (tiers->closed) {
            lcrt_disk_remove(tiers->disk, item->name);
        } else {
            (void)lcrt_tiers_submit(tiers, item, LCRT_DISK_REMOVE);
        }
    }
    free(item);
}

/* Whether a later state can be cut to all that an earlier one holds. */
static bool covers(const lcrt_tiers *tiers, const lcrt_item *later, int32_t n) {
    for (int32_t i = 0; i < later->n_stops; i++) {
        if (later->stops[i].n == n) {
            return true;
        }
    }
    return tiers->can_trim;
}

/* Items all of whose tokens another one begins with, and which it can be cut to; up to MATCHES_MAX. */
static int32_t find_earlier(const lcrt_tiers *tiers, const lcrt_item *item, lcrt_item **out) {
    lcrt_prefix_match matches[MATCHES_MAX];
    lcrt_prefix *tree = item->book->tree;
    int32_t *tokens = malloc((size_t)item->n_tokens * sizeof(*tokens));
    if (tokens == NULL) {
        return 0;
    }
    lcrt_prefix_read(tree, item->stops[item->n_stops - 1].entry, item->n_tokens, tokens);
    int32_t n = lcrt_prefix_list(tree, tokens, item->n_tokens - 1, matches, MATCHES_MAX);
    int32_t n_found = 0;
    free(tokens);
    for (int32_t i = 0; i < n; i++) {
        const tiers_stop *stop = lcrt_prefix_data(tree, matches[i].entry);
        bool whole = stop->n == stop->item->n_tokens && matches[i].n_shared == stop->n;
        if (stop->item != item && whole && stop->item->task == NULL && covers(tiers, item, stop->n)) {
            out[n_found++] = stop->item;
        }
    }
    return n_found;
}

void lcrt_tiers_drop_earlier(lcrt_tiers *tiers, const lcrt_item *item, bool files) {
    lcrt_item *earlier[MATCHES_MAX];
    int32_t n = find_earlier(tiers, item, earlier);
    for (int32_t i = 0; i < n; i++) {
        if (files || !earlier[i]->on_disk) {
            lcrt_tiers_remove(tiers, earlier[i]);
        } else {
            lcrt_tiers_drop_state(tiers, earlier[i]);
        }
    }
}

double lcrt_tiers_value(const lcrt_tiers *tiers, const lcrt_item *item, int64_t now_ns) {
    lcrt_worth worth = {.n_saved = item->n_tokens, .n_uses = item->n_uses, .age_ns = now_ns - item->used_ns};
    if (tiers->can_trim) {
        worth.n_saved -= lcrt_prefix_common(item->book->tree, item->stops[item->n_stops - 1].entry, true);
    }
    return lcrt_value(&worth) / (double)(item->len + 1);
}

static lcrt_item *least_valuable(const lcrt_tiers *tiers, int64_t now_ns) {
    lcrt_item *least = NULL;
    double value_min = 0;
    for (lcrt_item *item = tiers->items; item != NULL; item = item->next) {
        if (item->state == NULL || item->leaving || item->held || item->task != NULL) {
            continue;
        }
        double value = lcrt_tiers_value(tiers, item, now_ns);
        if (least == NULL || value < value_min) {
            least = item;
            value_min = value;
        }
    }
    return least;
}

void lcrt_tiers_make_room(lcrt_tiers *tiers, int64_t now_ns) {
    while (tiers->stats.ram_len - tiers->leaving_len > tiers->ram_max) {
        lcrt_item *item = least_valuable(tiers, now_ns);
        if (item == NULL) {
            return;
        }
        bool queue = tiers->disk != NULL && !item->on_disk && tiers->leaving_len + item->len <= LEAVING_MAX;
        if (item->on_disk) {
            lcrt_tiers_drop_state(tiers, item);
        } else if (queue && lcrt_tiers_submit(tiers, item, LCRT_DISK_WRITE)) {
            item->leaving = true;
            tiers->leaving_len += item->len;
        } else {
            lcrt_tiers_remove(tiers, item);
        }
    }
}
