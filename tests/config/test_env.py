import math
from collections.abc import Callable
from pathlib import Path

import pytest

from lcrt.config import env


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (env.boolean, "TRUE", True),
        (env.boolean, "off", False),
        (env.boolean_or_auto, "Auto", None),
        (env.boolean_or_auto, "1", True),
        (env.count, "512", 512),
        (env.seconds, "5m", 300.0),
        (env.seconds, "90", 90.0),
        (env.seconds, "0", 0.0),
        (env.seconds, "-1", math.inf),
        (env.seconds, "-1s", math.inf),
        (env.timeout, "0", math.inf),
        (env.timeout, "1m", 60.0),
        (env.latency, "100", 0.1),
        (env.latency, "50ms", 0.05),
        (env.size, "1000", 1000),
        (env.size, "128MB", 128_000_000),
        (env.size, "2 kib", 2048),
        (env.size, "1g", 10**9),
        (env.size, "5b", 5),
        (env.budget, "0", 0),
        (env.budget, "off", 0),
        (env.budget, "2GiB", 2 << 30),
        (env.debug_level, "true", 1),
        (env.debug_level, "2", 2),
        (env.words, " a, ,b ", ("a", "b")),
        (env.mirrors, "http://m:5/x/, A.b=https://c", ("registry.ollama.ai=http://m:5/x", "a.b=https://c")),
        (env.cache_type, "Q8_0", "q8_0"),
        (env.directory, "/a/b", Path("/a/b")),
        (env.directory, "~/x", Path.home() / "x"),
    ],
)
def test_text_becomes_a_value(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (env.boolean, "maybe"),
        (env.boolean_or_auto, "maybe"),
        (env.count, "-1"),
        (env.count, "1.5"),
        (env.count, "x"),
        (env.count, "٣"),
        (env.count, "99999999999"),
        (env.seconds, "soon"),
        (env.seconds, "nan"),
        (env.latency, "0"),
        (env.latency, "-1ms"),
        (env.latency, "inf"),
        (env.size, "0"),
        (env.size, "-1"),
        (env.size, "1.5MB"),
        (env.size, "MB"),
        (env.budget, "-1"),
        (env.budget, "some"),
        (env.debug_level, "3"),
        (env.cache_type, "q3"),
        (env.directory, "~nobody-of-this-name/x"),
    ],
)
def test_text_that_is_no_value_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


@pytest.mark.parametrize("text", ["x", " x ", '"x"', "'x'", ' " x " '])
def test_blanks_and_quotes_around_a_value_do_not_count(text: str) -> None:
    assert env.clean(text) == "x"
