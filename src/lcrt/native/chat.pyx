"""Messages to a prompt, through the model's own Jinja template."""

from threading import Lock

from lcrt.errors import InvalidRequest

cimport cython

from lcrt.native cimport c_chat as c, c_status as s
from lcrt.native.handle cimport Handle
from lcrt.native.model cimport Model
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 4096
    DEPTH_MAX = 512


cdef int check_depth(const unsigned char *data, size_t data_len) except -1:
    """Refuse JSON nested so deep that reading it would not fit the stack."""
    cdef bint quoted = False
    cdef int depth = 0
    cdef size_t i = 0
    while i < data_len:
        if quoted:
            if data[i] == c"\\":
                i += 1
            elif data[i] == c'"':
                quoted = False
        elif data[i] == c'"':
            quoted = True
        elif data[i] == c"[" or data[i] == c"{":
            depth += 1
            if depth > DEPTH_MAX:
                raise InvalidRequest(f"a request nested deeper than {DEPTH_MAX}")
        elif data[i] == c"]" or data[i] == c"}":
            depth -= 1
        i += 1
    return 0


@cython.final
cdef class Chat(Handle):
    """A parsed template; ``template`` replaces the model's. Calls of several threads wait for each other."""

    cdef c.lcrt_chat *_chat
    cdef object _lock

    def __cinit__(self, Model model not None, str template=None):
        cdef bytes source = b"" if template is None else template.encode("utf-8", "replace")
        cdef const char *text = NULL
        cdef char err[ERR_CAP]
        cdef s.lcrt_status status
        err[0] = 0
        if template is not None:
            text = source
        self._lock = Lock()
        model.enter()
        try:
            with nogil:
                status = c.lcrt_chat_init(model._model, text, &self._chat, err, ERR_CAP)
        finally:
            model.leave()
        check(status, err)

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        c.lcrt_chat_free(self._chat)
        self._chat = NULL

    def apply(self, bytes request not None):
        """Render a request, JSON in and JSON out; see chat.h for the fields.

        Raises ``InvalidRequest`` when the template refuses the messages, and for more than 512 levels of JSON.
        """
        cdef const char *data = request
        cdef size_t data_len = len(request)
        cdef char *out = NULL
        cdef size_t out_len = 0
        cdef char err[ERR_CAP]
        cdef s.lcrt_status status
        err[0] = 0
        check_depth(<const unsigned char *>data, data_len)
        with self._lock:
            self.enter()
            try:
                with nogil:
                    status = c.lcrt_chat_apply(self._chat, data, data_len, &out, &out_len, err, ERR_CAP)
                check(status, err)
                return out[:out_len]
            finally:
                c.lcrt_chat_text_free(out)
                self.leave()
