"""Low-rank changes of a model's weights, and sets of them."""

import hashlib
import math
import os
import re
import struct

from lcrt.errors import InvalidRequest, LoadError

cimport cython
from libc.stdint cimport uint64_t

from lcrt.native cimport c_adapter as a, c_status as s
from lcrt.native.model cimport Model
from lcrt.native.status cimport check

cdef enum:
    ERR_CAP = 1024


@cython.final
cdef class Adapter(Handle):
    """A LoRA file, loaded for a model. Any thread; jobs and embedders keep what they need of it alive."""

    def __cinit__(self, Model model not None, path, *, str identity=""):
        cdef bytes name = os.fsencode(path)
        cdef const char *c_name = NULL
        cdef char err[ERR_CAP]
        cdef s.lcrt_status status
        err[0] = 0
        if b"\0" in name:
            raise LoadError(f"cannot open `{path!r}`: the path holds a NUL character")
        c_name = name
        self.identity = identity or _identity(path)
        model.enter()
        try:
            with nogil:
                status = a.lcrt_adapter_load(model._model, c_name, &self._adapter, err, ERR_CAP)
        finally:
            model.leave()
        check(status, err)

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        cdef a.lcrt_adapter *adapter = self._adapter
        self._adapter = NULL
        with nogil:
            a.lcrt_adapter_free(adapter)

    @property
    def size(self):
        """Bytes of its weights."""
        self.alive()
        return a.lcrt_adapter_size(self._adapter)

    @property
    def used(self):
        """Whether an embedder has it, or an engine: for a job, or since its last pass was for one with it."""
        self.alive()
        return a.lcrt_adapter_used(self._adapter)


def _identity(path):
    """Tell a file from others and from what it was earlier; blobs have their digest as name."""
    name = os.fsdecode(os.path.basename(path))
    if re.fullmatch("sha256[-:][0-9a-f]{64}", name):
        return name[-64:]
    facts = os.fsdecode(os.path.realpath(path))
    try:
        status = os.stat(path)
    except OSError:
        return facts
    return f"{facts} {status.st_size} {status.st_mtime_ns}"


@cython.final
cdef class AdapterSet:
    """Pairs of adapter and scale as C has them. What has scale 0 is left out.

    It has references of its own, so that closing an adapter meanwhile takes nothing from it.
    """

    def __cinit__(self, pairs):
        cdef Adapter adapter
        self.identities = []
        seen = {}
        for item, scale in pairs:
            adapter = item
            if not math.isfinite(scale) or abs(scale) > 3e38:
                raise InvalidRequest("the scale of an adapter is not a finite number")
            if adapter.identity in seen:
                raise InvalidRequest("an adapter stands twice in its set")
            seen[adapter.identity] = (adapter, scale)
        for identity in sorted(seen):
            adapter, scale = seen[identity]
            adapter.alive()
            if scale == 0:
                continue
            if self.n == ADAPTERS_MAX:
                raise InvalidRequest(f"a set has at most {ADAPTERS_MAX} adapters")
            self.adapters[self.n] = a.lcrt_adapter_ref(adapter._adapter)
            self.scales[self.n] = scale
            self.identities.append(identity)
            self.n += 1

    def __dealloc__(self):
        cdef int32_t i
        with nogil:
            for i in range(self.n):
                a.lcrt_adapter_free(self.adapters[i])

    cdef uint64_t key(self) except 0:
        """A number that only the same adapters with the same scales have, never 0."""
        digest = hashlib.sha256(b"lcrt adapters")
        for i in range(self.n):
            digest.update(self.identities[i].encode("utf-8", "surrogateescape"))
            digest.update(struct.pack("<xf", self.scales[i]))
        return <uint64_t>int.from_bytes(digest.digest()[:8], "little") | 1
