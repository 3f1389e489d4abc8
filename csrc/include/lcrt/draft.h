/* draft.h -- whether a model can guess for another one.
 *
 * Any thread. Implemented by csrc/llama. */
#ifndef LCRT_DRAFT_MODEL_H
#define LCRT_DRAFT_MODEL_H

#include <stddef.h>

#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* LCRT_ERR_UNSUPPORTED, with a message for a person in err, when a token of one is not the same token of the other. */
lcrt_status lcrt_draft_check(const lcrt_model *model, const lcrt_model *draft, char *err, size_t err_cap);

#ifdef __cplusplus
}
#endif
#endif
