from lcrt.native.c_backend cimport lcrt_backend
from lcrt.native.model cimport Model


cdef tuple room_for_drafts(object context, object params, object info, bint named)
cdef object make_drafter(Model model, Model draft, object context, object info, lcrt_backend *out)
