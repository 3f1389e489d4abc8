/* utf8.h -- holds back half a character.
 *
 * Any thread; a value type. */
#ifndef LCRT_UTF8_H
#define LCRT_UTF8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many bytes at the end of text are the beginning of a character that is not
 * complete yet: 0 .. 3. Bytes that can never become a character count as complete. */
int32_t lcrt_utf8_incomplete(const char *text, int32_t text_len);

/* Copies text to out, every maximal invalid part replaced by U+FFFD (Unicode 15, 3.9).
 * out needs room for 3 * text_len bytes. Returns the bytes written. */
int32_t lcrt_utf8_repair(const char *text, int32_t text_len, char *out);

#ifdef __cplusplus
}
#endif
#endif
