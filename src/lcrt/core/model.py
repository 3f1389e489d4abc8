"""A model as the daemon hands it to the scheduler and a runner."""

from typing import Literal

import msgspec

from lcrt.core.options import LoadOptions

Speculation = Literal["auto", "lookup", "off"]
"""Where a runner guesses tokens from: what was read and written before, and with ``auto`` a model's draft too."""


class ModelSpec(msgspec.Struct, frozen=True):
    """Files and facts needed to load a model.

    ``name`` is the short name that the client used, with tag. ``path`` is the weights' blob and
    also the key of the runner. ``template`` is the model's Go template, empty when another speaks for it.
    ``digest`` is the manifest's, without prefix; ``size`` the weights' bytes. ``draft`` is the blob of a smaller
    model that guesses what this one will say, empty when there is none.
    """

    name: str
    path: str
    digest: str
    size: int
    template: str = ""
    adapters: tuple[str, ...] = ()
    projectors: tuple[str, ...] = ()
    draft: str = ""
    capabilities: tuple[str, ...] = ("completion",)
    family: str = ""
    families: tuple[str, ...] = ()
    format: str = "gguf"
    parameter_size: str = ""
    quantization_level: str = ""


class CacheBudget(msgspec.Struct, frozen=True):
    """Where a runner keeps what its prompts computed, beside the device: bytes in host memory and in files.

    The files are those of all models, below ``directory``.
    """

    ram: int = 0
    disk: int = 0
    directory: str = ""


class LoadRequest(msgspec.Struct, frozen=True):
    """What a runner is told when it starts; counts of tokens, times in seconds."""

    model: ModelSpec
    options: LoadOptions
    shift: bool = True
    n_parallel: int = 0
    context_length: int = 0
    flash_attention: bool | None = None
    kv_cache_type: str = "f16"
    latency_target: float = 0.1
    stream_interval: float = 0.016
    cache: CacheBudget = CacheBudget()
    speculation: Speculation = "off"


class RunnerInfo(msgspec.Struct, frozen=True):
    """What a runner says when it is ready; sizes in bytes, ``load`` in seconds.

    ``can_fill``: its vocabulary has the tokens around a gap in a text.
    """

    n_ctx: int
    n_ctx_train: int
    n_vocab: int
    n_slots: int
    size: int
    size_device: int
    load: float
    pid: int
    can_fill: bool = False

    def grown(self, size: int) -> "RunnerInfo":
        """The same with so many bytes more, as much of them on devices as of the rest, which is about right."""
        on_device = self.size_device * size // self.size if self.size else 0
        return msgspec.structs.replace(self, size=self.size + size, size_device=self.size_device + on_device)


class CachedTokens(msgspec.Struct, frozen=True):
    """Prompt tokens that a runner found instead of computing them, by where they were."""

    device: int = 0
    host: int = 0
    disk: int = 0


class DraftedTokens(msgspec.Struct, frozen=True):
    """Tokens that a runner guessed and computed along with others, and how many of them were right."""

    drafted: int = 0
    accepted: int = 0


class LoadedModel(msgspec.Struct, frozen=True):
    """One row of ``ps``; ``expires_at`` in Unix seconds, None for never, ``state`` loading, ready or leaving."""

    model: ModelSpec
    info: RunnerInfo | None
    expires_at: float | None
    users: int
    state: str
    cached: CachedTokens = CachedTokens()
    drafted: DraftedTokens = DraftedTokens()
