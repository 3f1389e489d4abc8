#include "lcrt/status.h"

const char *lcrt_status_text(lcrt_status status) {
    switch (status) {
    case LCRT_OK:
        return "ok";
    case LCRT_ERR_INVALID:
        return "invalid argument";
    case LCRT_ERR_NO_MEMORY:
        return "out of memory";
    case LCRT_ERR_IO:
        return "cannot read or write a file";
    case LCRT_ERR_FORMAT:
        return "not a valid file of its kind";
    case LCRT_ERR_UNSUPPORTED:
        return "not supported by this model or backend";
    case LCRT_ERR_FULL:
        return "no room now";
    case LCRT_ERR_TOO_LONG:
        return "too long";
    case LCRT_ERR_CANCELLED:
        return "cancelled";
    case LCRT_ERR_BACKEND:
        return "the forward pass failed";
    case LCRT_ERR_CLOSED:
        return "the engine has stopped";
    case LCRT_ERR_GRAMMAR:
        return "the grammar cannot go on";
    }
    return "unknown status";
}
