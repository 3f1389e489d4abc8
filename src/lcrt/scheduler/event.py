"""What the scheduler is told: by those that want models, and by what it has set in motion."""

import msgspec

from lcrt.core.model import RunnerInfo
from lcrt.errors import LcrtError
from lcrt.scheduler.state import Runner, Waiter


class Progressed(msgspec.Struct, frozen=True):
    """A load went on."""

    serial: int


class Ready(msgspec.Struct, frozen=True):
    """A load is done."""

    serial: int
    runner: Runner
    info: RunnerInfo


class Failed(msgspec.Struct, frozen=True):
    """A load failed; its process is gone."""

    serial: int
    error: LcrtError


class Lost(msgspec.Struct, frozen=True):
    """A runner answers no more; its process may take a moment to be gone."""

    serial: int


class Ended(msgspec.Struct, frozen=True):
    """A process is gone: because it was told to, or by itself, and how."""

    serial: int
    how: str


class Tick(msgspec.Struct, frozen=True):
    """The time asked for has come."""


class Acquire(msgspec.Struct, frozen=True):
    """A request wants a model."""

    waiter: Waiter


class Release(msgspec.Struct, frozen=True):
    """A request is done with its model, or gone before it got one."""

    waiter: Waiter


class Expire(msgspec.Struct, frozen=True):
    """A model shall go when nobody uses it."""

    key: str


class Close(msgspec.Struct, frozen=True):
    """Everything shall go: what is idle now, what is busy at the latest after ``grace`` seconds."""

    grace: float


Happening = Progressed | Ready | Failed | Lost | Ended | Tick
Message = Acquire | Release | Expire | Close | Happening
