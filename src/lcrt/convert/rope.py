"""How positions are turned into angles: keys and factors for each kind of rope scaling."""

import math

import numpy as np

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.errors import UnsupportedModel
from lcrt.gguf.writer import Tensor

_PLAIN = ("default", "dynamic", "mrope")
"""Nothing to scale within the context that the model was trained for."""
_BETAS = (32.0, 1.0)
_FULL = "full_attention"
_SLIDING = "sliding_attention"


def parameters(config: Config) -> Config:
    """What the config says of rope for layers that see everything, in its older and its newer form."""
    part = config.part("rope_parameters" if config.has("rope_parameters") else "rope_scaling")
    return part.part(_FULL) if part.has(_FULL) else part


def base(config: Config, default: float | None = 10000.0) -> float:
    """The base of the frequencies."""
    told = parameters(config)
    return told.positive("rope_theta") if told.has("rope_theta") else config.positive("rope_theta", default)


def sliding_base(config: Config, default: float) -> float:
    """The base in layers that see a window only."""
    sliding = config.part("rope_parameters").part(_SLIDING)
    if sliding.has("rope_theta"):
        return sliding.positive("rope_theta")
    return config.positive("rope_local_base_freq", default)


def kind(config: Config) -> str:
    """Name the kind of scaling."""
    told = parameters(config)
    return (told.text("rope_type") if told.has("rope_type") else told.text("type", "default")).lower()


def keys(prefix: str, config: Config, known: tuple[str, ...] = ("linear", "yarn")) -> Metadata:
    """Make the keys of base and scaling. UnsupportedModel for a kind that is not among the ``known``."""
    found: Metadata = {f"{prefix}.rope.freq_base": base(config)}
    told, scaling, scaled_by = parameters(config), f"{prefix}.rope.scaling", kind(config)
    if scaled_by not in _PLAIN and scaled_by not in known:
        raise UnsupportedModel(f"rope scaling of kind `{scaled_by}` is not supported for this architecture")
    if scaled_by == "linear":
        found |= {f"{scaling}.type": "linear", f"{scaling}.factor": told.positive("factor")}
    elif scaled_by == "yarn":
        found |= _yarn(scaling, told, config)
    return found


def check_full(config: Config) -> None:
    """Refuse a model that turns only a part of each head where the engine turns all of it."""
    told = parameters(config)
    part = told if told.has("partial_rotary_factor") else config
    if part.number("partial_rotary_factor", 1.0) != 1.0:
        raise UnsupportedModel("partial_rotary_factor is not supported for this architecture")


def frequency_factors(config: Config, head_dim: int) -> list[Tensor]:
    """Make the divisors of the frequencies of Llama 3 scaling; nothing for other kinds."""
    if kind(config) != "llama3":
        return []
    told = parameters(config)
    factor, low, high = (
        told.number("factor", 8.0),
        told.number("low_freq_factor", 1.0),
        told.number("high_freq_factor", 4.0),
    )
    trained = told.number("original_max_position_embeddings", 8192)
    if factor <= 0 or low <= 0 or high <= low or trained <= 0:
        raise config.wrong("the numbers of rope scaling contradict one another")
    lengths = 2 * math.pi * base(config) ** (np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    smooth = (trained / lengths - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    factors = np.where(lengths < trained / high, 1.0, np.where(lengths > trained / low, factor, between))
    return [factor_tensor("rope_freqs.weight", factors.tolist())]


def factor_tensor(name: str, factors: list[float]) -> Tensor:
    """Make a tensor of factors."""
    return Tensor(name, "F32", (len(factors),), np.asarray(factors, "<f4").tobytes())


def _yarn(scaling: str, told: Config, config: Config) -> Metadata:
    """YaRN; the engine knows one pair of betas, and multiplies its own attention factor by the one told."""
    factor = told.number("factor")
    if factor < 1:
        raise config.wrong("the factor of rope scaling must be 1 or more")
    if (told.number("beta_fast", _BETAS[0]), told.number("beta_slow", _BETAS[1])) != _BETAS:
        raise UnsupportedModel("rope scaling with other betas than 32 and 1 is not supported")
    trained = told if told.has("original_max_position_embeddings") else config
    name = "original_max_position_embeddings" if trained is told else "max_position_embeddings"
    found: Metadata = {
        f"{scaling}.type": "yarn",
        f"{scaling}.factor": factor,
        f"{scaling}.original_context_length": trained.size(name),
    }
    usual = _attention(factor, 1.0)
    wanted = usual
    if told.has("attention_factor"):
        wanted = told.number("attention_factor")
    elif told.has("mscale") and told.has("mscale_all_dim"):
        wanted = _attention(factor, told.number("mscale")) / _attention(factor, told.number("mscale_all_dim"))
    if not math.isclose(wanted, usual):
        found[f"{scaling}.attn_factor"] = wanted / usual
    return found


def _attention(factor: float, scale: float) -> float:
    return 0.1 * scale * math.log(factor) + 1.0
