from libc.stdint cimport int32_t

from lcrt.native.c_backend cimport c_bool
from lcrt.native.c_model cimport lcrt_model


cdef extern from "lcrt/vocab.h" nogil:
    int32_t lcrt_vocab_tokens_max(int32_t text_len)
    int32_t lcrt_vocab_tokenise(const lcrt_model *model, const char *text, int32_t text_len, c_bool add_special,
                                c_bool parse_special, int32_t *out, int32_t cap)
    int32_t lcrt_vocab_piece(const lcrt_model *model, int32_t token, c_bool special, char *out, int32_t cap)
    int32_t lcrt_vocab_text(const lcrt_model *model, const int32_t *tokens, int32_t n_tokens, c_bool special,
                            char *out, int32_t cap)
    int32_t lcrt_vocab_suppressed(const lcrt_model *model, const int32_t **out)
    c_bool lcrt_vocab_is_eog(const lcrt_model *model, int32_t token)
    c_bool lcrt_vocab_is_control(const lcrt_model *model, int32_t token)
    int32_t lcrt_vocab_bos(const lcrt_model *model)
    int32_t lcrt_vocab_eos(const lcrt_model *model)

    ctypedef enum lcrt_vocab_role:
        LCRT_VOCAB_SEP
        LCRT_VOCAB_FIM_PREFIX
        LCRT_VOCAB_FIM_SUFFIX
        LCRT_VOCAB_FIM_MIDDLE

    int32_t lcrt_vocab_token(const lcrt_model *model, lcrt_vocab_role role)
    c_bool lcrt_vocab_adds_bos(const lcrt_model *model)
    c_bool lcrt_vocab_adds_eos(const lcrt_model *model)
