from pathlib import Path

import pytest

from lcrt.gguf.reader import read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf


@pytest.mark.parametrize("value", ["", "text", True, 0, 2**32 - 1, 2**32, -1, 0.5])
def test_a_plain_value_reads_back(tmp_path: Path, value: Plain) -> None:
    write_gguf(tmp_path / "x.gguf", {"key": value})
    assert read_header(tmp_path / "x.gguf").metadata["key"] == value


@pytest.mark.parametrize("kind", [kind for kind in ValueType if kind not in (ValueType.STRING, ValueType.ARRAY)])
def test_a_typed_array_reads_back(tmp_path: Path, kind: ValueType) -> None:
    write_gguf(tmp_path / "x.gguf", {"key": Typed(kind, (1, 0, 1))})
    assert read_header(tmp_path / "x.gguf").array("key") == [1, 0, 1]


def test_tensor_data_is_aligned(tmp_path: Path) -> None:
    tensors = [Tensor(name, "I8", (5,), name.encode() * 5) for name in "abc"]
    write_gguf(tmp_path / "x.gguf", {}, tensors)
    header = read_header(tmp_path / "x.gguf")
    data = (tmp_path / "x.gguf").read_bytes()[header.data_offset :]
    assert [tensor.offset for tensor in header.tensors] == [0, 32, 64]
    assert [data[tensor.offset : tensor.offset + 5] for tensor in header.tensors] == [b"aaaaa", b"bbbbb", b"ccccc"]
