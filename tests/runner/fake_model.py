"""A model that speaks letters, behind the real loop: the body of a fake runner process.

Run as a script with the arguments of ``lcrt.runner.process``. What the model's path contains
decides what happens: "refuse" fails to load, "crash" dies while loading, "stall" never gets ready,
"hang" does not even look whether somebody waits.
What a prompt contains: "die" kills the process when the job starts, "odd" is refused by the engine.
"""

import os
import signal
import string
import sys
import threading
from collections.abc import Callable, Sequence

import msgspec

from lcrt.chat.render import PlainTemplate
from lcrt.core.event import Usage
from lcrt.core.model import LoadRequest, RunnerInfo
from lcrt.errors import Cancelled, InvalidRequest, OutOfMemory
from lcrt.runner.child import Loaded, main
from lcrt.runner.job import FinishKind, Job
from lcrt.runner.pipeline import Pipeline

QUEUE_MAX = 4


class Step(msgspec.Struct, frozen=True):
    """What the real engine's events have."""

    id: int
    text: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[tuple[int, float], ...] = ()
    usage: Usage | None = None
    finish: FinishKind | None = None
    error: str = ""


class LetterVocab:
    """One token per character."""

    adds_bos = False
    fill: tuple[int, int, int] | None = (0xE000, 0xE001, 0xE002)

    def tokenise(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> Sequence[int]:
        return [ord(c) for c in text]

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def piece(self, token: int) -> bytes:
        return chr(token).encode()


class LetterEngine:
    """Each step gives every job its next letter of the alphabet. A job takes a hundred bytes."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._jobs: dict[int, tuple[Job, int]] = {}
        self._cancelled: set[int] = set()

    def fileno(self) -> int:
        return self._reader

    def grown(self) -> int:
        return 100 * len(self._jobs)

    def submit(self, number: int, job: Job) -> bool:
        text = "".join(map(chr, job.tokens))
        if "die" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "odd" in text:
            raise InvalidRequest("an odd request")
        if len(self._jobs) >= QUEUE_MAX:
            return False
        if not self._jobs:
            os.write(self._writer, b"\0")
        self._jobs[number] = job, 0
        return True

    def cancel(self, number: int) -> None:
        if number in self._jobs:
            self._cancelled.add(number)

    def events(self) -> list[Step]:
        os.read(self._reader, 1)
        out = [step for number in list(self._jobs) for step in self._advance(number)]
        if self._jobs:
            os.write(self._writer, b"\0")
        return out

    def _advance(self, number: int) -> list[Step]:
        job, n_done = self._jobs[number]
        usage = Usage(n_prompt=len(job.tokens), n_generated=n_done)
        if number in self._cancelled:
            self._cancelled.remove(number)
            del self._jobs[number]
            return [Step(number, usage=usage, finish="cancel")]
        letter = string.ascii_lowercase[n_done % 26]
        start = [Step(number, usage=usage)] if n_done == 0 else []
        if letter in job.stops:
            del self._jobs[number]
            return [*start, Step(number, usage=usage, finish="stop")]
        logprobs = ((ord(letter), -0.5), *((ord("A") + i, -1.0 - i) for i in range(job.n_logprobs)))
        step = Step(number, letter, (ord(letter),), logprobs if job.n_logprobs >= 0 else ())
        self._jobs[number] = job, n_done + 1
        if n_done + 1 < job.max_tokens:
            return [*start, step]
        del self._jobs[number]
        usage = Usage(n_prompt=len(job.tokens), n_generated=n_done + 1)
        return [*start, step, Step(number, usage=usage, finish="length")]

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def load(request: LoadRequest, progress: Callable[[float], bool]) -> Loaded:
    """Stand in for a loader of models."""
    path = request.model.path
    if "refuse" in path:
        raise OutOfMemory("the weights do not fit")
    if "crash" in path:
        os.abort()
    while "stall" in path or "hang" in path:
        if not progress(0.5) and "stall" in path:
            raise Cancelled("nobody waits")
        threading.Event().wait(0.01)
    progress(1.0)
    n_ctx = request.options.num_ctx or 4096
    info = RunnerInfo(n_ctx, 8192, 26, 4, 1000, 0, 0.0, os.getpid())
    vocab = LetterVocab()
    engine = LetterEngine()
    return Loaded(engine, vocab, Pipeline(vocab, PlainTemplate(), n_ctx), info, grown=engine.grown)


if __name__ == "__main__":
    sys.exit(main(sys.argv, load))
