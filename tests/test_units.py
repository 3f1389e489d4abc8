import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt import units

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1500, "1.5 KB"),
        (986_000_000, "986 MB"),
        (4_661_224_676, "4.7 GB"),
        (12_900_000_000, "12 GB"),
        (9_990_000_000, "10.0 GB"),
        (2_000_000_000_000, "2 TB"),
    ],
)
def test_sizes_are_decimal_and_short(size: int, text: str) -> None:
    assert units.human_bytes(size) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (32768, "33K"),
        (134_515_008, "134.52M"),
        (22_565_376, "22.57M"),
        (268_098_176, "268.10M"),
        (7_000_000, "7M"),
        (7_000_000_000, "7B"),
        (3_212_749_888, "3.2B"),
    ],
)
def test_counts_are_short(count: int, text: str) -> None:
    assert units.human_number(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (61, "About a minute"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47.4 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_spans_are_rough(seconds: float, text: str) -> None:
    assert units.human_duration(seconds) == text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (None, "Never"),
        (1000.0 - 120, "2 minutes ago"),
        (1000.0 + 300, "5 minutes from now"),
        (1000.0 + 22 * 365 * DAY, "Forever"),
        (math.inf, "Forever"),
    ],
)
def test_moments_are_seen_from_now(when: float | None, text: str) -> None:
    assert units.human_time(when, now=1000.0) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h2m3.5s", 3723.5),
        ("-1m", -60.0),
        ("+5s", 5.0),
        ("0", 0.0),
        ("1.5ms", 0.0015),
        ("100us", 0.0001),
        ("100µs", 0.0001),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("24h", 86400.0),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("10", 'time: missing unit in duration "10"'),
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
        (".", 'time: invalid duration "."'),
        ("1h 2m", 'time: unknown unit "h " in duration "1h 2m"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
        ("٣s", 'time: invalid duration "٣s"'),
    ],
)
def test_a_duration_that_is_none_is_refused_in_go_words(text: str, error: str) -> None:
    with pytest.raises(ValueError, match="time: ") as refused:
        units.parse_duration(text)
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (3723.5, "1h2m3.5s"),
        (300, "5m0s"),
        (0.0015, "1.5ms"),
        (0.000001, "1µs"),
        (5e-9, "5ns"),
        (-61, "-1m1s"),
        (592.883822, "9m52.883822s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert units.format_duration(seconds) == text


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_a_written_duration_reads_back(nanoseconds: int) -> None:
    seconds = nanoseconds / 1e9
    assert units.parse_duration(units.format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        units.parse_duration(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(10, 10.0), (0, 0.0), (1.5, 1.5), (-1, math.inf), ("-1s", math.inf), ("10m", 600.0), ("0", 0.0)],
)
def test_keep_alive_is_seconds_or_a_duration_and_negative_is_forever(value: object, seconds: float) -> None:
    assert units.parse_keep_alive(value) == seconds


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("10", 'time: missing unit in duration "10"'),
        (True, "Unsupported type: 'bool'"),
        ([1], "Unsupported type: '[]interface {}'"),
        ({}, "Unsupported type: 'map[string]interface {}'"),
    ],
)
def test_a_keep_alive_of_another_kind_is_refused(value: object, error: str) -> None:
    with pytest.raises(ValueError, match=r"time: |Unsupported") as refused:
        units.parse_keep_alive(value)
    assert str(refused.value) == error
