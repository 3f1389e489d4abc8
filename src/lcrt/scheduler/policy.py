"""Who gets a model, what is loaded next and what must go for it: pure functions of the state."""

from collections.abc import Container, Iterable, Mapping, Sequence
from math import inf

import msgspec

from lcrt.core.model import ModelSpec
from lcrt.core.options import LoadOptions
from lcrt.runner.sizes import context_length
from lcrt.scheduler.state import Resident, Waiter

MAX_LOADED_AUTO = 3


class Plan(msgspec.Struct, frozen=True):
    """What to do now: requests to serve, requests to load for, residents to send away."""

    grants: tuple[Waiter, ...] = ()
    loads: tuple[Waiter, ...] = ()
    stops: tuple[Resident, ...] = ()


class _Draft:
    """A plan in the making. ``doomed``: go as soon as nobody uses them. ``closed``: keys whose turn has passed."""

    def __init__(self, residents: Mapping[str, Resident], max_loaded: int) -> None:
        self.residents = residents
        self.grants: list[Waiter] = []
        self.loads: list[Waiter] = []
        self.doomed: dict[str, Resident] = {}
        self.closed: set[str] = set()
        self.n_free = max_loaded - len(residents)
        self.n_leaving = sum(r.state == "leaving" for r in residents.values())

    def place(self, waiter: Waiter, context_default: int) -> None:
        """Find out what one request can get; those before it have been served."""
        if waiter.key in self.closed:
            return
        resident = self.residents.get(waiter.key)
        if resident is None:
            self._place_new(waiter)
        elif resident.state == "leaving" or resident.key in self.doomed:
            self.n_leaving -= resident.state == "leaving"
            self.closed.add(waiter.key)
        elif not serves(resident, waiter, context_default):
            self.doomed[resident.key] = resident
            self.closed.add(waiter.key)
        elif resident.state == "ready":
            self.grants.append(waiter)

    def _place_new(self, waiter: Waiter) -> None:
        self.closed.add(waiter.key)
        if self.n_free > 0:
            self.n_free -= 1
            self.loads.append(waiter)
        elif self.n_leaving > 0:
            self.n_leaving -= 1
        else:
            candidates = (r for r in self.residents.values() if r.state == "ready" and r.key not in self.doomed)
            resident = victim(candidates, {granted.key for granted in self.grants})
            if resident is not None:
                self.doomed[resident.key] = resident

    def plan(self) -> Plan:
        """The finished plan."""
        used = {waiter.key for waiter in self.grants}
        stops = tuple(r for r in self.doomed.values() if r.state == "ready" and not r.users and r.key not in used)
        return Plan(tuple(self.grants), tuple(self.loads), stops)


def plan(
    waiting: Sequence[Waiter], residents: Mapping[str, Resident], max_loaded: int, context_default: int = 0
) -> Plan:
    """Serve the waiting in the order in which they came.

    A request whose model has to go, because it needs other load options or another model its
    place, lets nobody behind it use that model, so that it cannot wait for ever.
    """
    draft = _Draft(residents, max_loaded if max_loaded > 0 else MAX_LOADED_AUTO)
    for waiter in waiting:
        draft.place(waiter, context_default)
    return draft.plan()


def victim(candidates: Iterable[Resident], promised: Container[str] = ()) -> Resident | None:
    """Who goes first: without users before with, shortest session first, then by path.

    ``promised`` are keys about to be used.
    """

    def order(resident: Resident) -> tuple[bool, float, str]:
        session = inf if resident.session is None else resident.session
        return resident.users > 0 or resident.key in promised, session, resident.key

    return min(candidates, key=order, default=None)


def serves(resident: Resident, waiter: Waiter, context_default: int) -> bool:
    """Whether a resident, loaded or loading, can answer a request as it is."""
    if _files(resident.spec) != _files(waiter.spec):
        return False
    have, want = resident.options, waiter.options
    n_ctx_train = resident.info.n_ctx_train if resident.info else 0
    if not _same_context(have, want, context_default, n_ctx_train):
        return False
    gpu_differs = want.num_gpu is not None and want.num_gpu >= 0 and want.num_gpu != have.num_gpu
    return not gpu_differs and (
        (have.num_batch or None, have.main_gpu, have.use_mmap, have.num_thread or None, have.draft_num_predict)
        == (want.num_batch or None, want.main_gpu, want.use_mmap, want.num_thread or None, want.draft_num_predict)
    )


def _files(spec: ModelSpec) -> tuple[object, ...]:
    """List what is loaded beside the weights."""
    return spec.adapters, spec.projectors, spec.draft


def _same_context(have: LoadOptions, want: LoadOptions, default: int, n_ctx_train: int) -> bool:
    lengths = (context_length(options.num_ctx, default, n_ctx_train) for options in (have, want))
    return len(set(lengths)) == 1
