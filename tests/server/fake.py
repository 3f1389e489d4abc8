"""A scheduler without models: every answer is made up, at once or when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

from anyio.abc import TaskStatus

from lcrt.core.event import Event, Finish, Logprob, Rendered, Start, Text, TokenLogprob, Usage
from lcrt.core.model import LoadedModel, ModelSpec, RunnerInfo
from lcrt.core.options import LoadOptions
from lcrt.core.question import Question, Refused, Reply, Vectors
from lcrt.core.request import InferenceRequest
from lcrt.errors import LcrtError
from lcrt.runner.failure import error_of

INFO = RunnerInfo(n_ctx=4096, n_ctx_train=8192, n_vocab=49152, n_slots=4, size=10**8, size_device=0, load=0.1, pid=1)
USAGE = Usage(n_prompt=15, n_generated=3, n_sampled=3, prefill=0.01, decode=0.02)
WORDS = ("The", " sky", " blue")


def batches_for(request: InferenceRequest) -> list[tuple[Event, ...]]:
    """Three words, with what was asked for beside them."""
    if request.render_only:
        return [(Rendered("prompt"),)]
    logprobs = request.n_logprobs >= 0
    texts = [Text(word, logprobs=(_logprob(word, request.n_logprobs),) if logprobs else ()) for word in WORDS]
    context = (1, 2, 3) if request.want_context else None
    return [(Start(USAGE), texts[0]), (texts[1], texts[2]), (Finish("length", USAGE, context=context),)]


def _logprob(word: str, n: int) -> TokenLogprob:
    chosen = Logprob(word, -0.5, word.encode())
    return TokenLogprob(chosen, (chosen,) * n)


class FakeLease:
    """Counts its generations in the scheduler that gave it."""

    load_duration = 0.25

    def __init__(self, models: "FakeModels", spec: ModelSpec) -> None:
        self._models = models
        self.model = spec
        self.info = INFO

    def generate(self, request: InferenceRequest) -> AbstractAsyncContextManager[AsyncIterator[tuple[Event, ...]]]:
        return self._generate(request)

    async def ask(self, question: Question) -> Reply:
        self._models.questions.append(question)
        if isinstance(self._models.reply, Refused):
            raise error_of(self._models.reply.error)
        return self._models.reply

    @asynccontextmanager
    async def _generate(self, request: InferenceRequest) -> AsyncIterator[AsyncIterator[tuple[Event, ...]]]:
        self._models.requests.append(request)
        self._models.running += 1
        try:
            yield self._batches(request)
        finally:
            self._models.running -= 1
            self._models.idle.set()

    async def _batches(self, request: InferenceRequest) -> AsyncIterator[tuple[Event, ...]]:
        once, self._models.once = self._models.once, []
        for batch in once or self._models.answer or batches_for(request):
            yield batch
            self._models.sent.set()
            await self._models.go.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._models.released += 1


class FakeModels:
    """What handlers and ``serve`` need of a scheduler. ``go`` holds generations up when cleared.

    ``once`` is the next answer, ``answer`` every one after it.
    """

    def __init__(self) -> None:
        self.requests: list[InferenceRequest] = []
        self.questions: list[Question] = []
        self.reply: Reply = Vectors([], 0)
        self.acquired: list[tuple[ModelSpec, LoadOptions, bool, float | None]] = []
        self.expired: list[str] = []
        self.rows: tuple[LoadedModel, ...] = ()
        self.answer: list[tuple[Event, ...]] = []
        self.once: list[tuple[Event, ...]] = []
        self.error: LcrtError | None = None
        self.running = 0
        self.released = 0
        self.go = asyncio.Event()
        self.go.set()
        self.sent = asyncio.Event()
        self.idle = asyncio.Event()

    async def acquire(
        self, spec: ModelSpec, options: LoadOptions, *, shift: bool = True, keep_alive: float | None = None
    ) -> FakeLease:
        self.acquired.append((spec, options, shift, keep_alive))
        if self.error is not None:
            raise self.error
        return FakeLease(self, spec)

    async def expire(self, key: str) -> bool:
        self.expired.append(key)
        return True

    def loaded(self) -> tuple[LoadedModel, ...]:
        return self.rows

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await asyncio.Event().wait()

    async def close(self, grace: float) -> None:
        pass
