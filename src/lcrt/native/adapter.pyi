"""Low-rank changes of a model's weights, and sets of them."""

from os import PathLike
from typing import Self, final

from lcrt.native.handle import Handle
from lcrt.native.model import Model

@final
class Adapter(Handle):
    """A LoRA file, loaded for a model. Any thread; jobs and embedders keep what they need of it alive.

    ``identity`` tells its content from others', for what is kept on disk: a digest, or else path, size and time of
    the file. Raises ``ModelFormatError`` for a file that is no adapter of this model.
    """

    def __new__(cls, model: Model, path: str | PathLike[str], *, identity: str = "") -> Self: ...
    @property
    def identity(self) -> str:
        """What tells it from others."""

    @property
    def size(self) -> int:
        """Bytes of its weights."""

    @property
    def used(self) -> bool:
        """Whether an embedder has it, or an engine: for a job, or since its last pass was for one with it."""

@final
class AdapterSet:
    """Pairs of adapter and scale as C has them. What has scale 0 is left out.

    It has references of its own, so that closing an adapter meanwhile takes nothing from it.
    """

    def __new__(cls, pairs: object) -> Self: ...
