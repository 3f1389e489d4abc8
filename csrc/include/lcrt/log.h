/* log.h -- where llama.cpp's and the engine's messages go.
 *
 * One sink for the process. The sink may be called from any thread and must not
 * call back into this library. Set it before a model is loaded. */
#ifndef LCRT_LOG_H
#define LCRT_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcrt_log_level { LCRT_LOG_DEBUG = 1, LCRT_LOG_INFO, LCRT_LOG_WARN, LCRT_LOG_ERROR } lcrt_log_level;

typedef void (*lcrt_log_sink)(lcrt_log_level level, const char *text, void *data);

/* NULL silences. Also redirects llama.cpp, ggml and mtmd. */
void lcrt_log_set(lcrt_log_sink sink, lcrt_log_level min_level, void *data);

#ifdef __cplusplus
}
#endif
#endif
