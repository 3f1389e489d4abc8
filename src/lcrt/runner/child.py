"""The life of a runner process, whatever it runs: load, say so, serve until the daemon is gone."""

import ctypes
import logging
import select
import signal
import socket
import sys
from collections.abc import Callable

import msgspec

from lcrt.core.model import LoadRequest, RunnerInfo
from lcrt.errors import Cancelled, LcrtError, LoadError
from lcrt.runner.failure import failure_of
from lcrt.runner.frames import FrameReader, FrameWriter, FromRunner, Load, LoadFailed, Progress, Ready, to_runner
from lcrt.runner.job import Answerer, Engine, Vocab
from lcrt.runner.logprobs import Logprobs
from lcrt.runner.loop import RECEIVE_LEN, RunnerLoop
from lcrt.runner.pipeline import Pipeline

log = logging.getLogger("lcrt.runner")

PROGRESS_STEP = 0.01
PR_SET_PDEATHSIG = 1


class Loaded(msgspec.Struct, frozen=True):
    """What a loader gives: all that the loop needs of a model.

    ``grown`` tells how many bytes there are now beside those of ``info``.
    """

    engine: Engine
    vocab: Vocab
    pipeline: Pipeline
    info: RunnerInfo
    answerer: Answerer | None = None
    grown: Callable[[], int] = lambda: 0


Loader = Callable[[LoadRequest, Callable[[float], bool]], Loaded]


class Connection:
    """The socket while the model loads; blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writer = FrameWriter()
        self._last = 0.0

    def send(self, frame: FromRunner) -> None:
        """Send a frame whole."""
        self._sock.sendall(self._writer.encode(frame))

    def wait_for_load(self) -> LoadRequest | None:
        """The request that every runner starts with; None when the daemon is gone or has changed its mind."""
        reader = FrameReader(to_runner)
        while data := self._sock.recv(RECEIVE_LEN):
            for frame in reader.feed(data):
                return frame.request if isinstance(frame, Load) else None
        return None

    def progress(self, fraction: float) -> bool:
        """Report how far the load is; False when nobody wants the model any more.

        Before ``Ready`` the daemon has nothing to say but the end, so anything to read is the end.
        """
        readable, _, _ = select.select([self._sock], [], [], 0)
        if readable:
            return False
        if fraction - self._last >= PROGRESS_STEP:
            self._last = fraction
            self.send(Progress(fraction))
        return True


def main(argv: list[str], load: Loader) -> int:
    """``argv``: the level of logging and the number of the socket's descriptor."""
    level, descriptor = int(argv[1]), int(argv[2])
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    die_with_parent()
    return serve(socket.socket(fileno=descriptor), load)


def die_with_parent() -> None:
    """Have the kernel end this process when the daemon ends, even in the middle of a load.

    Elsewhere than on Linux the closed socket does it, at the next progress of a load.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(sock: socket.socket, load: Loader) -> int:
    """Load what the daemon asks for and serve it; the exit status of the process."""
    connection = Connection(sock)
    try:
        request = connection.wait_for_load()
        if request is None:
            return 0
        loaded = _load(connection, request, load)
        if loaded is None:
            return 1
        connection.send(Ready(loaded.info))
    except OSError:
        return 0
    sock.settimeout(0)
    logprobs = Logprobs(loaded.vocab)
    loop = RunnerLoop(sock, loaded.engine, loaded.pipeline, logprobs, loaded.answerer, loaded.grown)
    signal.signal(signal.SIGTERM, lambda *_: loop.end())
    loop.run()
    return 0


def _load(connection: Connection, request: LoadRequest, load: Loader) -> Loaded | None:
    try:
        return load(request, connection.progress)
    except Cancelled:
        return None
    except LcrtError as error:
        failure = error
    except Exception as error:
        log.exception("loading %s failed", request.model.name)
        failure = LoadError(f"the model could not be loaded: {error}")
    connection.send(LoadFailed(failure_of(failure)))
    return None
