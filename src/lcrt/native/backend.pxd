from lcrt.native.c_backend cimport lcrt_backend
from lcrt.native.adapter cimport AdapterSet
from lcrt.native.model cimport Model


cdef AdapterSet own_adapters(Model model, object params)
cdef object make_backend(Model model, object params, AdapterSet own, lcrt_backend *out)
