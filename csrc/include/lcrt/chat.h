/* chat.h -- messages to a prompt, through the model's own Jinja template.
 *
 * A thin C face on llama.cpp's common/chat. JSON in, JSON out. One thread at a
 * time per lcrt_chat. Keeps a reference on the model. */
#ifndef LCRT_CHAT_H
#define LCRT_CHAT_H

#include <stddef.h>

#include "lcrt/model.h"
#include "lcrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_chat lcrt_chat;

/* Parses the template once; NULL takes the model's. LCRT_ERR_UNSUPPORTED when there is none. */
lcrt_status lcrt_chat_init(lcrt_model *model, const char *template_text, lcrt_chat **out, char *err, size_t err_cap);
void lcrt_chat_free(lcrt_chat *chat);

/* request: {"messages": [{"role", "content"}...], "tools"?: [...], "tool_choice"?, "enable_thinking"?: bool,
 * "add_generation_prompt"?: bool, "now"?: unix seconds}, in the form of OpenAI's chat API.
 * *out: {"prompt", "format", "generation_prompt", "parser", "thinking_start", "thinking_end": [],
 * "preserved_tokens": [], "stops": []}, allocated, to be released with lcrt_chat_text_free.
 * LCRT_ERR_INVALID with a message in err when the template refuses the messages. Without tools
 * and with enable_thinking false the analysis of the template is not repeated per call. */
lcrt_status lcrt_chat_apply(lcrt_chat *chat, const char *request, size_t request_len, char **out, size_t *out_len,
                            char *err, size_t err_cap);
void lcrt_chat_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
