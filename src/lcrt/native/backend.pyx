"""Makes the backend under a context or an engine."""

from lcrt.errors import InvalidRequest
from lcrt.native.values import ContextInfo

from libc.stdint cimport uint64_t

from lcrt.native cimport c_adapter as a, c_backend as b, c_model as c, c_status as s
from lcrt.native.adapter cimport Adapter, AdapterSet
from lcrt.native.model cimport Model
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 1024

_LAYOUTS = {"auto": c.LCRT_KV_AUTO, "unified": c.LCRT_KV_UNIFIED, "split": c.LCRT_KV_SPLIT}


cdef object make_backend(Model model, object params, AdapterSet own, b.lcrt_backend *out):
    """Fill in out, which the caller owns then; return what it came out as."""
    cdef bytes kv_type = params.kv_type.encode()
    cdef c.lcrt_context_params p = c.lcrt_context_params_default()
    cdef char err[ERR_CAP]
    cdef s.lcrt_status status
    err[0] = 0
    if params.layout not in _LAYOUTS:
        raise InvalidRequest(f"unknown KV layout: {params.layout}")
    try:
        p.n_ctx = params.n_ctx
        p.n_parallel = params.n_parallel
        p.kv_cells_max = params.kv_cells_max
        p.n_batch = params.n_batch
        p.n_ubatch = params.n_ubatch
        p.n_threads = params.n_threads
        p.n_threads_batch = params.n_threads_batch
        p.n_outputs = params.n_outputs
    except OverflowError as error:
        raise InvalidRequest(f"a context parameter is out of range: {error}") from None
    p.layout = _LAYOUTS[params.layout]
    p.kv_type = kv_type
    p.swa_full = params.swa_full
    p.guess = params.guess
    p.flash_attention = -1 if params.flash_attention is None else params.flash_attention
    model.enter()
    try:
        with nogil:
            status = c.lcrt_backend_llama(model._model, &p, out, err, ERR_CAP)
    finally:
        model.leave()
    check(status, err)
    try:
        _adapt(own, out)
    except BaseException:
        out.vtable.free(out.self)
        out.vtable = NULL
        out.self = NULL
        raise
    return _info(out)


cdef AdapterSet own_adapters(Model model, object params):
    """The adapters that a context begins with; files are loaded."""
    return AdapterSet([
        (item if isinstance(item, Adapter) else Adapter(model, item), scale) for item, scale in params.adapters
    ])


cdef int _adapt(AdapterSet own, const b.lcrt_backend *backend) except -1:
    check(a.lcrt_backend_llama_put_set(backend, 0, own.adapters, own.scales, own.n), b"an adapter of another model")
    return check(backend.vtable.adapt(backend.self, 0), NULL)


cdef object _info(const b.lcrt_backend *backend):
    cdef const b.lcrt_backend_info *i = &backend.info
    cdef uint64_t size = 0
    cdef uint64_t size_device = 0
    c.lcrt_backend_llama_memory(backend, &size, &size_device)
    return ContextInfo(
        i.n_vocab, i.n_ctx, i.n_ctx_seq, i.n_seq_max, i.n_batch, i.unified, i.consecutive, i.can_trim, i.can_shift,
        size, size_device, i.can_guess,
    )
