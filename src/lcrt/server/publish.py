"""Models made of what a hub had."""

import contextlib
from collections.abc import Generator, Iterator

import msgspec

from lcrt.core.request import CreateRequest
from lcrt.errors import LcrtError
from lcrt.modelfile.checkpoint import check_checkpoint
from lcrt.modelfile.create import Progress, create
from lcrt.modelfile.parameters import usable
from lcrt.registry.hub_found import Found
from lcrt.store.store import Store

_UNTOLD = ("parsing GGUF", "using existing layer ", "creating new layer ", "verifying conversion", "success")
"""Steps of a creation that a pull does not have; it says itself when it is done."""


class HubModels:
    """Makes them in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, found: Found) -> Generator[None, None, None]:
        """Refuse a checkpoint of which no model can be made, as far as its files tell that have come so far."""
        yield from check_checkpoint(self._store, found.files, found.target)

    def publish(self, found: Found) -> Iterator[Progress]:
        """Make a model; each step as it is taken."""
        request = CreateRequest(
            model=found.name.full,
            files=dict(found.files),
            quantize=found.target,
            template=found.texts.get("template", ""),
            system=found.texts.get("system", ""),
            parameters=_parameters(found.texts.get("params", "")),
        )
        with contextlib.closing(create(self._store, request, keep_old=found.keep_old)) as steps:
            for step in steps:
                if not step.status.startswith(_UNTOLD):
                    yield step


def _parameters(text: str) -> dict[str, object]:
    try:
        return usable(msgspec.json.decode(text, type=dict[str, object])) if text else {}
    except msgspec.MsgspecError as error:
        raise LcrtError(
            f"the repository's file `params` is no JSON object: {error}",
            "download its GGUF yourself, then `lcrt create NAME --from FILE.gguf`",
        ) from error
