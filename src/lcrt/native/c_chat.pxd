from libc.stddef cimport size_t

from lcrt.native.c_model cimport lcrt_model
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/chat.h" nogil:
    ctypedef struct lcrt_chat:
        pass

    lcrt_status lcrt_chat_init(lcrt_model *model, const char *template_text, lcrt_chat **out, char *err, size_t err_cap)
    void lcrt_chat_free(lcrt_chat *chat)
    lcrt_status lcrt_chat_apply(lcrt_chat *chat, const char *request, size_t request_len, char **out, size_t *out_len,
                                char *err, size_t err_cap)
    void lcrt_chat_text_free(char *text)
