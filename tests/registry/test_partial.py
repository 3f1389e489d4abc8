from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.registry.chunks import chunk_size, chunks
from lcrt.registry.partial import Part, Partial, come_so_far, plan, records

SIZES = st.integers(0, 2**45)
STEPS = st.integers(1, 2**20)


@given(st.integers(0, 10_000), st.integers(1, 3000))
def test_parts_are_the_whole_and_do_not_overlap(size: int, step: int) -> None:
    parts = plan(size, step)
    assert [part.offset for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == size
    assert all(0 < part.size <= step for part in parts) or size == 0


@given(SIZES)
def test_without_a_size_of_parts_there_are_not_too_many_and_none_is_large(size: int) -> None:
    parts = plan(min(size, 2**40))
    assert parts[-1].end == min(size, 2**40)
    assert all(part.size <= 64 << 20 for part in parts)


@given(st.integers(0, 10**12), st.integers(10**8, 10**10))
def test_chunks_of_an_upload_are_the_whole(size: int, step: int) -> None:
    found = chunks(size, step)
    ends = [chunk.end for chunk in found]
    assert [chunk.start for chunk in found] == [0, *ends][: len(found)]
    assert [0, *ends][-1] == size


@given(st.integers(0, 10**13), st.sampled_from(["registry.ollama.ai", "localhost:5000"]))
def test_chunks_are_neither_many_nor_large_where_the_registry_is_not_ollamas(size: int, host: str) -> None:
    step = chunk_size(size, host)
    if host == "registry.ollama.ai":
        assert step == min(max(size // 16, 100_000_000), 1_000_000_000), "as its own client cuts"
    else:
        assert 16 << 20 <= step <= 64 << 20


@given(st.integers(0, 10**6), SIZES, SIZES, SIZES)
def test_a_record_says_what_ollama_writes_and_always_fits(n: int, offset: int, size: int, completed: int) -> None:
    data = msgspec.json.encode(Part(n, offset, size, completed))
    assert data == b'{"N":%d,"Offset":%d,"Size":%d,"Completed":%d}' % (n, offset, size, completed)
    assert len(data) < 128


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 500))
def test_bytes_written_in_any_pieces_are_in_their_place(pieces: list[bytes], step: int) -> None:
    import tempfile

    data = b"".join(pieces)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sha256-x-partial"
        with Partial(path, len(data), step) as partial:
            for part in partial.parts:
                for start in range(part.offset, part.end, 7):
                    partial.write(part, data[start : start + 7])
        assert path.read_bytes() == data
        assert come_so_far(path) == len(data)


def test_what_was_written_is_known_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "sha256-x-partial"
    with Partial(path, 100, 40) as partial:
        partial.write(partial.parts[1], b"x" * 30)
    with Partial(path, 100, 7) as again:
        assert [(part.offset, part.size, part.completed) for part in again.parts] == [
            (0, 40, 0),
            (40, 40, 30),
            (80, 20, 0),
        ]
        assert not again.write(again.parts[1], b"y" * 5)
        assert again.write(again.parts[1], b"z" * 500), "a part that is full is recorded"
    assert path.read_bytes()[40:80] == b"x" * 30 + b"y" * 5 + b"z" * 5


@pytest.mark.parametrize("size", [99, 101, 0])
def test_records_of_another_size_are_not_used(tmp_path: Path, size: int) -> None:
    path = tmp_path / "sha256-x-partial"
    with Partial(path, 100, 40) as partial:
        partial.write(partial.parts[0], b"x" * 40)
    with Partial(path, size, 40) as other:
        assert other.completed == 0


def test_records_without_their_file_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "sha256-x-partial"
    with Partial(path, 100, 40) as partial:
        partial.write(partial.parts[0], b"x" * 40)
    path.unlink()
    with Partial(path, 100, 40) as other:
        assert other.completed == 0


def test_nothing_is_left_when_it_is_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "sha256-x-partial"
    with Partial(path, 100, 40) as partial:
        partial.discard()
    assert list(tmp_path.iterdir()) == []
    assert records(path) == []


NUMBERS = st.integers(-5, 150)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=4))
def test_whatever_records_say_the_parts_are_the_blob(rows: list[tuple[int, int, int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sha256-x-partial"
        path.write_bytes(bytes(100))
        for n, (offset, size, completed) in enumerate(rows):
            path.with_name(f"{path.name}-{n}").write_bytes(msgspec.json.encode(Part(n, offset, size, completed)))
        with Partial(path, 100, 40) as partial:
            covered = [position for part in partial.parts for position in range(part.offset, part.end)]
            assert covered == list(range(100))
            assert all(0 <= part.completed <= part.size for part in partial.parts)
