import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.registry.session import Session, parse_session

DATA = bytes(range(256)) * 4


def md5(start: int, end: int) -> str:
    return hashlib.md5(DATA[start:end]).hexdigest()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("session") / "blob"
    path.write_bytes(DATA)
    return path


def session(cuts: list[int]) -> Session:
    """A session whose pieces end at the cuts."""
    found = Session("http://a/0")
    for start, end in zip([0, *cuts], cuts, strict=False):
        found = found.after(end, md5(start, end), f"http://a/{end}")
    return found


CUTS = st.lists(st.integers(1, len(DATA)), unique=True).map(sorted)


@given(CUTS, st.integers(0, len(DATA)))
def test_a_session_agrees_with_whatever_the_registry_has(path: Path, cuts: list[int], end: int) -> None:
    found = session(cuts).at(end, "http://a/x", path)
    ends = [piece.end for piece in found.pieces]
    assert (found.completed, found.url) == (end, "http://a/x")
    assert ends == sorted({*(cut for cut in cuts if cut <= end), *([end] if end else [])})
    assert [piece.md5 for piece in found.pieces] == [md5(a, b) for a, b in zip([0, *ends], ends, strict=False)]


@given(CUTS)
def test_the_etag_is_the_sum_of_the_sums(cuts: list[int]) -> None:
    sums = b"".join(hashlib.md5(DATA[a:b]).digest() for a, b in zip([0, *cuts], cuts, strict=False))
    assert session(cuts).etag == f"{hashlib.md5(sums).hexdigest()}-{len(cuts)}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"url":1}',
        '{"url":"u","pieces":[{"end":1,"md5":"g"}]}',
        '{"url":"u","pieces":[{"end":0,"md5":""}]}',
        '{"url":"u","pieces":[{"end":-1,"md5":""}]}',
        '{"url":"u","pieces":[{"end":2,"md5":""},{"end":1,"md5":""}]}',
        '{"url":"u","pieces":[{"end":2,"md5":""},{"end":2,"md5":""}]}',
    ],
)
def test_what_makes_no_sense_is_no_session(text: str) -> None:
    assert parse_session(text.encode()) is None


@given(st.binary())
def test_no_bytes_at_all_are_an_error(data: bytes) -> None:
    parse_session(data)
