"""The daemon's end of a runner: frames to per-request streams, and the end of the process."""

import asyncio
import logging
import signal
import subprocess
from collections.abc import Callable
from typing import Self

import anyio
import msgspec

from lcrt.core.event import Failure, Finish, Usage
from lcrt.core.model import CachedTokens, DraftedTokens, LoadRequest, RunnerInfo
from lcrt.core.question import Question, Refused, Reply
from lcrt.core.request import InferenceRequest
from lcrt.errors import LoadError, RunnerDied, RunnerGone
from lcrt.runner.failure import error_of
from lcrt.runner.frames import (
    Answers,
    Ask,
    Cancel,
    Events,
    FrameReader,
    FrameWriter,
    FromRunner,
    Grown,
    Load,
    LoadFailed,
    Progress,
    Ready,
    Shutdown,
    Submit,
    ToRunner,
    from_runner,
)
from lcrt.runner.spawn import Spawned
from lcrt.runner.stream import Stream

log = logging.getLogger("lcrt.runner")

DIED_TEXT = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check lcrt server logs for details"
)
REAP_GRACE = 5.0


class RunnerClient(asyncio.Protocol):
    """Speaks to one runner process. Lives on the event loop that connected it."""

    def __init__(self, process: subprocess.Popen[bytes], on_lost: Callable[[], None]) -> None:
        self._process = process
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._writer = FrameWriter()
        self._reader: FrameReader[FromRunner] = FrameReader(from_runner)
        self._streams: dict[int, Stream] = {}
        self._questions: dict[int, asyncio.Future[Reply]] = {}
        self._cached = CachedTokens()
        self._drafted = DraftedTokens()
        self._grown = 0
        self._next_id = 1
        self._ready: asyncio.Future[RunnerInfo] = asyncio.get_running_loop().create_future()
        self._on_progress: Callable[[float], None] | None = None
        self._lost = anyio.Event()
        self._how = ""

    @classmethod
    async def connect(cls, spawned: Spawned, on_lost: Callable[[], None]) -> Self:
        """Take over a process that was just spawned.

        ``on_lost`` is called when it can be asked nothing more, before any request hears of it.
        """
        loop = asyncio.get_running_loop()
        client = cls(spawned.process, on_lost)
        await loop.create_unix_connection(lambda: client, sock=spawned.sock)
        return client

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def load(self, request: LoadRequest, on_progress: Callable[[float], None]) -> RunnerInfo:
        """Load the model; call once. Raises the ``EngineError`` that the runner names."""
        self._on_progress = on_progress
        self._send(Load(request))
        try:
            return await self._ready
        except RunnerDied as error:
            how = await self.ended()
            raise LoadError(f"the model's process ended while loading: {how}") from error

    def submit(self, request: InferenceRequest) -> Stream:
        """Start a request. A runner that is gone answers with its failure, like any other."""
        number = self._next_id
        self._next_id += 1
        stream = Stream(lambda: self._forget(number))
        if self._lost.is_set():
            stream.feed(_died(stream))
            return stream
        self._streams[number] = stream
        self._send(Submit(number, request))
        return stream

    async def ask(self, question: Question) -> Reply:
        """Ask for something else than a generation. Raises the ``LcrtError`` that the runner names.

        Cancelling this cancels the question.
        """
        if self._lost.is_set():
            raise RunnerGone(DIED_TEXT)
        number = self._next_id
        self._next_id += 1
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self._send(Ask(number, question))
        try:
            reply = await answer
        finally:
            if self._questions.pop(number, None) is not None:
                self._send(Cancel(number))
        if isinstance(reply, Refused):
            raise error_of(reply.error)
        return reply

    def cached(self) -> CachedTokens:
        """What the runner found of the prompts of requests that have ended."""
        return self._cached

    def drafted(self) -> DraftedTokens:
        """What the runner guessed of the answers that have ended."""
        return self._drafted

    def grown(self) -> int:
        """Bytes that the runner has beside those that it loaded."""
        return self._grown

    async def stop(self, grace: float) -> None:
        """Ask the process to end; after ``grace`` seconds, or at once while it loads, make it."""
        if self._ready.done():
            self._send(Shutdown())
            with anyio.move_on_after(grace):
                await self._lost.wait()
        await self.ended(patience=REAP_GRACE if self._lost.is_set() else 0.0)

    async def ended(self, patience: float | None = None) -> str:
        """Wait until the process is gone, and say how it ended.

        After its socket has closed it gets a moment to exit by itself. ``patience`` 0 kills now.
        """
        if patience is None:
            await self._lost.wait()
            patience = REAP_GRACE
        with anyio.CancelScope(shield=True):
            self._how = await anyio.to_thread.run_sync(_reap, self._process, patience)
        return self._how

    async def kill(self) -> None:
        """End the process at once, if it has not ended, and forget it. Not to be cancelled."""
        with anyio.CancelScope(shield=True):
            if self._process.poll() is None:
                await self.ended(patience=0.0)
        self.disconnect()

    def disconnect(self) -> None:
        """Close the socket; the process ends by itself."""
        if self._transport is not None:
            self._transport.close()

    def _forget(self, number: int) -> None:
        if self._streams.pop(number, None) is not None:
            self._send(Cancel(number))

    def _send(self, frame: ToRunner) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._writer.encode(frame))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        try:
            frames = self._reader.feed(data)
        except msgspec.DecodeError:
            self._process.kill()
            return
        for frame in frames:
            self._handle(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop; ends everything that still waits."""
        log.debug("runner %d answers no more: %s", self.pid, exc or "end of file")
        self._lost.set()
        self._on_lost()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.feed(_died(stream))
        questions, self._questions = self._questions, {}
        for question in questions.values():
            if not question.done():
                question.set_exception(RunnerGone(DIED_TEXT))
        if not self._ready.done():
            self._ready.set_exception(RunnerDied(DIED_TEXT))
            self._ready.exception()

    def _handle(self, frame: FromRunner) -> None:
        if isinstance(frame, Events):
            self._dispatch(frame)
        elif isinstance(frame, Answers):
            self._answer(frame)
        elif isinstance(frame, Grown):
            self._grown = frame.size
        elif isinstance(frame, Progress):
            if self._on_progress is not None:
                self._on_progress(frame.fraction)
        elif self._ready.done():
            return
        elif isinstance(frame, Ready):
            self._ready.set_result(frame.info)
        elif isinstance(frame, LoadFailed):
            self._ready.set_exception(error_of(frame.error))

    def _answer(self, answers: Answers) -> None:
        for number, reply in answers.items:
            question = self._questions.pop(number, None)
            if question is not None and not question.done():
                question.set_result(reply)

    def _dispatch(self, events: Events) -> None:
        streams = self._streams
        for number, event in events.items:
            stream = streams.get(number)
            if stream is None:
                continue
            stream.feed(event)
            if isinstance(event, Finish):
                self._count(event.usage)
            if stream.closed:
                streams.pop(number, None)

    def _count(self, usage: Usage) -> None:
        drafted = self._drafted
        self._cached = _with(self._cached, usage)
        self._drafted = DraftedTokens(drafted.drafted + usage.n_drafted, drafted.accepted + usage.n_accepted)


def _with(cached: CachedTokens, usage: Usage) -> CachedTokens:
    on_device = usage.n_cached - usage.n_host - usage.n_disk
    return CachedTokens(cached.device + on_device, cached.host + usage.n_host, cached.disk + usage.n_disk)


def _died(stream: Stream) -> Finish:
    kind = RunnerDied if stream.begun else RunnerGone
    return Finish("error", Usage(), error=Failure(kind.__name__, DIED_TEXT))


def _reap(process: subprocess.Popen[bytes], patience: float) -> str:
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
