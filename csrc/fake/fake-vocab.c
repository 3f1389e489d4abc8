#include <stdio.h>
#include <string.h>

#include "lcrt/fake.h"

typedef struct named_piece {
    const char *text;
    int32_t len;
} named_piece;

#define PIECE(text) {text, (int32_t)sizeof(text) - 1}

/* From LCRT_FAKE_SPACE on. */
static const named_piece named[] = {
    PIECE(" "),    PIECE("\n"),       PIECE("STOP"), PIECE("ST"),   PIECE("OP"),
    PIECE("\xC3"), PIECE("\xA9"),     PIECE("\xE2"), PIECE("\x82"), PIECE("\xAC"),
    PIECE("\xF0"), PIECE("\x9F\x98"), PIECE("\x80"), PIECE("\xFF"), PIECE(""),
};

static const named_piece control[] = {PIECE("</s>"), PIECE("<s>"), PIECE("<|mark|>")};

static int32_t put(const char *text, int32_t len, char *out, int32_t cap) {
    if (len > cap) {
        return -len;
    }
    memcpy(out, text, (size_t)len);
    return len;
}

int32_t lcrt_fake_piece(int32_t token, bool special, char *out, int32_t cap) {
    char text[300];
    if (token <= LCRT_FAKE_MARK) {
        return special ? put(control[token].text, control[token].len, out, cap) : 0;
    }
    if (token < LCRT_FAKE_SPACE) {
        text[0] = (char)('a' + token - LCRT_FAKE_A);
        return put(text, 1, out, cap);
    }
    if (token < LCRT_FAKE_LONG) {
        return put(named[token - LCRT_FAKE_SPACE].text, named[token - LCRT_FAKE_SPACE].len, out, cap);
    }
    if (token == LCRT_FAKE_LONG) {
        memset(text, 'x', sizeof(text));
        return put(text, (int32_t)sizeof(text), out, cap);
    }
    int32_t len = snprintf(text, sizeof(text), " w%d", token);
    return put(text, len, out, cap);
}
