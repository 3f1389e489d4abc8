#include "lcrt/stop.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* One string as an automaton: after k matching bytes, a byte that does not fit
 * leaves fall[k - 1] bytes matching. So no text is looked at twice per string. */
typedef struct stop_string {
    char *text;
    int32_t *fall;
    int32_t len;
} stop_string;

struct lcrt_stop {
    stop_string *strings;
    int32_t n_strings;
};

static int32_t follow(const stop_string *string, int32_t n_matched, char byte) {
    while (n_matched > 0 && string->text[n_matched] != byte) {
        n_matched = string->fall[n_matched - 1];
    }
    return string->text[n_matched] == byte ? n_matched + 1 : 0;
}

static lcrt_status string_init(stop_string *string, const char *text, size_t len) {
    string->text = malloc(len);
    string->fall = calloc(len, sizeof(*string->fall));
    string->len = (int32_t)len;
    if (string->text == NULL || string->fall == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    memcpy(string->text, text, len);
    for (int32_t i = 1; i < string->len; i++) {
        string->fall[i] = follow(string, string->fall[i - 1], text[i]);
    }
    return LCRT_OK;
}

lcrt_status lcrt_stop_init(const char *const *stops, int32_t n_stops, lcrt_stop **out) {
    lcrt_stop *stop = calloc(1, sizeof(*stop));
    if (stop == NULL) {
        return LCRT_ERR_NO_MEMORY;
    }
    lcrt_status status = LCRT_OK;
    if (n_stops > 0) {
        stop->strings = calloc((size_t)n_stops, sizeof(*stop->strings));
        status = stop->strings == NULL ? LCRT_ERR_NO_MEMORY : LCRT_OK;
    }
    for (int32_t i = 0; i < n_stops && status == LCRT_OK; i++) {
        size_t len = stops[i] == NULL ? 0 : strlen(stops[i]);
        if (len > INT_MAX / 2) {
            status = LCRT_ERR_TOO_LONG;
        } else if (len > 0) {
            status = string_init(&stop->strings[stop->n_strings++], stops[i], len);
        }
    }
    if (status != LCRT_OK) {
        lcrt_stop_free(stop);
        return status;
    }
    *out = stop;
    return LCRT_OK;
}

void lcrt_stop_free(lcrt_stop *stop) {
    if (stop == NULL) {
        return;
    }
    for (int32_t i = 0; i < stop->n_strings; i++) {
        free(stop->strings[i].text);
        free(stop->strings[i].fall);
    }
    free(stop->strings);
    free(stop);
}

int32_t lcrt_stop_find(const lcrt_stop *stop, const char *text, int32_t text_len, int32_t n_seen, int32_t *n_held) {
    int32_t first = -1;
    *n_held = 0;
    for (int32_t s = 0; s < stop->n_strings; s++) {
        const stop_string *string = &stop->strings[s];
        /* What ends after n_seen begins at most len - 1 bytes before it. */
        int32_t i = n_seen - string->len + 1;
        int32_t n_matched = 0;
        for (i = i > 0 ? i : 0; i < text_len; i++) {
            n_matched = follow(string, n_matched, text[i]);
            if (n_matched == string->len) {
                int32_t position = i + 1 - string->len;
                first = first < 0 || position < first ? position : first;
                n_matched = 0;
                break;
            }
        }
        *n_held = n_matched > *n_held ? n_matched : *n_held;
    }
    if (first >= 0) {
        *n_held = 0;
    }
    return first;
}
