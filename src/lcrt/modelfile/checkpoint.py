"""Whether a checkpoint can be converted whose small files are in the store already."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack

from lcrt.convert.look import look
from lcrt.errors import InvalidRequest, StoreError
from lcrt.modelfile.layout import lay_out
from lcrt.modelfile.quantize import needs_importance, target_type
from lcrt.store.store import Store

_CONFIG = "config.json"


def check_checkpoint(store: Store, files: Mapping[str, str], target: str = "") -> Generator[None, None, None]:
    """Refuse files, digests by name, that no model can be made of, or none whose weights are of the type ``target``.

    `config.json` alone says what kind of model it is; with others the tokenizer must be among them. The weights
    are not looked for. Names are paths below a folder. UnsupportedModel or InvalidRequest says why; StoreError that
    nothing could be looked at. Yields now and then until it is done; closing the generator gives it up.
    """
    try:
        is_blind = needs_importance(target_type(target))
    except StoreError as error:
        raise InvalidRequest(error.message, "without a tag the weights keep their type") from error
    if is_blind:
        raise InvalidRequest(
            "this type of weights needs an importance matrix",
            "choose a type of more bits, or take it without a tag and then `lcrt create` with --quantize and --imatrix",
        )
    with ExitStack() as scratch:
        yield from look(lay_out(store, files, scratch), config_only=files.keys() == {_CONFIG})
