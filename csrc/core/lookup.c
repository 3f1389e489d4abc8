#include "lookup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Tokens of a block: a text wastes half of one on average, and loses its oldest whole. */
#define BLOCK 64
/* Places of one hash in the index, the newest first. There are twice as many as there can be n-grams. */
#define WAYS 4
/* Texts that have parted are expected to meet again within so many tokens, ... */
#define REACH 16
/* ... and are surely together after so many that are the same. */
#define SURE 3

static const int32_t lengths[LCRT_LOOKUP_LEVELS] = LCRT_LOOKUP_LENGTHS;

typedef struct block {
    uint64_t begun;        /* number of its use, from 1; 0: never */
    int32_t before, after; /* blocks of the same text, -1: none any more */
    int32_t n;
    int32_t tokens[BLOCK];
} block;

/* Where the token is that followed some n-gram. */
typedef struct entry {
    uint32_t tag; /* rest of the hash */
    int32_t at;   /* block * BLOCK + offset, plus 1; 0: nothing */
} entry;

typedef struct bucket {
    entry entries[WAYS];
} bucket;

struct lcrt_lookup {
    block *blocks;
    int32_t n_blocks, next; /* the next one to be used */
    uint64_t n_begun;
    bucket *buckets;
    uint64_t n_buckets; /* a power of two */
};

/* The end of a text, read backwards. */
typedef struct recent {
    int32_t tokens[LCRT_LOOKUP_LENGTH_MAX]; /* the newest first */
    int32_t n;
} recent;

lcrt_status lcrt_lookup_init(int32_t n_tokens, lcrt_lookup **out) {
    if (n_tokens < 1 || n_tokens > INT32_MAX / 2) {
        return LCRT_ERR_INVALID;
    }
    lcrt_lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    lookup->n_blocks = (n_tokens + BLOCK - 1) / BLOCK + 1;
    lookup->n_buckets = 1;
    while (lookup->n_buckets * WAYS < (uint64_t)n_tokens * LCRT_LOOKUP_LEVELS * 2) {
        lookup->n_buckets *= 2;
    }
    lookup->blocks = calloc((size_t)lookup->n_blocks, sizeof(*lookup->blocks));
    lookup->buckets = calloc(lookup->n_buckets, sizeof(*lookup->buckets));
    if (lookup->blocks == NULL || lookup->buckets == NULL) {
        lcrt_lookup_free(lookup);
        return LCRT_ERR_NO_MEMORY;
    }
    *out = lookup;
    return LCRT_OK;
}

void lcrt_lookup_free(lcrt_lookup *lookup) {
    if (lookup != NULL) {
        free(lookup->blocks);
        free(lookup->buckets);
        free(lookup);
    }
}

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

/* Of the newest tokens of a text, for each length that it has; returns for how many levels from
 * the last one on. */
static int32_t hash(const recent *end, uint64_t *out) {
    uint64_t sum = 0;
    int32_t n_levels = 0;
    for (int32_t i = 0; i < end->n; i++) {
        sum = mix(sum + 0x9E3779B97F4A7C15U * ((uint64_t)(uint32_t)end->tokens[i] + 1));
        int32_t level = LCRT_LOOKUP_LEVELS - 1 - n_levels;
        if (level >= 0 && i + 1 == lengths[level]) {
            out[level] = sum;
            n_levels++;
        }
    }
    return n_levels;
}

static void push(recent *end, int32_t token) {
    memmove(end->tokens + 1, end->tokens, (LCRT_LOOKUP_LENGTH_MAX - 1) * sizeof(*end->tokens));
    end->tokens[0] = token;
    end->n += end->n < LCRT_LOOKUP_LENGTH_MAX;
}

/* The newest place of a hash becomes the first; one that is as good, else the oldest, is lost. */
static void note(lcrt_lookup *lookup, uint64_t sum, int32_t at) {
    entry *entries = lookup->buckets[sum & (lookup->n_buckets - 1)].entries;
    uint32_t tag = (uint32_t)(sum >> 32);
    int32_t last = 0;
    while (last < WAYS - 1 && entries[last].at != 0 && entries[last].tag != tag) {
        last++;
    }
    memmove(entries + 1, entries, (size_t)last * sizeof(*entries));
    entries[0] = (entry){.tag = tag, .at = at + 1};
}

/* The place before another one in its text, -1: there is none any more. */
static int32_t step_back(const lcrt_lookup *lookup, int32_t at) {
    if (at % BLOCK > 0) {
        return at - 1;
    }
    int32_t before = lookup->blocks[at / BLOCK].before;
    return before >= 0 ? before * BLOCK + lookup->blocks[before].n - 1 : -1;
}

static int32_t step_on(const lcrt_lookup *lookup, int32_t at) {
    const block *own = &lookup->blocks[at / BLOCK];
    if (at % BLOCK + 1 < own->n) {
        return at + 1;
    }
    return own->after >= 0 && lookup->blocks[own->after].n > 0 ? own->after * BLOCK : -1;
}

static int32_t token_at(const lcrt_lookup *lookup, int32_t at) {
    return lookup->blocks[at / BLOCK].tokens[at % BLOCK];
}

/* The end of a text in the history, in front of a place. */
static void read_back(const lcrt_lookup *lookup, int32_t at, recent *out) {
    out->n = 0;
    while (at >= 0 && out->n < LCRT_LOOKUP_LENGTH_MAX) {
        out->tokens[out->n++] = token_at(lookup, at);
        at = step_back(lookup, at);
    }
}

/* Takes the oldest block away from its text, for another one; returns it. */
static int32_t take_block(lcrt_lookup *lookup) {
    int32_t taken = lookup->next;
    block *own = &lookup->blocks[taken];
    lookup->next = (lookup->next + 1) % lookup->n_blocks;
    if (own->begun > 0 && own->before >= 0) {
        lookup->blocks[own->before].after = -1;
    }
    if (own->begun > 0 && own->after >= 0) {
        lookup->blocks[own->after].before = -1;
    }
    own->begun = ++lookup->n_begun;
    own->before = own->after = -1;
    own->n = 0;
    return taken;
}

/* The block that a text's next token goes to. */
static block *block_for(lcrt_lookup *lookup, lcrt_trail *trail) {
    block *own = &lookup->blocks[trail->block];
    bool lost = trail->begun == 0 || own->begun != trail->begun;
    if (!lost && own->n < BLOCK) {
        return own;
    }
    int32_t before = lost ? -1 : trail->block;
    trail->block = take_block(lookup);
    own = &lookup->blocks[trail->block];
    trail->begun = own->begun;
    if (before >= 0 && before != trail->block) {
        own->before = before;
        lookup->blocks[before].after = trail->block;
    }
    return own;
}

static bool is_live(const lcrt_lookup *lookup, const lcrt_trail *trail) {
    return trail->begun != 0 && lookup->blocks[trail->block].begun == trail->begun;
}

void lcrt_lookup_put(lcrt_lookup *lookup, lcrt_trail *trail, const int32_t *tokens, int32_t n_tokens) {
    recent end = {.n = 0};
    if (is_live(lookup, trail) && lookup->blocks[trail->block].n > 0) {
        read_back(lookup, trail->block * BLOCK + lookup->blocks[trail->block].n - 1, &end);
    }
    for (int32_t i = 0; i < n_tokens; i++) {
        block *own = block_for(lookup, trail);
        int32_t at = trail->block * BLOCK + own->n;
        own->tokens[own->n++] = tokens[i];
        uint64_t sums[LCRT_LOOKUP_LEVELS];
        int32_t n_levels = hash(&end, sums);
        for (int32_t level = LCRT_LOOKUP_LEVELS - n_levels; level < LCRT_LOOKUP_LEVELS; level++) {
            note(lookup, sums[level], at);
        }
        push(&end, tokens[i]);
    }
}

/* Whether the n tokens before a place are the newest n of a text. */
static bool matches(const lcrt_lookup *lookup, int32_t at, const recent *end, int32_t n) {
    if (at % BLOCK >= lookup->blocks[at / BLOCK].n) {
        return false;
    }
    for (int32_t i = 0; i < n; i++) {
        at = step_back(lookup, at);
        if (at < 0 || token_at(lookup, at) != end->tokens[i]) {
            return false;
        }
    }
    return true;
}

/* The newest place behind the same tokens, of the longest length that is found; -1: nowhere. */
static int32_t find_place(const lcrt_lookup *lookup, const recent *end, int32_t *level) {
    uint64_t sums[LCRT_LOOKUP_LEVELS];
    int32_t n_levels = hash(end, sums);
    for (int32_t i = LCRT_LOOKUP_LEVELS - n_levels; i < LCRT_LOOKUP_LEVELS; i++) {
        const entry *entries = lookup->buckets[sums[i] & (lookup->n_buckets - 1)].entries;
        for (int32_t way = 0; way < WAYS && entries[way].at != 0; way++) {
            int32_t at = entries[way].at - 1;
            if (entries[way].tag == (uint32_t)(sums[i] >> 32) && matches(lookup, at, end, lengths[i])) {
                *level = i;
                return at;
            }
        }
    }
    return -1;
}

static void read_end(recent *end, const int32_t *tokens, int32_t n_tokens) {
    end->n = 0;
    for (int32_t i = n_tokens - 1; i >= 0 && end->n < LCRT_LOOKUP_LENGTH_MAX; i--) {
        end->tokens[end->n++] = tokens[i];
    }
}

static lcrt_place place_of(const lcrt_lookup *lookup, int32_t at) {
    return at >= 0 ? (lcrt_place){.begun = lookup->blocks[at / BLOCK].begun, .at = at} : (lcrt_place){.begun = 0};
}

/* -1: another text has it by now. */
static int32_t at_of(const lcrt_lookup *lookup, lcrt_place place) {
    if (place.begun == 0) {
        return -1;
    }
    const block *own = &lookup->blocks[place.at / BLOCK];
    return own->begun == place.begun && place.at % BLOCK < own->n ? place.at : -1;
}

lcrt_place lcrt_lookup_find(const lcrt_lookup *lookup, const int32_t *tokens, int32_t n_tokens, int32_t *level) {
    recent end;
    read_end(&end, tokens, n_tokens);
    return place_of(lookup, find_place(lookup, &end, level));
}

int32_t lcrt_lookup_read(const lcrt_lookup *lookup, lcrt_place place, const int32_t *tokens, int32_t n_tokens,
                         int32_t *out, int32_t max) {
    recent end;
    read_end(&end, tokens, n_tokens);
    int32_t n = 0, level, at = at_of(lookup, place);
    while (n < max && at >= 0) {
        out[n] = token_at(lookup, at);
        push(&end, out[n++]);
        at = step_on(lookup, at);
        if (at < 0 && n < max) {
            at = find_place(lookup, &end, &level);
        }
    }
    return n;
}

lcrt_way lcrt_lookup_follow(lcrt_place place) {
    return (lcrt_way){.next = place, .left = place};
}

/* The place of a token among the next ones from a place on; -1: it is not there. */
static int32_t look_for(const lcrt_lookup *lookup, lcrt_place from, int32_t token) {
    int32_t at = at_of(lookup, from);
    for (int32_t i = 0; at >= 0 && i < REACH; i++) {
        if (token_at(lookup, at) == token) {
            return at;
        }
        at = step_on(lookup, at);
    }
    return -1;
}

void lcrt_lookup_walk(const lcrt_lookup *lookup, lcrt_way *way, int32_t token) {
    int32_t at = at_of(lookup, way->next);
    if (at < 0) {
        *way = (lcrt_way){.n_same = 0};
        return;
    }
    bool same = token_at(lookup, at) == token;
    if (!same) {
        way->left = way->n_same >= SURE ? way->next : way->left;
        way->n_same = 0;
        at = look_for(lookup, way->next, token);
        at = at < 0 ? look_for(lookup, way->left, token) : at;
    }
    if (at >= 0) {
        way->n_lost = 0;
        way->n_same += way->n_same < SURE;
        way->next = place_of(lookup, step_on(lookup, at));
    } else if (++way->n_lost > REACH) {
        *way = (lcrt_way){.n_same = 0};
    }
}

lcrt_place lcrt_lookup_next(const lcrt_lookup *lookup, const lcrt_way *way, bool skip) {
    int32_t at = at_of(lookup, way->next);
    return skip && at >= 0 ? place_of(lookup, step_on(lookup, at)) : way->next;
}
