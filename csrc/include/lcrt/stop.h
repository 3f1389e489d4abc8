/* stop.h -- stop strings over piece boundaries.
 *
 * Engine thread only. Holds the strings, not the text. */
#ifndef LCRT_STOP_H
#define LCRT_STOP_H

#include <stdint.h>

#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_stop lcrt_stop;

/* Copies the strings; empty ones are left out. */
lcrt_status lcrt_stop_init(const char *const *stops, int32_t n_stops, lcrt_stop **out);
void lcrt_stop_free(lcrt_stop *stop);

/* Looks at text, of which the first n_seen bytes were looked at before without a match.
 * Returns the position of the earliest match, or -1; *n_held is then how many bytes at
 * the end of text may be the beginning of a match and must not be shown yet. */
int32_t lcrt_stop_find(const lcrt_stop *stop, const char *text, int32_t text_len, int32_t n_seen, int32_t *n_held);

#ifdef __cplusplus
}
#endif
#endif
