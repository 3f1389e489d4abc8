"""What encoders of text have in common: how the vectors of a text's tokens become one."""

from pathlib import Path

from lcrt.convert.config import Config
from lcrt.convert.family import Metadata
from lcrt.convert.jsonfile import read_object, read_objects
from lcrt.errors import UnsupportedModel

_POOLINGS = {"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": 2, "pooling_mode_lasttoken": 3}
_NAMED = {"mean": 1, "cls": 2, "lasttoken": 3}
_MEAN = 1
_MODULES = "modules.json"
_COMPUTED = ("Transformer", "Pooling", "Normalize")
"""Modules of sentence-transformers that the engine computes, the last of them whether it is there or not."""


def pooling(folder: Path) -> int:
    """Read the engine's number of the pooling; the mean where the folder says nothing, as is usual.

    It is in a folder of its own beside the weights, called ``1_Pooling``.
    """
    files = sorted(folder.glob("*_Pooling/config.json"))
    if not files:
        return _MEAN
    told = Config(read_object(files[0]), f"{files[0].parent.name}/{files[0].name}")
    chosen = [number for name, number in _POOLINGS.items() if told.flag(name, default=False)]
    if not chosen and told.text("pooling_mode", "") in _NAMED:
        chosen = [_NAMED[told.text("pooling_mode")]]
    if len(chosen) != 1:
        raise UnsupportedModel("this way of pooling is not supported", "supported are: mean, cls, lasttoken")
    return chosen[0]


def check_modules(folder: Path) -> None:
    """Refuse a model whose vectors go through more than the weights here, as a Dense layer behind the pooling."""
    for module in read_objects(folder / _MODULES):
        name = str(module.get("type", "")).rpartition(".")[2]
        if name not in _COMPUTED:
            raise UnsupportedModel(
                f"`{_MODULES}` names the module {name or 'nothing'}, which is not supported: vectors would be others",
                f"supported are {', '.join(_COMPUTED)}: choose a model without it",
            )


def vector_keys(prefix: str, folder: Path) -> Metadata:
    """Make the keys that say that the model makes vectors, and how."""
    check_modules(folder)
    return {f"{prefix}.attention.causal": False, f"{prefix}.pooling_type": pooling(folder)}
