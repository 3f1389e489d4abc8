/* status.h -- what can go wrong, in one enum.
 *
 * Every function that can fail returns lcrt_status. A failure changes nothing
 * unless its header says otherwise. Any thread. */
#ifndef LCRT_STATUS_H
#define LCRT_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcrt_status {
    LCRT_OK = 0,
    LCRT_ERR_INVALID = -1,     /* an argument is out of range */
    LCRT_ERR_NO_MEMORY = -2,   /* host or device memory is short */
    LCRT_ERR_IO = -3,          /* a file cannot be opened or read */
    LCRT_ERR_FORMAT = -4,      /* a file is not what it should be */
    LCRT_ERR_UNSUPPORTED = -5, /* this model or backend cannot do it */
    LCRT_ERR_FULL = -6,        /* no room now; trying later may work */
    LCRT_ERR_TOO_LONG = -7,    /* more tokens or bytes than allowed */
    LCRT_ERR_CANCELLED = -8,   /* the caller asked to stop */
    LCRT_ERR_BACKEND = -9,     /* the forward pass failed */
    LCRT_ERR_CLOSED = -10,     /* the engine has stopped */
    LCRT_ERR_GRAMMAR = -11     /* a grammar that cannot be compiled, or cannot go on */
} lcrt_status;

/* A short lower-case text, never NULL, static storage. */
const char *lcrt_status_text(lcrt_status status);

#ifdef __cplusplus
}
#endif
#endif
