"""Importance matrices: how much each column of each tensor matters, as llama.cpp's llama-imatrix writes them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lcrt.errors import InvalidRequest, ModelFormatError
from lcrt.gguf import keys
from lcrt.gguf.reader import Header, TensorInfo, read_header

_SUMS = ".in_sum2"
_COUNTS = ".counts"


def read_importance(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read the mean squares of all tensors; InvalidRequest for a file that is no importance matrix."""
    try:
        header = read_header(path)
    except ModelFormatError as error:
        raise InvalidRequest("the importance matrix is not in GGUF format", "make one with llama-imatrix") from error
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = [name.removesuffix(_SUMS) for name in tensors if name.endswith(_SUMS)]
    if keys.text(header, keys.KIND) != "imatrix" or not names:
        raise InvalidRequest("the file given as importance matrix is none", "make one with llama-imatrix")
    return {name: _means(header, tensors, name) for name in names}


def _means(header: Header, tensors: dict[str, TensorInfo], name: str) -> NDArray[np.float32]:
    """Divide sums by counts, expert by expert; one that was never used counts all columns the same."""
    counts_info = tensors.get(name + _COUNTS)
    if counts_info is None:
        raise InvalidRequest(f"the importance matrix has no counts for {name}")
    sums = _read(header, tensors[name + _SUMS])
    counts = _read(header, counts_info)
    if not counts.size or sums.size % counts.size:
        raise InvalidRequest(f"the importance matrix has sums and counts for {name} that do not fit")
    rows = sums.reshape(counts.size, -1)
    means = np.where(counts[:, None] > 0, rows / np.maximum(counts, 1)[:, None], 1)
    return np.ascontiguousarray(means.reshape(-1), np.float32)


def _read(header: Header, tensor: TensorInfo) -> NDArray[np.float32]:
    if tensor.type.name != "F32":
        raise InvalidRequest(f"the importance matrix holds {tensor.type.name} numbers")
    with header.path.open("rb") as file:
        file.seek(header.data_offset + tensor.offset)
        return np.frombuffer(file.read(tensor.size), np.float32)
