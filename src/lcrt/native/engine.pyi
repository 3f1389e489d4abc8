"""Many requests, one model, one thread of C."""

from collections.abc import Iterable
from typing import Literal, Self, final

from lcrt.core.event import Usage
from lcrt.core.options import Sampling
from lcrt.native.adapter import Adapter
from lcrt.native.grammar import Grammar
from lcrt.native.handle import Handle
from lcrt.native.model import Model, _Tokens
from lcrt.native.values import CacheStats, ContextInfo, ContextParams, EngineParams, EngineStats

@final
class Event:
    """What one job got in one step, the parts that it has not are empty.

    ``kind`` is start (the prompt has been computed), text or finish (the last one, exactly one per
    job; may carry text). ``tokens`` are the generated tokens whose text this carries. ``logprobs``
    are pairs of token and natural logarithm: for each of ``tokens`` its own, then the alternatives.
    ``usage`` comes with start and finish, durations in seconds. ``error`` says why it finished with error.
    """

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> Literal["start", "text", "finish"]: ...
    @property
    def text(self) -> str: ...
    @property
    def tokens(self) -> tuple[int, ...]: ...
    @property
    def logprobs(self) -> list[tuple[int, float]]: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def finish(self) -> Literal["stop", "length", "cancel", "error"] | None: ...
    @property
    def error(self) -> str: ...

@final
class Engine(Handle):
    """Runs jobs; its thread never takes the GIL. ``context`` and ``params`` have defaults.

    Events wait in a ring until ``events`` takes them; ``fileno`` is readable when some wait. ``close``
    drops what runs. ``draft`` is a smaller model of the same vocabulary that guesses what comes; it stays the
    caller's. Raises what ``Context`` raises, and ``UnsupportedModel`` for a draft that cannot be one.
    """

    def __new__(
        cls,
        model: Model,
        context: ContextParams | None = None,
        params: EngineParams | None = None,
        draft: Model | None = None,
    ) -> Self: ...
    @property
    def info(self) -> ContextInfo:
        """What its context came out as; sizes in bytes."""

    def submit(
        self,
        number: int,
        tokens: _Tokens,
        sampling: Sampling,
        *,
        max_tokens: int = -1,
        n_ctx: int = 0,
        n_keep: int = 0,
        shift: bool = True,
        cache: bool = True,
        ignore_eog: bool = False,
        special: bool = False,
        n_logprobs: int = -1,
        stops: Iterable[str] = (),
        grammar: Grammar | None = None,
        adapters: Iterable[tuple[Adapter, float]] | None = None,
    ) -> None:
        """Queue a job: a prompt of at least one token, and a ``Sampling``.

        ``number`` names it in its events and must not be in use. ``max_tokens`` limits what is generated,
        ``n_ctx`` the positions held (0: all of a sequence); when they are full, ``shift`` drops old ones
        behind the first ``n_keep`` tokens of the prompt (negative: all of it), or it ends with length.
        ``cache`` may reuse what a slot holds, ``ignore_eog`` generates on, ``special`` shows control tokens.
        ``n_logprobs``: -1 none, 0 the token's own, n also the n likeliest, at most 20. ``grammar`` belongs
        to the engine from then on, unless this raises. ``adapters`` are pairs of ``Adapter`` and scale in place of
        the context's own. Raises ``BusyError`` when the queue is full and ``InvalidRequest`` for a job that makes no
        sense.
        """

    def cancel(self, number: int) -> None:
        """End a job within one step; it still gets its finish event. Unknown numbers are ignored."""

    def events(self) -> list[Event]:
        """All events that wait, oldest first. Never waits itself. Empty while another call takes them."""

    def fileno(self) -> int:
        """A descriptor that is readable when events wait; the engine's own, not to be closed."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for events, for ever by default; True when there are some.

        Raises ``ClosedError`` when the engine is closed meanwhile.
        """

    def stats(self) -> EngineStats:
        """Counters since the start."""

    def cache_stats(self) -> CacheStats:
        """Where prompts were found since the start, and what is stored now."""

    def store(self, timeout: float) -> tuple[int, int]:
        """Close, after writing what the sequences hold to disk, the most valuable first.

        It takes about ``timeout`` seconds at most. Returns how many were written, and how many had no time.
        """
