import contextlib
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrt.errors import ModelFormatError
from lcrt.gguf import keys
from lcrt.gguf.check import check_file, check_header
from lcrt.gguf.join import is_shard
from lcrt.gguf.keys import FileKind
from lcrt.gguf.reader import read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Source, Tensor, Typed, encode_gguf, write_gguf
from lcrt.modelfile.describe import gguf_facts
from tests.children import children
from tests.gguf.files import METADATA, TENSORS, tiny

ALLOWED_KB = 64 << 10


def check(path: Path) -> None:
    """Check to the end."""
    for _ in check_file(path):
        pass


def header_of(metadata: dict[str, Plain], *tensors: Tensor | Source) -> bytes:
    return bytes(next(iter(encode_gguf(metadata, tensors))))


def refused(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFormatError) as caught:
        check_header(read_header(path))
    return caught.value.message


def test_a_good_file_passes_in_a_process_of_its_own(tmp_path: Path) -> None:
    check(tiny(tmp_path / "m.gguf"))


def test_what_is_wrong_comes_back_from_that_process(tmp_path: Path) -> None:
    path = tiny(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFormatError, match=r"`m.gguf` is damaged: tensor output_norm.weight lies beyond its end"):
        check(path)


def test_a_process_that_ends_in_another_way_is_an_error_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelFormatError, match="could not be checked"):
        check(tiny(tmp_path / "m.gguf"))


def test_a_process_that_cannot_be_had_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(OSError, match="No such file"):
        check(tiny(tmp_path / "m.gguf"))


def test_a_check_that_is_not_wanted_any_more_ends(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    os.mkfifo(path)  # nobody writes: whoever opens it waits
    others = children()
    checking = check_file(path)
    next(checking)
    (pid,) = children() - others
    checking.close()
    assert pid not in children()


def test_the_process_can_neither_write_nor_take_much(tmp_path: Path) -> None:
    code = (
        "import lcrt.gguf.check as c, sys\nc._confine()\n"
        "try: bytearray(2 << 30)\nexcept MemoryError: print('memory', flush=True)\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n with open(sys.argv[1], 'wb', 0) as f: f.write(b'x')\nexcept OSError: print('file')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["memory", "file"]


@pytest.mark.parametrize(
    ("metadata", "tensors", "words"),
    [
        ({"general.architecture": 3}, (), "general.architecture is no text"),
        ({}, (Tensor("", "F32", (1,), bytes(4)),), "a tensor has no name"),
        ({}, (Tensor("a", "F32", (0, 2), b""),), "tensor a has a dimension of 0"),
        ({}, (Tensor("a", "F32", (1,), bytes(4)), Tensor("a", "F32", (1,), bytes(4))), "tensor a comes twice"),
        ({"general.alignment": 64}, (Tensor("a", "F32", (1,), bytes(4)), Tensor("b", "F32", (1,), bytes(4))), "64"),
        ({}, (Tensor("a", "F32", (16,), bytes(32)), Tensor("b", "F32", (8,), bytes(32))), "tensors a and b overlap"),
    ],
)
def test_rules_that_span_the_header(
    tmp_path: Path, metadata: dict[str, Plain], tensors: tuple[Tensor, ...], words: str
) -> None:
    assert words in refused(tmp_path, b"".join(encode_gguf(metadata, tensors)) + bytes(256))


def test_sizes_beyond_all_counting_are_no_sizes(tmp_path: Path) -> None:
    huge = Source("a", "F32", (2**40, 2**40), lambda: iter(()))
    assert "lies beyond its end" in refused(tmp_path, header_of({}, huge))


@pytest.mark.parametrize("kind", [ValueType.UINT8, ValueType.STRING])
def test_an_array_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path: Path, kind: ValueType) -> None:
    value: tuple[int, ...] | tuple[str, ...] = (7,) if kind is ValueType.UINT8 else ("7",)
    data = header_of({"a": Typed(kind, value)})
    at = data.index(b"a") + 1 + 8
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "array elements cannot be in it" in refused(
        tmp_path, data[:at] + (2**24).to_bytes(8, "little") + data[at + 8 :]
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ALLOWED_KB


@settings(max_examples=400, deadline=None)
@given(st.integers(min_value=0, max_value=2**32), st.integers(1, 12))
def test_headers_with_changed_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int
) -> None:
    rng = random.Random(seed)
    data = bytearray(b"".join(encode_gguf(METADATA, TENSORS)))
    for _ in range(n):
        at = rng.randrange(len(data) - 300)
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at : at + 8] = rng.choice((2**64 - 1, 2**63, 2**32, 2**24, 0)).to_bytes(8, "little")
            case 2:
                del data[at : at + rng.randrange(1, 64)]
            case _:
                data[at:at] = rng.randbytes(rng.randrange(1, 64))
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(data)
    try:
        header = read_header(path)
        check_header(header)
    except ModelFormatError:
        return
    for tensor in header.tensors:
        assert header.data_offset + tensor.offset + tensor.size <= len(data)
    for key in header.metadata:
        assert len(header.array(key)) <= len(data)
        assert len(header.raw(key)) <= len(data)
    facts = gguf_facts(header)
    assert isinstance(facts.family + facts.quantization + facts.chat_template, str)
    assert keys.kind(header) in FileKind
    assert is_shard(header) in (True, False)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_anything_after_the_magic_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + tail)
    with contextlib.suppress(ModelFormatError):
        check_header(read_header(path))


def test_pieces_that_are_not_what_the_header_says_stop_the_writing(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="tensor a came with 3 bytes instead of 8"):
        write_gguf(tmp_path / "m.gguf", {}, (Source("a", "F32", (2,), lambda: iter([b"abc"])),))
