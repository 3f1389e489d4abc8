"""The right to use a loaded model for a while."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from lcrt.core.event import Event
from lcrt.core.model import ModelSpec, RunnerInfo
from lcrt.core.question import Question, Reply
from lcrt.core.request import InferenceRequest
from lcrt.scheduler.state import Runner


class Lease:
    """Keeps a model loaded until it is left; ``load_duration`` is how long it had to be waited for."""

    def __init__(
        self, model: ModelSpec, info: RunnerInfo, load_duration: float, runner: Runner, release: Callable[[], None]
    ) -> None:
        self.model = model
        self.info = info
        self.load_duration = load_duration
        self._runner = runner
        self._release = release
        self._open = True

    def generate(self, request: InferenceRequest) -> AbstractAsyncContextManager[AsyncIterator[tuple[Event, ...]]]:
        """Start a request: batches of events that end after a ``Finish`` or ``Rendered``.

        A failure comes as a ``Finish`` with an error. Leaving early cancels in the runner.
        """
        return self._runner.submit(request)

    async def ask(self, question: Question) -> Reply:
        """Ask for something else than a generation. Raises the ``LcrtError`` that says why there is no answer."""
        return await self._runner.ask(question)

    def release(self) -> None:
        """Give it back; more than once does no harm."""
        if self._open:
            self._open = False
            self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
