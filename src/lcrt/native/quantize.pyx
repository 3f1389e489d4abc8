"""A GGUF written again with its weights in another type."""

import os

from libc.stddef cimport size_t
from libc.stdlib cimport free, malloc

from lcrt.native cimport c_quantize as c, c_status as s
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 1024


def quantize(source, target, int file_type, *, int n_threads=0, bint requantize=False, importance=None):
    """Write ``source`` to ``target`` in the type with that number; ``importance`` maps tensors to float32 arrays."""
    cdef bytes c_source = os.fsencode(source)
    cdef bytes c_target = os.fsencode(target)
    cdef const char *from_path = c_source
    cdef const char *to_path = c_target
    cdef c.lcrt_quantize_params params = c.lcrt_quantize_params_default()
    cdef s.lcrt_status status
    cdef char err[ERR_CAP]
    cdef const float[::1] view
    cdef list kept = []
    cdef size_t i = 0
    cdef size_t n = 0 if importance is None else len(importance)
    cdef c.lcrt_importance *entries = <c.lcrt_importance *>malloc((n + 1) * sizeof(c.lcrt_importance))
    if entries == NULL:
        raise MemoryError
    err[0] = 0
    try:
        for name, values in (importance or {}).items():
            encoded = name.encode()
            view = values
            kept.append((encoded, view))
            entries[i].name = encoded
            entries[i].values = &view[0] if view.shape[0] else NULL
            entries[i].n_values = <size_t>view.shape[0]
            i += 1
        params.file_type = file_type
        params.n_threads = n_threads
        params.requantize = requantize
        params.importance = entries
        params.n_importance = n
        with nogil:
            status = c.lcrt_quantize(from_path, to_path, &params, err, ERR_CAP)
        check(status, err)
    finally:
        free(entries)
