from pathlib import Path

import pytest

from lcrt.errors import InvalidRequest
from lcrt.gguf.join import is_shard, join, ordered, stem
from lcrt.gguf.reader import Header, read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Tensor, Typed, write_gguf
from tests.gguf.files import METADATA, TENSORS, tiny


def shard(path: Path, index: int, count: int, tensors: tuple[Tensor, ...], n_tensors: int = 3) -> tuple[str, Header]:
    said: dict[str, Plain] = {
        "split.no": Typed(ValueType.UINT16, index),
        "split.count": Typed(ValueType.UINT16, count),
        "split.tensors.count": Typed(ValueType.INT32, n_tensors),
    }
    write_gguf(path, (METADATA if index == 0 else {}) | said, tensors)
    return path.name, read_header(path)


def shards(tmp_path: Path) -> list[tuple[str, Header]]:
    return [
        shard(tmp_path / f"m-0000{index + 1}-of-00003.gguf", index, 3, (tensor,))
        for index, tensor in enumerate(TENSORS)
    ]


def test_joined_shards_are_the_file_that_was_split(tmp_path: Path) -> None:
    found = shards(tmp_path)
    assert all(is_shard(header) for _, header in found)
    joined = b"".join(join(ordered([found[2], found[0], found[1]])))
    assert joined == tiny(tmp_path / "whole.gguf").read_bytes()


def test_a_whole_file_is_no_shard(tmp_path: Path) -> None:
    assert not is_shard(read_header(tiny(tmp_path / "m.gguf")))


def test_the_stem_is_what_the_names_have_in_common() -> None:
    assert stem("q/m-q4-00001-of-00002.gguf") == "q/m-q4"
    with pytest.raises(InvalidRequest, match=r'split GGUF "m.gguf" must use llama.cpp split filename pattern'):
        stem("m.gguf")


def test_what_does_not_fit_together_is_named(tmp_path: Path) -> None:
    one, two, three = shards(tmp_path)
    wrong = [
        ([one, two], "split GGUF has 2 shards, expected 3"),
        ([two, three], "split GGUF is missing first shard"),
        ([one, one, two], "split GGUF has duplicate shard index 0"),
        ([("m-00001-of-00002.gguf", one[1])], "filename count 2 does not match metadata count 3"),
        ([("m-00002-of-00003.gguf", one[1])], "filename index 2 does not match metadata index 1"),
        ([one, shard(tmp_path / "m-00002-of-00003.gguf", 1, 3, TENSORS[:1]), three], "one tensor in two shards"),
        ([one, two, shard(tmp_path / "m-00003-of-00003.gguf", 2, 3, ())], "split GGUF has 2 tensors, expected 3"),
    ]
    for given, words in wrong:
        with pytest.raises(InvalidRequest, match=words):
            ordered(given)


def test_a_shard_must_say_its_number(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00002.gguf"
    write_gguf(path, {"split.count": 2})
    with pytest.raises(InvalidRequest, match=r"is missing split.no metadata"):
        ordered([(path.name, read_header(path))])
