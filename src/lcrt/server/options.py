"""Options of one generation: defaults, under the model's parameters, under the request's.

Unknown names are ignored, nulls count as absent. A value of the wrong type is an OptionError.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from lcrt.core.options import LoadOptions, Options, Sampling
from lcrt.errors import OptionError

_SEED_MASK = 2**64 - 1
_RANDOM_SEED = -1


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OptionError(f'option "{name}" must be of type integer')
    return int(value)


def _float(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OptionError(f'option "{name}" must be of type float32')
    return float(value)


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise OptionError(f'option "{name}" must be of type boolean')
    return value


def _strings(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise OptionError(f'option "{name}" must be of type array')
    if not all(isinstance(item, str) for item in value):
        raise OptionError(f'option "{name}" must be of an array of strings')
    return tuple(item for item in value if item)


def _automatic(least: int) -> Callable[[str, object], int | None]:
    """Numbers below ``least`` leave the choice to the load."""

    def read(name: str, value: object) -> int | None:
        number = _integer(name, value)
        return number if number >= least else None

    return read


def _seed(name: str, value: object) -> int | None:
    number = _integer(name, value)
    return None if number == _RANDOM_SEED else number & _SEED_MASK


def _num_predict(name: str, value: object) -> int:
    return _integer(name, value) or -1


def _not_negative(name: str, value: object) -> float:
    return max(_float(name, value), 0.0)


def _top_k(name: str, value: object) -> int:
    return max(_integer(name, value), 0)


def _logit_bias(name: str, value: object) -> tuple[tuple[int, float], ...]:
    """Token numbers, as JSON's text keys, and what is added to their logits."""
    if not isinstance(value, dict) or not all(str(token).isdecimal() for token in value):
        raise OptionError(f'option "{name}" must map token numbers to numbers')
    return tuple((int(token), _float(name, bias)) for token, bias in value.items())


_Read = Callable[[str, object], Any]

_LOAD: Mapping[str, _Read] = {
    "num_ctx": _automatic(1),
    "num_batch": _automatic(1),
    "num_gpu": _automatic(0),
    "main_gpu": _automatic(0),
    "use_mmap": _boolean,
    "num_thread": _automatic(1),
    "draft_num_predict": _automatic(0),
}
_SAMPLING: Mapping[str, _Read] = {
    "seed": _seed,
    "temperature": _not_negative,
    "top_k": _top_k,
    "top_p": _float,
    "min_p": _float,
    "typical_p": _float,
    "repeat_last_n": _integer,
    "repeat_penalty": _float,
    "presence_penalty": _float,
    "frequency_penalty": _float,
    "logit_bias": _logit_bias,
}
_REST: Mapping[str, _Read] = {
    "num_predict": _num_predict,
    "num_keep": _integer,
    "stop": _strings,
    "ignore_eos": _boolean,
}


def merge(parameters: Mapping[str, object], request: Mapping[str, object]) -> Options:
    """Read both layers; a request's value hides the model's, also when the model's is wrong in another name."""
    load = _read(_LOAD, parameters) | _read(_LOAD, request)
    sampling = _read(_SAMPLING, parameters) | _read(_SAMPLING, request)
    rest = _read(_REST, parameters) | _read(_REST, request)
    return Options(load=LoadOptions(**load), sampling=Sampling(**sampling), **rest)


def _read(table: Mapping[str, _Read], given: Mapping[str, object]) -> dict[str, Any]:
    return {name: table[name](name, value) for name, value in given.items() if value is not None and name in table}
