"""A GGUF written again with its weights in another type."""

from collections.abc import Mapping
from os import PathLike

import numpy as np
from numpy.typing import NDArray

def quantize(
    source: str | PathLike[str],
    target: str | PathLike[str],
    file_type: int,
    *,
    n_threads: int = 0,
    requantize: bool = False,
    importance: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Write ``source`` to ``target`` in the type with that number; ``importance`` maps tensors to float32 arrays.

    Takes long and cannot be stopped: call it in a process that can be ended. Raises ``ModelFormatError``
    for what llama.cpp cannot quantize.
    """
