"""Makes the backend under a model that guesses for another one."""

import msgspec

from lcrt.errors import UnsupportedModel

from lcrt.native cimport c_backend as b, c_draft as d, c_status as s
from lcrt.native.backend cimport make_backend, own_adapters
from lcrt.native.model cimport Model
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 1024
    N_DRAFT = 8  # where a draft model is named and no number
    DRAFTS = 4  # whole ones that a pass has rows of logits for, beside one row for each sequence


cdef tuple room_for_drafts(object context, object params, object info, bint named):
    """The same parameters, with rows for what is guessed; by the model's own layers if no other model is named."""
    if named and params.n_draft == 0:
        params = msgspec.structs.replace(params, n_draft=N_DRAFT)
    if params.n_draft != 0 and context.n_outputs == 0:
        rows = context.n_parallel + DRAFTS * abs(params.n_draft)
        context = msgspec.structs.replace(context, n_outputs=rows)
    guess = params.n_draft != 0 and not named and info.n_heads_ahead > 0
    return msgspec.structs.replace(context, guess=guess), params


cdef object make_drafter(Model model, Model draft, object context, object info, b.lcrt_backend *out):
    """Fill in out: as many cells and sequences as the other one has. Return the other one's info with all memory."""
    cdef char err[ERR_CAP]
    cdef s.lcrt_status status
    err[0] = 0
    if not info.can_trim:
        raise UnsupportedModel("this model cannot go back in its memory, so nothing can guess for it")
    model.enter()
    draft.enter()
    try:
        with nogil:
            status = d.lcrt_draft_check(model._model, draft._model, err, ERR_CAP)
    finally:
        draft.leave()
        model.leave()
    check(status, err)
    context = msgspec.structs.replace(
        context, layout="unified", kv_cells_max=info.n_ctx, n_outputs=0, adapters=(), guess=False
    )
    own = make_backend(draft, context, own_adapters(draft, context), out)
    if not own.can_trim:
        out.vtable.free(out.self)
        out.vtable = NULL
        raise UnsupportedModel("the draft model cannot go back in its memory, so it cannot guess")
    return msgspec.structs.replace(info, size=info.size + own.size, size_device=info.size_device + own.size_device)
