#include "lcrt/utf8.h"

#include <stdbool.h>
#include <string.h>

typedef enum { CHAR_VALID, CHAR_INVALID, CHAR_CUT } char_kind;

/* Length of a character by its first byte; 0 for a byte that begins none. */
static int32_t char_len(unsigned char first) {
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* Whether a byte may follow the first one (table 3-7 of the standard). */
static bool second_fits(unsigned char first, unsigned char second) {
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return second >= 0x80 && second <= 0xBF;
    }
}

/* The character, or the longest part of one, at the beginning of text; its length in *n. */
static char_kind char_at(const unsigned char *text, int32_t text_len, int32_t *n) {
    int32_t want = char_len(text[0]);
    *n = 1;
    if (want < 2) {
        return want == 1 ? CHAR_VALID : CHAR_INVALID;
    }
    while (*n < want) {
        if (*n == text_len) {
            return CHAR_CUT;
        }
        bool fits = *n == 1 ? second_fits(text[0], text[1]) : (text[*n] & 0xC0) == 0x80;
        if (!fits) {
            return CHAR_INVALID;
        }
        ++*n;
    }
    return CHAR_VALID;
}

int32_t lcrt_utf8_incomplete(const char *text, int32_t text_len) {
    const unsigned char *bytes = (const unsigned char *)text;
    for (int32_t back = 1; back <= 3 && back <= text_len; back++) {
        const unsigned char *at = bytes + text_len - back;
        if ((*at & 0xC0) == 0x80) {
            continue;
        }
        int32_t n;
        return char_at(at, back, &n) == CHAR_CUT ? back : 0;
    }
    return 0;
}

int32_t lcrt_utf8_repair(const char *text, int32_t text_len, char *out) {
    const unsigned char *bytes = (const unsigned char *)text;
    int32_t n_out = 0;
    for (int32_t i = 0; i < text_len;) {
        int32_t n;
        if (char_at(bytes + i, text_len - i, &n) == CHAR_VALID) {
            memcpy(out + n_out, text + i, (size_t)n);
            n_out += n;
        } else {
            memcpy(out + n_out, "\xEF\xBF\xBD", 3);
            n_out += 3;
        }
        i += n;
    }
    return n_out;
}
