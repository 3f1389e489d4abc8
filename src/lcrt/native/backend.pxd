from lcrt.native.c_backend cimport lcrt_backend
from lcrt.native.model cimport Model


cdef object make_backend(Model model, object params, lcrt_backend *out)
