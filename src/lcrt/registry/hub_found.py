"""What a pull from a hub ends with."""

from collections.abc import Callable, Mapping

import msgspec

from lcrt.core.name import ModelName


class Found(msgspec.Struct, frozen=True):
    """What a model is to be made of: digests by file name, texts by kind."""

    name: ModelName
    files: Mapping[str, str]
    texts: Mapping[str, str]
    keep_old: bool = False


Publish = Callable[[Found], None]
"""Makes the model; the store has all its files."""
