from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.registry.client import Reply
from lcrt.registry.failure import RangeIgnored, Refused
from lcrt.registry.source import check_range, range_header


def reply(status: int, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cast("Reply", SimpleNamespace(status=status, headers=named))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(1, 10**12))
    start = draw(st.integers(0, size - 1))
    return start, draw(st.integers(start + 1, size)), size


@given(ranges(), st.booleans())
def test_a_range_that_was_asked_for_is_taken(wanted: tuple[int, int, int], says_total: bool) -> None:
    start, end, size = wanted
    header = range_header(start, end)["Range"].removeprefix("bytes=")
    total = size if says_total else "*"
    check_range(reply(206, content_range=f"bytes {header}/{total}"), start, end, size)


@given(ranges(), st.integers(0, 10**12))
def test_a_range_that_begins_elsewhere_is_refused(wanted: tuple[int, int, int], begin: int) -> None:
    start, end, size = wanted
    if begin != start:
        with pytest.raises(Refused):
            check_range(reply(206, content_range=f"bytes {begin}-{end - 1}/{size}"), start, end, size)


HEADERS = st.one_of(st.text(), st.from_regex(r"(bytes|items)? ?-?\d{0,4}-?-?\d{0,4}/?(\d{0,4}|\*)", fullmatch=True))


@given(ranges(), HEADERS, st.sampled_from([206, 416, 204, 404]))
def test_whatever_a_server_says_only_the_range_that_was_asked_for_is_taken(
    wanted: tuple[int, int, int], header: str, status: int
) -> None:
    start, end, size = wanted
    try:
        check_range(reply(status, content_range=header), start, end, size)
    except Refused:
        return
    assert status in (206, 416)
    assert header.startswith(f"bytes {start}")
    total = header.partition("/")[2]
    assert not total.isdecimal() or int(total) == size


@given(ranges())
def test_everything_is_taken_only_for_everything(wanted: tuple[int, int, int]) -> None:
    start, end, size = wanted
    if (start, end) == (0, size):
        check_range(reply(200, content_length=str(size)), start, end, size)
    else:
        with pytest.raises(RangeIgnored):
            check_range(reply(200, content_length=str(size)), start, end, size)


@pytest.mark.parametrize(
    "answer",
    [
        reply(206),
        reply(206, content_range="bytes */10"),
        reply(206, content_range="items 0-9/10"),
        reply(206, content_range="bytes 0-9/11"),
        reply(416, content_range="bytes */5"),
        reply(416),
        reply(204),
        reply(200, content_length="11"),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: Reply) -> None:
    with pytest.raises(Refused):
        check_range(answer, 0, 10, 10)
