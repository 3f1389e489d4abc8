"""The runner's loop: frames in, jobs to the engine, steps out; one frame of events per wake.

Three descriptors: the socket, the engine, the workers. Nothing here waits for anything but them.
When the daemon does not read, events stay in a bounded buffer, then in the engine's ring.
"""

import contextlib
import logging
import selectors
import socket
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from lcrt.chat.parsers.split import Parts
from lcrt.core.event import Event, Failure, Finish, Rendered, Start, Text, TokenLogprob, Usage
from lcrt.errors import LcrtError
from lcrt.runner.failure import failure_of
from lcrt.runner.frames import (
    Answers,
    Ask,
    Cancel,
    Events,
    FrameReader,
    FrameWriter,
    Grown,
    Shutdown,
    Submit,
    ToRunner,
    to_runner,
)
from lcrt.runner.job import Answerer, Engine, Job, Step
from lcrt.runner.logprobs import Logprobs
from lcrt.runner.pipeline import Pipeline
from lcrt.runner.worker import Workers

log = logging.getLogger("lcrt.runner")

OUT_LEN_MAX = 1 << 20
RECEIVE_LEN = 1 << 18
N_WORKERS = 2


class Prepared(msgspec.Struct, frozen=True):
    """What the stages before the engine made of one request."""

    id: int
    result: Job | Rendered | Failure


class Running(msgspec.Struct):
    """A request that was not answered yet. ``tokens`` are collected only when they are wanted."""

    n_top: int
    job: Job | None = None
    tokens: list[int] | None = None
    cancelled: bool = False


class RunnerLoop:
    """Serves one socket until it closes or a Shutdown comes."""

    def __init__(
        self,
        sock: socket.socket,
        engine: Engine,
        pipeline: Pipeline,
        logprobs: Logprobs,
        answerer: Answerer | None = None,
        grown: Callable[[], int] = lambda: 0,
    ) -> None:
        self._sock = sock
        self._engine = engine
        self._pipeline = pipeline
        self._logprobs = logprobs
        self._answerer = answerer
        self._grown = grown
        self._grown_told = 0
        self._workers: Workers[Submit, Prepared] = Workers(self._prepare, N_WORKERS)
        self._running: dict[int, Running] = {}
        self._held: deque[int] = deque()
        self._reader: FrameReader[ToRunner] = FrameReader(to_runner)
        self._writer = FrameWriter()
        self._out = bytearray()
        self._items: list[tuple[int, Event]] = []
        self._open = True
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ, self._on_socket)
        self._selector.register(self._workers, selectors.EVENT_READ, self._on_prepared)
        self._selector.register(engine, selectors.EVENT_READ, self._on_engine)
        if answerer is not None:
            self._selector.register(answerer, selectors.EVENT_READ, self._on_answers)
        self._draining = True
        self._blocked = False

    def run(self) -> None:
        """Until the daemon is gone."""
        while self._open:
            for key, _ in self._selector.select():
                key.data()
            self._tell_size()
            self._send_events()
        self._selector.close()
        self._engine.close()
        if self._answerer is not None:
            self._answerer.close()

    def end(self) -> None:
        """Have ``run`` return soon, as if the daemon were gone; for signal handlers."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def _on_socket(self) -> None:
        if self._blocked:
            self._flush()
        try:
            data = self._sock.recv(RECEIVE_LEN)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._open = False
            return
        for frame in self._reader.feed(data):
            self._handle(frame)

    def _handle(self, frame: ToRunner) -> None:
        if isinstance(frame, Submit):
            request = frame.request
            wanted: list[int] | None = [] if request.want_context else None
            self._running[frame.id] = Running(max(request.n_logprobs, 0), tokens=wanted)
            self._workers.put(frame)
        elif isinstance(frame, Ask):
            if self._answerer is not None:
                self._answerer.ask(frame.id, frame.question)
        elif isinstance(frame, Cancel):
            self._cancel(frame.id)
        elif isinstance(frame, Shutdown):
            self._open = False

    def _cancel(self, number: int) -> None:
        running = self._running.get(number)
        if running is None:
            if self._answerer is not None:
                self._answerer.cancel(number)
            return
        if running.job is None:
            running.cancelled = True
        elif number in self._held:
            self._held.remove(number)
            self._end(number, Finish("cancel", Usage()))
        else:
            self._engine.cancel(number)

    def _prepare(self, frame: Submit) -> Prepared:
        """On a worker."""
        try:
            return Prepared(frame.id, self._pipeline.prepare(frame.request))
        except LcrtError as error:
            return Prepared(frame.id, failure_of(error))
        except Exception:
            log.exception("request %d could not be prepared", frame.id)
            return Prepared(frame.id, Failure("EngineError", "the request could not be prepared"))

    def _on_prepared(self) -> None:
        for prepared in self._workers.take():
            running = self._running[prepared.id]
            result = prepared.result
            if running.cancelled:
                self._end(prepared.id, Finish("cancel", Usage()))
            elif isinstance(result, Rendered):
                self._end(prepared.id, result)
            elif isinstance(result, Failure):
                self._end(prepared.id, Finish("error", Usage(), error=result))
            else:
                running.job = result
                self._held.append(prepared.id)
        self._submit_held()

    def _submit_held(self) -> None:
        """Hand over what is ready, in order, until the engine's queue is full."""
        while self._held:
            number = self._held[0]
            job = self._running[number].job
            try:
                if job is not None and not self._engine.submit(number, job):
                    return
            except LcrtError as error:
                self._end(number, Finish("error", Usage(), error=failure_of(error)))
            self._held.popleft()

    def _on_answers(self) -> None:
        if self._answerer is not None and (answers := self._answerer.take()):
            self._tell_size()
            self._writer.append(self._out, Answers(list(answers)))
            if not self._blocked:
                self._flush()

    def _on_engine(self) -> None:
        for step in self._engine.events():
            running = self._running.get(step.id)
            if running is not None:
                self._take(running, step)
        if self._held:
            self._submit_held()

    def _take(self, running: Running, step: Step) -> None:
        logprobs: Sequence[TokenLogprob] = ()
        if step.logprobs:
            logprobs = self._logprobs.groups(step.logprobs, running.n_top)
        if running.tokens is not None:
            running.tokens.extend(step.tokens)
        parts = _parts(running, step)
        if step.finish is not None:
            self._end(step.id, _finish(running, step, parts, tuple(logprobs)))
        elif parts.text or parts.thinking or logprobs:
            self._items.append((step.id, Text(parts.text, len(step.tokens), tuple(logprobs), parts.thinking)))
        elif step.usage is not None:
            self._items.append((step.id, Start(step.usage)))

    def _end(self, number: int, event: Event) -> None:
        del self._running[number]
        self._items.append((number, event))

    def _tell_size(self) -> None:
        """Before the events of those who made it what it is, so that nobody sees their end without it."""
        size = self._grown()
        if size != self._grown_told:
            self._grown_told = size
            self._writer.append(self._out, Grown(size))
            if not self._blocked:
                self._flush()

    def _send_events(self) -> None:
        if self._items:
            self._writer.append(self._out, Events(self._items))
            self._items.clear()
            if not self._blocked:
                self._flush()

    def _flush(self) -> None:
        try:
            n_sent = self._sock.send(self._out)
        except BlockingIOError:
            n_sent = 0
        except OSError:
            self._open = False
            return
        del self._out[:n_sent]
        self._watch()

    def _watch(self) -> None:
        """Ask to be woken for what can be done now."""
        blocked = bool(self._out)
        if blocked != self._blocked:
            self._blocked = blocked
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0)
            self._selector.modify(self._sock, events, self._on_socket)
        draining = len(self._out) < OUT_LEN_MAX
        if draining != self._draining:
            self._draining = draining
            if draining:
                self._selector.register(self._engine, selectors.EVENT_READ, self._on_engine)
            else:
                self._selector.unregister(self._engine)


def _parts(running: Running, step: Step) -> Parts:
    """What became visible, thoughts apart."""
    splitter = running.job.splitter if running.job is not None else None
    if splitter is None:
        return Parts(step.text)
    parts = splitter.feed(step.text)
    if step.finish is None:
        return parts
    rest = splitter.end()
    return Parts(parts.text + rest.text, parts.thinking + rest.thinking)


def _finish(running: Running, step: Step, parts: Parts, logprobs: tuple[TokenLogprob, ...]) -> Finish:
    context: tuple[int, ...] | None = None
    if running.tokens is not None and running.job is not None and running.job.prompt is not None:
        context = (*map(int, running.job.prompt), *running.tokens)
    return Finish(
        step.finish or "stop",
        step.usage or Usage(),
        text=parts.text,
        logprobs=logprobs,
        thinking=parts.thinking,
        context=context,
        error=Failure("DecodeError", step.error) if step.error else None,
    )
