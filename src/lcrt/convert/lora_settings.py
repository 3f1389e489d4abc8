"""``adapter_config.json``: what PEFT says of an adapter, and what of it cannot be had here."""

import math
import re
from pathlib import Path
from typing import Any

import msgspec

from lcrt.convert.jsonfile import read_object
from lcrt.errors import InvalidRequest, UnsupportedModel

FILE_NAME = "adapter_config.json"
_KIND = "LORA"
_PLAIN = re.compile(r"\^?[\w.]+")
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq")
"""Ways to begin that change the base's own weights; what is saved then fits no other base."""
_RANK_MAX = 1 << 20
_ALPHA_MIN, _ALPHA_MAX = 1e-9, 1e9
_HINT = "merge it into its base with PEFT and convert the whole model instead"


class Settings(msgspec.Struct, frozen=True):
    """What is read of the file; PEFT's own names."""

    peft_type: str = _KIND
    r: int = 8
    lora_alpha: float = 8
    use_rslora: bool = False
    alpha_pattern: dict[str, float] = {}
    use_dora: bool = False
    bias: str = "none"
    lora_bias: bool = False
    fan_in_fan_out: bool = False
    use_qalora: bool = False
    modules_to_save: list[str] | None = None
    layer_replication: Any = None
    target_parameters: Any = None
    trainable_token_indices: Any = None
    alora_invocation_tokens: Any = None
    init_lora_weights: bool | str | None = True

    @property
    def alpha(self) -> float:
        """What the engine divides by the rank, for modules of the usual rank and alpha."""
        return self.lora_alpha * (math.sqrt(self.r) if self.use_rslora else 1.0)

    def factor(self, module: str, rank: int) -> float:
        """What a module's matrices are multiplied with, because the engine divides ``alpha`` by their rank."""
        alpha = next((value for key, value in self.alpha_pattern.items() if _fits(key, module)), self.lora_alpha)
        wanted = alpha / (math.sqrt(rank) if self.use_rslora else rank)
        return wanted * rank / self.alpha


def read_settings(folder: Path) -> Settings:
    """Read and check the file. InvalidRequest for a damaged one, UnsupportedModel for what only PEFT can do."""
    if not (folder / FILE_NAME).is_file():
        raise InvalidRequest(f"there is no `{FILE_NAME}` in the folder", "copy all of the adapter's files")
    told = {name: value for name, value in read_object(folder / FILE_NAME).items() if value is not None}
    try:
        settings = msgspec.convert(told, Settings)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"`{FILE_NAME}` cannot be used: {error}") from error
    _check(settings)
    reason = _unsupported(settings)
    if reason:
        raise UnsupportedModel(f"the adapter cannot be converted: {reason}", _HINT)
    return settings


def _check(settings: Settings) -> None:
    """Bounds far from what is used keep factors finite."""
    alphas = [abs(alpha) for alpha in settings.alpha_pattern.values()]
    if not 0 < settings.r <= _RANK_MAX or not all(
        _ALPHA_MIN <= alpha <= _ALPHA_MAX for alpha in (*alphas, abs(settings.lora_alpha))
    ):
        raise InvalidRequest(f"`{FILE_NAME}` cannot be used: r and lora_alpha must be usual numbers other than 0")


def _unsupported(settings: Settings) -> str:
    if settings.peft_type != _KIND:
        return f"it is of the kind {settings.peft_type}, not {_KIND}"
    if settings.bias != "none" or settings.lora_bias:
        return "it changes biases"
    if settings.modules_to_save:
        return f"it replaces whole modules: {', '.join(settings.modules_to_save)}"
    start = settings.init_lora_weights
    if isinstance(start, str) and start.lower().startswith(_CHANGED_BASE):
        return f"its training began with {start}, which changes the base too"
    odd = [key for key in settings.alpha_pattern if not _PLAIN.fullmatch(key)]
    if odd:
        return f"alpha_pattern is a regular expression: {odd[0]}"
    flags = ("use_dora", "fan_in_fan_out", "use_qalora")
    values = ("layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens")
    return next((f"{name} is set" for name in (*flags, *values) if getattr(settings, name)), "")


def _fits(key: str, module: str) -> bool:
    """Tell whether a plain pattern means a module: its whole name, or the last parts of it."""
    name = key.removeprefix("^")
    return module == name or (name == key and module.endswith("." + name))
