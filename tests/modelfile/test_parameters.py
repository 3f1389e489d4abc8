import pytest

from lcrt.errors import InvalidRequest
from lcrt.modelfile.parameters import flatten, parse_parameter, parse_parameters


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
