import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.errors import InvalidRequest
from lcrt.modelfile.parameters import KNOWN, check_parameters, flatten, parse_parameter, parse_parameters, usable
from lcrt.server.options import merge


def test_values_are_typed_by_their_option_and_stops_gather() -> None:
    pairs = [("temperature", "0.5"), ("num_ctx", "1"), ("num_ctx", "2048"), ("use_mmap", "True")]
    assert parse_parameters([*pairs, ("stop", "a b"), ("stop", "c"), ("mirostat", "1")]) == {
        "temperature": 0.5,
        "num_ctx": 2048,
        "use_mmap": True,
        "stop": ["a b", "c"],
    }


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("zzz", "1", "unknown parameter 'zzz'"),
        ("num_ctx", "abc", "invalid int value [abc]"),
        ("num_ctx", "1.5", "invalid int value [1.5]"),
        ("num_ctx", "1_000", "invalid int value [1_000]"),
        ("num_ctx", "9" * 5000, f"invalid int value [{'9' * 5000}]"),
        ("temperature", "hot", "invalid float value [hot]"),
        ("temperature", "nan", "invalid float value [nan]"),
        ("temperature", "inf", "invalid float value [inf]"),
        ("use_mmap", "yes", "invalid bool value [yes]"),
    ],
)
def test_a_value_that_no_option_has_is_refused(name: str, text: str, error: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_parameter(name, text)
    assert refused.value.message == error


def test_lists_are_flattened_and_names_sorted() -> None:
    assert flatten({"stop": ["a", "b"], "num_ctx": 8}) == [("num_ctx", 8), ("stop", "a"), ("stop", "b")]


GOOD: dict[str, object] = {
    "num_ctx": 8,
    "seed": 7.0,
    "temperature": 0,
    "top_p": 0.5,
    "use_mmap": True,
    "stop": ["a"],
    "mirostat": "anything",
    "ignore_eos": False,
    "logit_bias": {"1": -100},
    "min_p": None,
}
BAD: list[tuple[str, object, str]] = [
    ("nonsense", 1, "unknown parameter 'nonsense'"),
    ("temperature", "hot", "parameter 'temperature' must be a number"),
    ("temperature", True, "parameter 'temperature' must be a number"),
    ("top_p", float("nan"), "parameter 'top_p' must be a number"),
    ("num_ctx", 1.5, "parameter 'num_ctx' must be an integer"),
    ("num_ctx", float("inf"), "parameter 'num_ctx' must be an integer"),
    ("use_mmap", 1, "parameter 'use_mmap' must be true or false"),
    ("stop", "a", "parameter 'stop' must be a list of strings"),
    ("stop", ["a", 1], "parameter 'stop' must be a list of strings"),
    ("logit_bias", {"x": 1}, "parameter 'logit_bias' must be an object of token numbers and numbers"),
]


def test_parameters_that_options_can_be_pass() -> None:
    check_parameters(GOOD)
    assert merge(GOOD, {}).sampling.top_p == 0.5


@pytest.mark.parametrize(("name", "value", "text"), BAD)
def test_others_are_refused_by_name(name: str, value: object, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_parameters({"top_k": 1, name: value})
    assert refused.value.message == text


def test_only_what_would_pass_is_usable() -> None:
    for name, value, _ in BAD:
        assert usable({"top_k": 1, name: value}) == {"top_k": 1}
    assert usable(GOOD) == {name: value for name, value in GOOD.items() if value is not None}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN | {"nonsense"})), _JSON, max_size=4))
def test_what_passes_here_is_read_by_every_later_request(parameters: dict[str, object]) -> None:
    try:
        check_parameters(parameters)
    except InvalidRequest:
        return
    merge(parameters, {})
