"""A local runtime for language models.

The names below are imported when they are first used, so that a command that needs none of
them does not pay for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lcrt.core.options import Sampling as Sampling
    from lcrt.errors import LcrtError as LcrtError
    from lcrt.native.adapter import Adapter as Adapter
    from lcrt.native.chat import Chat as Chat
    from lcrt.native.context import Context as Context
    from lcrt.native.engine import Engine as Engine
    from lcrt.native.engine import Event as Event
    from lcrt.native.model import Model as Model
    from lcrt.native.model import Vocab as Vocab
    from lcrt.native.sampler import Sampler as Sampler
    from lcrt.native.values import ContextParams as ContextParams
    from lcrt.native.values import EngineParams as EngineParams
    from lcrt.native.values import ModelParams as ModelParams

__version__ = "0.1.0"

_HOMES = {
    "Adapter": "lcrt.native.adapter",
    "Chat": "lcrt.native.chat",
    "Context": "lcrt.native.context",
    "ContextParams": "lcrt.native.values",
    "Engine": "lcrt.native.engine",
    "EngineParams": "lcrt.native.values",
    "Event": "lcrt.native.engine",
    "LcrtError": "lcrt.errors",
    "Model": "lcrt.native.model",
    "ModelParams": "lcrt.native.values",
    "Sampler": "lcrt.native.sampler",
    "Sampling": "lcrt.core.options",
    "Vocab": "lcrt.native.model",
}

__all__ = [
    "Adapter",
    "Chat",
    "Context",
    "ContextParams",
    "Engine",
    "EngineParams",
    "Event",
    "LcrtError",
    "Model",
    "ModelParams",
    "Sampler",
    "Sampling",
    "Vocab",
    "__version__",
]


if not TYPE_CHECKING:  # or a name that is not there would be taken for one that is

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
