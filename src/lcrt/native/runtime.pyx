"""The process-wide part: the folder of the backends, devices, the log."""

import atexit
import os
import threading

from lcrt.native.values import Device

from libc.stdint cimport int32_t

from lcrt.native cimport c_device as d, c_log as log, c_model as c
from lcrt.native.status cimport check

_LEVELS = ((40, log.LCRT_LOG_ERROR), (30, log.LCRT_LOG_WARN), (20, log.LCRT_LOG_INFO))
_NUMBERS = {log.LCRT_LOG_DEBUG: 10, log.LCRT_LOG_INFO: 20, log.LCRT_LOG_WARN: 30, log.LCRT_LOG_ERROR: 40}

cdef enum:
    MESSAGE_MAX = 16384

cdef object _reader = None
cdef object _reader_lock = threading.Lock()


def init(backend_dir=None):
    """Load the backends from a folder, by default from beside the library; once per process."""
    cdef bytes name = b"" if backend_dir is None else os.fsencode(backend_dir)
    cdef const char *folder = NULL
    if backend_dir is not None:
        folder = name
    check(c.lcrt_runtime_init(folder), b"no CPU backend was found")


def backend_version():
    """Which llama.cpp computes, as its builds are numbered."""
    return (<bytes>c.lcrt_backend_llama_version()).decode()


def devices():
    """What can compute; the CPU is one of them."""
    cdef d.lcrt_device device
    cdef int32_t i
    init()
    out = []
    for i in range(d.lcrt_device_count()):
        if d.lcrt_device_get(i, &device):
            name = (<bytes>device.name).decode("utf-8", "replace")
            description = (<bytes>device.description).decode("utf-8", "replace")
            out.append(Device(name, description, device.memory_free, device.memory_total, device.gpu))
    return out


def _read(sink):
    """Pass on messages until the log is closed and empty."""
    cdef log.lcrt_log_level level
    cdef char text[MESSAGE_MAX]
    cdef bint found = True
    while True:
        with nogil:
            found = log.lcrt_log_take(&level, text, sizeof(text))
        if not found:
            return
        try:
            sink(_NUMBERS[level], (<bytes>text).decode("utf-8", "replace"))
        except Exception:
            pass


def set_log(sink, int level=30):
    """Send messages of the engine and of llama.cpp at ``level`` (as in ``logging``) and above to ``sink``.

    ``sink(level, text)`` runs on a thread of its own, soon after; it must not call this. What it raises is
    dropped. When this returns, the sink before has got all messages until now. None silences.
    """
    global _reader
    cdef log.lcrt_log_level c_level = log.LCRT_LOG_DEBUG
    for number, found in _LEVELS:
        if level >= number:
            c_level = found
            break
    with _reader_lock:
        log.lcrt_log_close()
        if _reader is not None:
            _reader.join()
            _reader = None
        if sink is not None:
            log.lcrt_log_open(c_level)
            _reader = threading.Thread(target=_read, args=(sink,), name="lcrt-log", daemon=True)
            _reader.start()


atexit.register(set_log, None)
