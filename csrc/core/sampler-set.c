/* sampler-set.c -- cutting a set of tokens without sorting what falls away. */
#include "sampler-set.h"

#include <math.h>

#include "sampler-kernels.h"

#define SMALL 24 /* as many items are sorted by insertion */

static int before(const lcrt_item *a, const lcrt_item *b) {
    return a->rank > b->rank || (a->rank == b->rank && a->token < b->token);
}

static void swap(lcrt_item *a, lcrt_item *b) {
    lcrt_item kept = *a;
    *a = *b;
    *b = kept;
}

static void insertion_sort(lcrt_item *items, int32_t n_items) {
    for (int32_t i = 1; i < n_items; i++) {
        lcrt_item moved = items[i];
        int32_t j = i;
        for (; j > 0 && before(&moved, &items[j - 1]); j--) {
            items[j] = items[j - 1];
        }
        items[j] = moved;
    }
}

/* Splits at the median of three: what comes before it goes to its left. Returns its
 * place, which is never the last. */
static int32_t split(lcrt_item *items, int32_t n_items) {
    lcrt_item *first = items;
    lcrt_item *middle = items + n_items / 2;
    lcrt_item *last = items + n_items - 1;
    if (before(middle, first)) {
        swap(middle, first);
    }
    if (before(last, first)) {
        swap(last, first);
    }
    if (before(middle, last)) {
        swap(middle, last);
    }
    lcrt_item pivot = *last;
    int32_t n_left = 0;
    for (int32_t i = 0; i < n_items - 1; i++) {
        lcrt_item item = items[i];
        items[i] = items[n_left];
        items[n_left] = item;
        n_left += before(&item, &pivot);
    }
    swap(&items[n_left], last);
    return n_left;
}

static double weight_of(const lcrt_item *items, int32_t n_items) {
    double total = 0.0;
    for (int32_t i = 0; i < n_items; i++) {
        total += (double)items[i].weight;
    }
    return total;
}

void lcrt_set_cut(lcrt_set *set, double target) {
    lcrt_item *items = set->items;
    int32_t low = 0; /* everything before it is kept */
    int32_t high = set->n_items;
    double sum = 0.0; /* of what is kept */
    while (high - low > SMALL) {
        int32_t left = split(items + low, high - low) + 1;
        double weight = weight_of(items + low, left);
        if (sum + weight >= target) {
            high = low + left;
        } else {
            sum += weight;
            low += left;
        }
    }
    insertion_sort(items + low, high - low);
    while (low < high) {
        sum += (double)items[low++].weight;
        if (sum >= target) {
            break;
        }
    }
    set->n_items = low;
}

static void sort(lcrt_item *items, int32_t n_items) {
    while (n_items > SMALL) {
        int32_t left = split(items, n_items);
        int32_t right = n_items - left - 1;
        if (left < right) {
            sort(items, left);
            items += left + 1;
            n_items = right;
        } else {
            sort(items + left + 1, right);
            n_items = left;
        }
    }
    insertion_sort(items, n_items);
}

void lcrt_set_sort(lcrt_set *set) {
    sort(set->items, set->n_items);
}

float lcrt_set_rank(lcrt_set *set) {
    float top = -INFINITY;
    for (int32_t i = 0; i < set->n_items; i++) {
        float logit = set->items[i].logit;
        set->items[i].rank = logit;
        top = logit > top ? logit : top;
    }
    return top;
}

double lcrt_set_weigh(lcrt_set *set, float top, float scale) {
    double total = 0.0;
    for (int32_t i = 0; i < set->n_items; i++) {
        float weight = lcrt_weight(set->items[i].logit, top, scale);
        set->items[i].weight = weight;
        total += (double)weight;
    }
    return total;
}

void lcrt_set_top_k(lcrt_set *set, int32_t k) {
    for (int32_t i = 0; i < set->n_items; i++) {
        set->items[i].weight = 1.0f;
    }
    lcrt_set_cut(set, (double)k);
}

/* Orders by how far the surprise of a token is from the mean surprise. */
void lcrt_set_typical(lcrt_set *set, float typical_p) {
    float top = lcrt_set_rank(set);
    double total = lcrt_set_weigh(set, top, LCRT_LOG2_E);
    double mean = 0.0; /* of top - logit */
    for (int32_t i = 0; i < set->n_items; i++) {
        const lcrt_item *item = &set->items[i];
        mean += item->weight > 0.0f ? (double)item->weight * ((double)top - (double)item->logit) : 0.0;
    }
    mean /= total;
    for (int32_t i = 0; i < set->n_items; i++) {
        lcrt_item *item = &set->items[i];
        item->rank = (float)-fabs((double)top - (double)item->logit - mean);
    }
    /* The sum must pass typical_p, reaching it is not enough. */
    lcrt_set_cut(set, nextafter((double)typical_p, INFINITY) * total);
    lcrt_set_rank(set);
}

void lcrt_set_top_p(lcrt_set *set, float top_p) {
    float top = lcrt_set_rank(set);
    lcrt_set_cut(set, (double)top_p * lcrt_set_weigh(set, top, LCRT_LOG2_E));
}

void lcrt_set_min_p(lcrt_set *set, float min_p) {
    float top = lcrt_set_rank(set);
    float least = fminf(top + logf(min_p), top);
    int32_t n_kept = 0;
    for (int32_t i = 0; i < set->n_items; i++) {
        set->items[n_kept] = set->items[i];
        n_kept += set->items[i].logit >= least;
    }
    set->n_items = n_kept;
}

int32_t lcrt_set_at(const lcrt_set *set, double target) {
    double sum = 0.0;
    int32_t last = -1;
    for (int32_t i = 0; i < set->n_items; i++) {
        const lcrt_item *item = &set->items[i];
        if (item->weight > 0.0f) {
            last = item->token;
            sum += (double)item->weight;
            if (sum >= target) {
                break;
            }
        }
    }
    return last;
}
