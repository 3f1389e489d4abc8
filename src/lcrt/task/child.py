"""A long step in a process of its own: JSON in, lines of JSON out, ended when nobody wants its result.

The child gets its task as its last argument. It ends by itself when its stdin closes, which happens
when the parent dies, however that comes about. While it says nothing, its last numbers are repeated
to whoever waits, zeros before the first ones, so that a step that is not wanted any more ends soon.
"""

import contextlib
import errno
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any

import msgspec

from lcrt.errors import (
    EngineError,
    InvalidRequest,
    LcrtError,
    ModelFormatError,
    OutOfMemory,
    StoreError,
    UnsupportedModel,
)
from lcrt.task.progress import NO_DIGEST, Progress

_KINDS: dict[str, type[LcrtError]] = {
    kind.__name__: kind
    for kind in (EngineError, InvalidRequest, LcrtError, ModelFormatError, OutOfMemory, StoreError, UnsupportedModel)
}
_MEMORY = "unload models with `lcrt stop`, end other programs, or see `ulimit -v`"
_WORDS_MAX = 1000
_READ_MAX = 1 << 16
_REPEAT_MS = 250


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a child: how far it is, something to be told, or what went wrong.

    ``kind`` names the error's class; one of the operating system has its number in ``errno``.
    """

    completed: int = 0
    total: int = 0
    note: str = ""
    error: str = ""
    hint: str | None = None
    kind: str = ""
    errno: int = 0


def run(module: str, task: object, name: str) -> Generator[Said, None, None]:
    """Run a child and pass on what it says. Closing the generator, which yields often, ends the child.

    ``name`` is what people call the step, as in ``quantizing``. The child's error is raised: an OSError as one, for
    the caller to say what could not be done, also when the child cannot be started; out of memory as OutOfMemory.
    """
    command = [sys.executable, "-P", "-m", module, msgspec.json.encode(task).decode()]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        try:
            yield from _listen(process.stdout, name)
            status = process.wait()
            if status != 0:
                log.seek(0)
                raise EngineError(f"{name} failed: its process {_ended(status)}", _last(log.read()) or None)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _listen(pipe: IO[bytes] | None, name: str) -> Iterator[Said]:
    """Hear everything until the end; its last numbers again while there is nothing new."""
    decoder = msgspec.json.Decoder(Said)
    last = Said()
    for line in _lines(pipe):
        if line:
            said = decoder.decode(line)
            if said.kind:
                raise _error(said, name)
            last = last if said.note else said
            yield said
        else:
            yield last


def _error(said: Said, name: str) -> Exception:
    if said.errno:
        return OSError(said.errno, said.error)
    if said.kind == MemoryError.__name__:
        return OutOfMemory(f"{name} failed: there is not enough memory for it", _MEMORY)
    return _KINDS.get(said.kind, EngineError)(said.error, said.hint)


def progress(status: str, said: Said) -> Progress:
    """Tell what a child said while it does what ``status`` names: a note as it is, else how far it is."""
    if said.note:
        return Progress(said.note)
    return Progress(status, NO_DIGEST, said.total, said.completed) if said.total else Progress(status)


def _lines(pipe: IO[bytes] | None) -> Iterator[bytes]:
    """Split what comes into lines; an empty one whenever nothing came for a while."""
    if pipe is None:
        return
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    rest = b""
    while True:
        if not waiting.poll(_REPEAT_MS):
            yield b""
            continue
        data = os.read(pipe.fileno(), _READ_MAX)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _ended(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _last(log: bytes) -> str:
    return log.decode("utf-8", "replace").strip()[-_WORDS_MAX:]


def serve(work: Callable[[Any], None], task: type[Any]) -> int:
    """Be a child: do the work on the task given, tell what goes wrong."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(msgspec.json.decode(sys.argv[1], type=task))
    except LcrtError as error:
        kind = next((k.__name__ for k in type(error).__mro__ if k.__name__ in _KINDS), "LcrtError")
        say(Said(error=error.message, hint=error.hint, kind=kind))
    except OSError as error:
        say(Said(error=error.strerror or str(error), kind=OSError.__name__, errno=error.errno or errno.EIO))
    except MemoryError:
        say(Said(kind=MemoryError.__name__))
    return 0


def say(said: Said) -> None:
    """Tell the parent something."""
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    """Wait until the parent lets go, which it does only by ending or by killing."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)
