"""A smaller model out of a larger one: its first layers, with everything else as it is."""

from pathlib import Path

from lcrt.gguf.reader import TensorInfo, read_header
from lcrt.gguf.writer import Plain, Raw, Tensor, write_gguf


def first_layers(source: Path, out: Path, n_layers: int) -> Path:
    """Write a llama model with the first ``n_layers`` layers of another one."""
    header = read_header(source)
    metadata: dict[str, Plain] = {key: Raw(header.raw(key)) for key in header.metadata}
    metadata["llama.block_count"] = n_layers
    kept = [tensor for tensor in header.tensors if _layer(tensor) < n_layers]
    with source.open("rb") as file:

        def data(tensor: TensorInfo) -> bytes:
            file.seek(header.data_offset + tensor.offset)
            return file.read(tensor.size)

        write_gguf(out, metadata, [Tensor(one.name, one.type.name, one.shape, data(one)) for one in kept])
    return out


def _layer(tensor: TensorInfo) -> int:
    return int(tensor.name.split(".")[1]) if tensor.name.startswith("blk.") else -1
