"""What a pull from a hub ends with, and who makes a model of it."""

from collections.abc import Generator, Iterator, Mapping
from typing import Protocol

import msgspec

from lcrt.core.name import ModelName
from lcrt.registry.progress import Progress


class Found(msgspec.Struct, frozen=True):
    """What a model is to be made of: digests by file name, texts by kind; ``target`` is a type for the weights."""

    name: ModelName
    files: Mapping[str, str]
    texts: Mapping[str, str] = {}
    target: str = ""
    keep_old: bool = False


class Maker(Protocol):
    """Makes models; what it is told of is in the store, and stays there as long as it works."""

    def check(self, found: Found) -> Generator[None, None, None]:
        """Refuse a checkpoint of which no model can be made, as far as the files tell that have come so far.

        Yields now and then until that is known; closing the generator gives it up.
        """

    def publish(self, found: Found) -> Iterator[Progress]:
        """Make the model; each step as it is taken."""
