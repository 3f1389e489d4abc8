/* log.h -- where llama.cpp's and the engine's messages go.
 *
 * Into one queue of the process, from which one reader takes them: who computes never waits for who
 * writes. Any thread may call any of these. Open it before a model is loaded. */
#ifndef LCRT_LOG_H
#define LCRT_LOG_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcrt_log_level { LCRT_LOG_DEBUG = 1, LCRT_LOG_INFO, LCRT_LOG_WARN, LCRT_LOG_ERROR } lcrt_log_level;

/* From now on messages of this level and above are kept, up to 1 MiB of text; how many found no room is the
 * message after those that did. Also redirects llama.cpp, ggml and mtmd. What was kept before stays. */
void lcrt_log_open(lcrt_log_level min_level);

/* The oldest message, its level in *level, in out as a string without the newline at its end, cut to cap bytes.
 * Waits for one; false when the queue is closed and empty. */
bool lcrt_log_take(lcrt_log_level *level, char *out, size_t cap);

/* From now on messages are dropped. Those kept can still be taken. */
void lcrt_log_close(void);

#ifdef __cplusplus
}
#endif
#endif
