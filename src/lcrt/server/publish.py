"""A model made of what a hub had."""

from collections.abc import Callable

import msgspec

from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError
from lcrt.modelfile.create import create
from lcrt.modelfile.parameters import usable
from lcrt.registry.hub_found import Found
from lcrt.store.store import Store


def publisher(store: Store) -> Callable[[Found], None]:
    """Make models in a store."""

    def publish(found: Found) -> None:
        request = CreateRequest(
            model=found.name.full,
            files=dict(found.files),
            template=found.texts.get("template", ""),
            system=found.texts.get("system", ""),
            parameters=_parameters(found.texts.get("params", "")),
        )
        for _ in create(store, request, keep_old=found.keep_old):
            pass

    return publish


def _parameters(text: str) -> dict[str, object]:
    try:
        return usable(msgspec.json.decode(text, type=dict[str, object])) if text else {}
    except msgspec.MsgspecError as error:
        raise LcrtError(f"the repository's file `params` is no JSON object: {error}") from error
