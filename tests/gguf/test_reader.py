import resource
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcrt.errors import ModelFormatError
from lcrt.gguf.reader import ArrayRef, is_gguf, read_header
from lcrt.gguf.types import ValueType
from tests.gguf.files import TENSORS, tiny


def head(version: int, n_tensors: int, n_keys: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny(tmp_path / "tiny.gguf")


def test_scalars_come_back_as_they_were_written(file: Path) -> None:
    metadata = read_header(file).metadata
    assert metadata["general.architecture"] == "llama"
    assert metadata["general.quantized"] is True
    assert metadata["llama.context_length"] == 512
    assert metadata["llama.big"] == 2**40
    assert metadata["llama.below"] == -3


def test_a_float_prints_as_short_as_it_was_meant(file: Path) -> None:
    assert repr(read_header(file).metadata["llama.attention.layer_norm_rms_epsilon"]) == "1e-05"


def test_arrays_stay_in_the_file_until_they_are_asked_for(file: Path) -> None:
    header = read_header(file)
    ref = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(ref, ArrayRef)
    assert (ref.type, ref.count) == (ValueType.STRING, 3)
    assert header.array("tokenizer.ggml.tokens") == ["<s>", "a", "é"]
    assert header.array("tokenizer.ggml.scores") == [0.1, -1.0, 2.5]
    assert header.array("tokenizer.ggml.flags") == [True, False]
    assert header.array("tokenizer.ggml.none") == []
    assert header.array("no.such.key") == []


def test_tensors_have_shape_type_and_a_place_in_the_file(file: Path) -> None:
    header = read_header(file)
    assert [(t.name, t.type.name, t.shape, t.size) for t in header.tensors] == [
        (t.name, t.type, t.shape, len(t.data)) for t in TENSORS
    ]
    for tensor, written in zip(header.tensors, TENSORS, strict=True):
        start = header.data_offset + tensor.offset
        assert file.read_bytes()[start : start + tensor.size] == written.data


def test_an_array_longer_than_the_window_is_skipped_and_read(tmp_path: Path) -> None:
    words = [f"token-{i:06d}" * 3 for i in range(60_000)]
    body = string("words") + struct.pack("<IIQ", 9, 8, len(words)) + b"".join(map(string, words))
    numbers = struct.pack("<IIQ", 9, 4, 400_000) + struct.pack("<400000I", *range(400_000))
    after = string("after") + struct.pack("<II", 4, 7)
    file = write(tmp_path / "x.gguf", head(3, 0, 3) + body + string("numbers") + numbers + after)
    header = read_header(file)
    assert header.metadata["after"] == 7
    assert header.array("words") == words
    assert header.array("numbers") == list(range(400_000))


def test_version_2_is_read_too(tmp_path: Path) -> None:
    file = write(tmp_path / "x.gguf", head(2, 0, 1) + string("a") + struct.pack("<I", 8) + string("b"))
    assert read_header(file).metadata == {"a": "b"}


def test_the_beginning_tells_a_gguf(file: Path, tmp_path: Path) -> None:
    assert is_gguf(file)
    assert not is_gguf(write(tmp_path / "x", b"GG"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a GGUF file"),
        (b"hello", "is not a GGUF file"),
        (b"GGUF", "it ends too early"),
        (head(1, 0, 0), "version 1"),
        (head(4, 0, 0), "version 4"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (head(3, 0, 2**63), "keys cannot be in it"),
        (head(3, 0, 9) + bytes(64), "9 keys cannot be in it"),
        (head(3, 2**63, 0), "tensors cannot be in it"),
        (head(3, 0, 1) + struct.pack("<Q", 2**62) + bytes(64), "bytes of a key cannot be in it"),
        (head(3, 0, 1) + string("a") + struct.pack("<IQ", 8, 2**40), "bytes of a string cannot be in it"),
        (head(3, 0, 1) + string("a") + struct.pack("<I", 99) + bytes(32), "unknown type 99"),
        (head(3, 0, 1) + string("a") + struct.pack("<IIQ", 9, 0, 2**40), "array elements cannot be in it"),
        (head(3, 0, 1) + string("a") + struct.pack("<IIQ", 9, 9, 1) + bytes(32), "arrays of arrays"),
        (head(3, 0, 1) + string("a") + struct.pack("<IIQQ", 9, 8, 1, 2**40), "a string of"),
        (head(3, 0, 2) + (string("a") + struct.pack("<II", 4, 1)) * 2, "key a comes twice"),
        (head(3, 0, 1) + string("general.alignment") + struct.pack("<II", 4, 3), "no power of two"),
        (head(3, 0, 1) + string("general.alignment") + struct.pack("<II", 4, 0), "no power of two"),
        (head(3, 1, 0) + string("t") + struct.pack("<I", 5) + bytes(64), "5 dimensions"),
        (head(3, 1, 0) + string("t") + struct.pack("<IQIQ", 1, 4, 99, 0), "unknown type 99"),
        (head(3, 1, 0) + string("t") + struct.pack("<IQIQ", 1, 33, 2, 0) + bytes(64), "no multiple of 32"),
        (head(3, 1, 0) + string("t") + struct.pack("<IQIQ", 1, 2**60, 0, 0) + bytes(64), "lies beyond its end"),
        (head(3, 1, 0) + string("t") + struct.pack("<IQIQ", 1, 4, 0, 2**60) + bytes(64), "lies beyond its end"),
    ],
)
def test_a_file_that_lies_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        read_header(write(tmp_path / "x.gguf", data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (head(3, 0, 2**20), "keys cannot be in it"),
        (head(3, 2**20, 0), "tensors cannot be in it"),
        (head(3, 0, 1) + struct.pack("<Q", 2**20), "bytes of a key cannot be in it"),
        (head(3, 0, 1) + string("a") + struct.pack("<IQ", 8, 2**28), "bytes of a string cannot be in it"),
        (head(3, 0, 1) + string("a") + struct.pack("<IIQ", 9, 0, 2**28), "array elements cannot be in it"),
    ],
)
def test_even_a_huge_file_may_not_ask_for_much_memory(tmp_path: Path, data: bytes, reason: str) -> None:
    file = write(tmp_path / "x.gguf", data)
    with file.open("r+b") as hole:
        hole.truncate(1 << 34)
    with pytest.raises(ModelFormatError, match=reason):
        read_header(file)


def test_many_long_strings_together_have_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    with path.open("wb") as file:
        file.write(head(3, 0, 40))
        for i in range(40):
            file.write(string(f"key{i:02d}") + struct.pack("<IQ", 8, 4 << 20))
            file.seek(4 << 20, 1)
        file.truncate()
    with pytest.raises(ModelFormatError, match="bytes of a string cannot be in it"):
        read_header(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="cannot read"):
        read_header(tmp_path / "none.gguf")


def test_a_file_cut_anywhere_is_refused(file: Path) -> None:
    data = file.read_bytes()
    for length in range(len(data)):
        with pytest.raises(ModelFormatError):
            read_header(write(file, data[:length]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_changed_bytes_give_a_header_or_an_error_and_take_little_memory(file: Path, data: st.DataObject) -> None:
    raw = bytearray(tiny(file).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        header = read_header(write(file, bytes(raw)))
        for key in header.metadata:
            header.array(key)
    except ModelFormatError:
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_give_a_header_or_an_error(tmp_path: Path, body: bytes) -> None:
    try:
        read_header(write(tmp_path / "x.gguf", b"GGUF\x03\0\0\0" + body))
    except ModelFormatError:
        return
