"""Which adapters one request wants: of other models by name, of its own by number."""

import math
from collections.abc import Sequence

import msgspec

from lcrt.core.request import Applied
from lcrt.errors import InvalidRequest
from lcrt.modelfile.describe import Description
from lcrt.server.inference import Plan, find_model
from lcrt.server.services import Services

N_MAX = 16
"""Adapters of one request at most; each costs time in every pass."""
SCALE_MAX = 1e6


class NamedAdapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The adapters of a model of the store, and how strongly they are applied."""

    name: str
    scale: float = 1.0


class OwnAdapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the model's own adapters, by its number."""

    id: int
    scale: float


Adapter = str | NamedAdapter | tuple[str | NamedAdapter, ...] | None
"""What a field ``adapter`` may hold."""
Lora = tuple[OwnAdapter, ...] | None
"""What a field ``lora`` may hold."""


async def adapt(services: Services, plan: Plan, adapter: Adapter, lora: Lora) -> Plan:
    """The same plan with the adapters that its request names; without any it keeps to the model's own."""
    adapters = await applied(services, plan.model, adapter, lora)
    return msgspec.structs.replace(plan, request=msgspec.structs.replace(plan.request, adapters=adapters))


async def applied(services: Services, model: Description, adapter: Adapter, lora: Lora) -> Applied:
    """The files that a request's fields mean; None where that is what the model has anyway."""
    if adapter is None and lora is None:
        return None
    wanted = _own(model, lora)
    for one in _named(adapter):
        for path in await _paths(services, model, one.name):
            wanted[path] = _finite(one.scale)
    found = {path: scale for path, scale in wanted.items() if scale != 0}
    if len(found) > N_MAX:
        raise InvalidRequest(f"{len(found)} adapters, a request may have {N_MAX}")
    if found == dict.fromkeys(model.adapters, 1.0):
        return None
    return tuple(sorted(found.items()))


def _own(model: Description, lora: Lora) -> dict[str, float]:
    """The model's own adapters; a list of some leaves the others out."""
    if lora is None:
        return dict.fromkeys(model.adapters, 1.0)
    scales: dict[int, float] = {}
    for one in lora:
        if not 0 <= one.id < len(model.adapters):
            raise InvalidRequest(f"lora: no adapter {one.id}, {model.name.short} has {len(model.adapters)}")
        if one.id in scales:
            raise InvalidRequest(f"lora: adapter {one.id} is named twice")
        scales[one.id] = _finite(one.scale)
    return {model.adapters[number]: scale for number, scale in scales.items()}


def _named(adapter: Adapter) -> Sequence[NamedAdapter]:
    items = () if adapter is None else adapter if isinstance(adapter, tuple) else (adapter,)
    named = [NamedAdapter(item) if isinstance(item, str) else item for item in items]
    if len({item.name for item in named}) < len(named):
        raise InvalidRequest("adapter: a model is named twice")
    return named


def _finite(scale: float) -> float:
    if not math.isfinite(scale) or abs(scale) > SCALE_MAX:
        raise InvalidRequest(f"the scale of an adapter must be a number of at most {SCALE_MAX:.0f}")
    return scale


async def _paths(services: Services, model: Description, name: str) -> tuple[str, ...]:
    other = await find_model(services, name, f"adapter '{name}' not found")
    if not other.adapters:
        raise InvalidRequest(f"'{name}' has no adapter")
    if other.details.family != model.details.family:
        raise InvalidRequest(
            f"the adapter of '{name}' is for models of the family {other.details.family}, not {model.details.family}"
        )
    await services.verify_links(other)
    return other.adapters
