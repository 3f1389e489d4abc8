/* guide.c -- texts to matchers, and the texts that are remembered. */
#include "guide.h"
#include "compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1 << 20)
#define KEPT_MAX 64
#define COMPILE_MS 2000
#define LEXER_STATES_MAX 50000

static lcrt_guide_params with_defaults(const lcrt_guide_params *params) {
    lcrt_guide_params p = params != NULL ? *params : (lcrt_guide_params){0};
    p.text_max = p.text_max > 0 ? p.text_max : TEXT_MAX;
    p.n_kept = p.n_kept > 0 ? p.n_kept : KEPT_MAX;
    p.compile_ms = p.compile_ms > 0 ? p.compile_ms : COMPILE_MS;
    p.lexer_states_max = p.lexer_states_max > 0 ? p.lexer_states_max : LEXER_STATES_MAX;
    return p;
}

lcrt_status lcrt_guide_init(lcrt_model *model, const char *library, const lcrt_guide_params *params, lcrt_guide **out,
                            char *err, size_t err_cap) {
    lcrt_guide *guide = calloc(1, sizeof(*guide));
    if (guide == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    guide->params = with_defaults(params);
    lcrt_status status = lcrt_llg_init(library, &guide->llg, err, err_cap);
    if (status == LCRT_OK) {
        status = lcrt_words_init(&guide->words, model, &guide->llg, &guide->tokenizer, err, err_cap);
    }
    if (status != LCRT_OK) {
        lcrt_llg_free(&guide->llg);
        free(guide);
        return status;
    }
    guide->model = lcrt_model_ref(model);
    atomic_init(&guide->n_refs, 1);
    pthread_mutex_init(&guide->mutex, NULL);
    *out = guide;
    return LCRT_OK;
}

static void entry_free(const lcrt_llg *llg, lcrt_guide_entry *entry) {
    llg->matcher_free(entry->first);
    llg->matcher_free(entry->spare);
    free(entry->text);
    free(entry);
}

void lcrt_guide_free(lcrt_guide *guide) {
    if (guide == NULL || atomic_fetch_sub(&guide->n_refs, 1) > 1) {
        return;
    }
    while (guide->entries != NULL) {
        lcrt_guide_entry *entry = guide->entries;
        guide->entries = entry->next;
        entry_free(&guide->llg, entry);
    }
    guide->llg.tokenizer_free(guide->tokenizer);
    lcrt_llg_free(&guide->llg);
    lcrt_model_free(guide->model);
    pthread_mutex_destroy(&guide->mutex);
    free(guide);
}

static bool is_of(const lcrt_guide_entry *entry, lcrt_guide_kind kind, const char *text, size_t text_len) {
    return entry->kind == kind && entry->text_len == text_len && memcmp(entry->text, text, text_len) == 0;
}

/* Puts the entry in front; NULL when the text is not remembered. Under the mutex. */
static lcrt_guide_entry *find(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len) {
    for (lcrt_guide_entry **at = &guide->entries; *at != NULL; at = &(*at)->next) {
        lcrt_guide_entry *entry = *at;
        if (is_of(entry, kind, text, text_len)) {
            *at = entry->next;
            entry->next = guide->entries;
            guide->entries = entry;
            return entry;
        }
    }
    return NULL;
}

/* A matcher of a text that was compiled before; NULL when it was not. */
static llg_matcher *remembered(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len,
                               uint64_t *number) {
    llg_matcher *matcher = NULL;
    pthread_mutex_lock(&guide->mutex);
    lcrt_guide_entry *entry = find(guide, kind, text, text_len);
    if (entry != NULL) {
        matcher = entry->spare != NULL ? entry->spare : guide->llg.matcher_clone(entry->first);
        entry->spare = NULL;
        *number = entry->number;
        guide->stats.n_copied++;
    }
    pthread_mutex_unlock(&guide->mutex);
    return matcher;
}

/* Forgets the texts that were not used for the longest time. Under the mutex. */
static void forget(lcrt_guide *guide) {
    lcrt_guide_entry **at = &guide->entries;
    for (int32_t i = 0; i < guide->params.n_kept && *at != NULL; i++) {
        at = &(*at)->next;
    }
    while (*at != NULL) {
        lcrt_guide_entry *entry = *at;
        *at = entry->next;
        entry_free(&guide->llg, entry);
        guide->stats.n_kept--;
    }
}

uint64_t lcrt_guide_remember(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len,
                             const llg_matcher *first) {
    uint64_t number = 0;
    char *copy = malloc(text_len + 1);
    pthread_mutex_lock(&guide->mutex);
    guide->stats.n_compiled++;
    lcrt_guide_entry *known = find(guide, kind, text, text_len);
    lcrt_guide_entry *entry = known == NULL && copy != NULL ? calloc(1, sizeof(*entry)) : NULL;
    if (entry != NULL) {
        memcpy(copy, text, text_len);
        *entry = (lcrt_guide_entry){.next = guide->entries,
                                    .text = copy,
                                    .text_len = text_len,
                                    .kind = kind,
                                    .number = ++guide->n_numbers,
                                    .first = guide->llg.matcher_clone(first)};
        copy = NULL;
        number = entry->number;
        guide->entries = entry;
        guide->stats.n_kept++;
        forget(guide);
    } else if (known != NULL) {
        number = known->number;
    }
    pthread_mutex_unlock(&guide->mutex);
    free(copy);
    return number;
}

void lcrt_guide_return(lcrt_guide *guide, llg_matcher *matcher, uint64_t number) {
    pthread_mutex_lock(&guide->mutex);
    for (lcrt_guide_entry *entry = guide->entries; entry != NULL; entry = entry->next) {
        if (entry->number == number && entry->spare == NULL) {
            entry->spare = matcher;
            matcher = NULL;
        }
    }
    pthread_mutex_unlock(&guide->mutex);
    guide->llg.matcher_free(matcher);
}

static lcrt_status check_text(const lcrt_guide *guide, const char *text, size_t text_len, char *err, size_t err_cap) {
    if (text_len > (size_t)guide->params.text_max) {
        (void)snprintf(err, err_cap, "%zu bytes, and at most %d are allowed", text_len, guide->params.text_max);
        return LCRT_ERR_TOO_LONG;
    }
    if (memchr(text, 0, text_len) != NULL) {
        (void)snprintf(err, err_cap, "a NUL character in the text");
        return LCRT_ERR_GRAMMAR;
    }
    return LCRT_OK;
}

lcrt_status lcrt_guide_compile(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len,
                               lcrt_grammar *out, char *err, size_t err_cap) {
    uint64_t number = 0;
    llg_matcher *matcher = remembered(guide, kind, text, text_len, &number);
    lcrt_status status = LCRT_OK;
    if (matcher == NULL) {
        lcrt_source source = {.kind = kind, .text = text, .text_len = text_len, .keep = true};
        status = check_text(guide, text, text_len, err, err_cap);
        if (status == LCRT_OK) {
            status = lcrt_guide_run(guide, &source, &matcher, &number, err, err_cap);
        }
    }
    return status == LCRT_OK ? lcrt_guide_wrap(guide, matcher, number, out) : status;
}

lcrt_status lcrt_guide_check(lcrt_guide *guide, lcrt_guide_kind kind, const char *text, size_t text_len, char *err,
                             size_t err_cap) {
    uint64_t number;
    llg_matcher *matcher = NULL;
    lcrt_source source = {.kind = kind, .text = text, .text_len = text_len};
    lcrt_status status = check_text(guide, text, text_len, err, err_cap);
    if (status == LCRT_OK) {
        status = lcrt_guide_run(guide, &source, &matcher, &number, err, err_cap);
    }
    guide->llg.matcher_free(matcher);
    return status;
}

void lcrt_guide_stats_get(lcrt_guide *guide, lcrt_guide_stats *out) {
    pthread_mutex_lock(&guide->mutex);
    *out = guide->stats;
    pthread_mutex_unlock(&guide->mutex);
}
