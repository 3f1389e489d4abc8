"""What the scheduler knows: the residents, and who waits."""

import asyncio
from typing import Literal, Protocol

import msgspec

from lcrt.core.model import CachedTokens, DraftedTokens, LoadedModel, ModelSpec, RunnerInfo
from lcrt.core.options import LoadOptions
from lcrt.core.question import Question, Reply
from lcrt.core.request import InferenceRequest
from lcrt.runner.stream import Stream

State = Literal["loading", "ready", "leaving"]


class Runner(Protocol):
    """A runner that can be asked."""

    def submit(self, request: InferenceRequest) -> Stream:
        """Start a request."""

    def cached(self) -> CachedTokens:
        """What it found of its prompts so far."""

    def drafted(self) -> DraftedTokens:
        """What it guessed of its answers so far."""

    def grown(self) -> int:
        """Bytes that it has beside those that it loaded."""

    async def ask(self, question: Question) -> Reply:
        """Ask for something else than a generation."""


class Resident:
    """One model that has a runner, from the order to load it until its process is gone.

    ``session`` is how long it stays without users, None for ever. ``deadline`` is the time at
    which it goes if nobody comes; only without users. ``serial`` names this load among all.
    """

    def __init__(self, serial: int, spec: ModelSpec, options: LoadOptions, session: float | None, now: float) -> None:
        self.serial = serial
        self.spec = spec
        self.options = options
        self.session = session
        self.state: State = "loading"
        self.users = 0
        self.deadline: float | None = None
        self.progress_at = now
        self.info: RunnerInfo | None = None
        self.runner: Runner | None = None

    @property
    def key(self) -> str:
        """Two models over the same weights share a runner."""
        return self.spec.path

    def row(self, now: float, wall: float) -> LoadedModel:
        """As ``ps`` shows it; one that is in use would stay a whole session from now on."""
        expires_at: float | None = None
        if self.deadline is not None:
            expires_at = wall + self.deadline - now
        elif self.session is not None:
            expires_at = wall + self.session
        row = LoadedModel(self.spec, self.info, expires_at, self.users, self.state)
        if self.runner is None or self.info is None:
            return row
        info = self.info.grown(self.runner.grown())
        return msgspec.structs.replace(row, info=info, cached=self.runner.cached(), drafted=self.runner.drafted())


class Waiter:
    """One request for a model that has not been answered. ``keep_alive`` None: it names none."""

    def __init__(
        self,
        spec: ModelSpec,
        options: LoadOptions,
        shift: bool,
        keep_alive: float | None,
        answer: asyncio.Future[Resident],
    ) -> None:
        self.spec = spec
        self.options = options
        self.shift = shift
        self.keep_alive = keep_alive
        self.answer = answer
        self.resident: Resident | None = None

    @property
    def key(self) -> str:
        """The key of the resident that it needs."""
        return self.spec.path
