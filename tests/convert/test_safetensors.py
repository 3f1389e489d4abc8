"""Files of tensors are read as they are written, and refused when anything in them cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.convert.safetensors import Stored, find_tensors, read_tensors
from lcrt.errors import InvalidRequest
from tests.convert.folders import random_weights, safetensors, write_json, write_weights

SHAPES: dict[str, tuple[int, ...]] = {"a.weight": (3, 4), "b.weight": (5,), "c": (2, 3, 4)}


def raw_file(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def content(stored: Stored, n_rows: int) -> bytes:
    return b"".join(stored.blocks(n_rows))


@pytest.mark.parametrize("n_rows", [1, 2, 100])
def test_tensors_are_read_in_blocks_of_rows(n_rows: int, tmp_path: Path) -> None:
    weights = random_weights(SHAPES)
    write_weights(tmp_path, weights)
    found = read_tensors(tmp_path / "model.safetensors")
    assert found.keys() == SHAPES.keys()
    for name, values in weights.items():
        assert found[name].shape == values.shape
        assert content(found[name], n_rows) == values.tobytes()


def test_shards_are_put_together_by_their_index(tmp_path: Path) -> None:
    weights = random_weights(SHAPES)
    write_weights(tmp_path, weights, n_shards=2)
    found = find_tensors(tmp_path)
    assert {name: content(found[name], 1) for name in found} == {name: v.tobytes() for name, v in weights.items()}
    assert len({tensor.path for tensor in found.values()}) == 2


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"{", "header cannot be read"),
        (b"[]", "header cannot be read"),
        (b'{"a":' * 5000, "header cannot be read"),
        ({"a": entry(0, 8, [2], "Q4")}, "unknown type Q4"),
        ({"a": entry(0, 8, [3])}, "not as large as its shape says"),
        ({"a": entry(8, 0, [2])}, "not as large as its shape says"),
        ({"a": entry(0, 8, [1 << 40, 1 << 40])}, "not as large as its shape says"),
        ({"a": entry(0, 8, [-2])}, "header cannot be read"),
        ({"a": entry(0, 32, [8])}, "lies beyond its end"),
        ({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, "tensors a and b overlap"),
        ({"": entry(0, 8, [2])}, "no usable name"),
        ({"a": {"dtype": "F32", "shape": [2]}}, "header cannot be read"),
    ],
)
def test_a_damaged_header_is_refused_with_the_reason(header: object, reason: str, tmp_path: Path) -> None:
    path = raw_file(tmp_path / "model.safetensors", header, bytes(16))
    with pytest.raises(InvalidRequest, match=reason):
        read_tensors(path)


def test_a_header_that_claims_more_than_the_file_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for data in (b"", b"\1\0\0", (1 << 62).to_bytes(8, "little") + b"{}", b"version https://git-lfs"):
        path.write_bytes(data)
        with pytest.raises(InvalidRequest, match="no safetensors file, or was cut"):
            read_tensors(path)


def test_a_file_that_is_cut_after_it_was_looked_at_is_noticed(tmp_path: Path) -> None:
    write_weights(tmp_path, random_weights(SHAPES))
    path = tmp_path / "model.safetensors"
    found = read_tensors(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InvalidRequest, match="ends inside tensor c"):
        content(found["c"], 1)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "config.json"])
def test_an_index_names_files_beside_it_only(name: str, tmp_path: Path) -> None:
    write_weights(tmp_path, random_weights(SHAPES))
    (tmp_path / "inner").mkdir()
    write_json(tmp_path / "inner" / "model.safetensors.index.json", {"weight_map": {"a.weight": name}})
    with pytest.raises(InvalidRequest, match="no safetensors file beside it"):
        find_tensors(tmp_path / "inner")


def test_an_index_that_names_what_is_not_there_is_refused(tmp_path: Path) -> None:
    write_weights(tmp_path, random_weights(SHAPES), n_shards=2)
    index = tmp_path / "model.safetensors.index.json"
    told = json.loads(index.read_text())["weight_map"]
    write_json(index, {"weight_map": told | {"more": told["c"]}})
    with pytest.raises(InvalidRequest, match="tensor more is not in"):
        find_tensors(tmp_path)
    write_json(index, {"weight_map": told})
    (tmp_path / told["c"]).unlink()
    with pytest.raises(InvalidRequest, match="is missing"):
        find_tensors(tmp_path)


def test_one_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"model-{number}.safetensors").write_bytes(safetensors(random_weights(SHAPES)))
    with pytest.raises(InvalidRequest, match=r"a\.weight is in `model-1\.safetensors` too"):
        find_tensors(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no safetensors file in the folder"):
        find_tensors(tmp_path)


@given(at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_any_damage_is_an_error_of_ours_or_harmless(
    at: int, byte: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(safetensors(random_weights(SHAPES)))
    data[at % len(data)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(data[: len(data) - cut % len(data)] if byte % 2 else data)
    try:
        found = read_tensors(path)
    except InvalidRequest:
        return
    for tensor in found.values():
        assert tensor.offset + tensor.size <= path.stat().st_size
        assert len(content(tensor, 1)) == tensor.size
        assert np.prod(tensor.shape, dtype=object) <= path.stat().st_size
