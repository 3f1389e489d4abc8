import pytest

from lcrt.core.options import LoadOptions, Options, Sampling
from lcrt.errors import OptionError
from lcrt.server.options import merge


def test_nothing_given_leaves_the_defaults() -> None:
    assert merge({}, {}) == Options()


def test_the_request_wins_over_the_model() -> None:
    merged = merge({"temperature": 0.1, "top_k": 3, "stop": ["a"]}, {"temperature": 0.2, "stop": ["b"]})
    assert merged == Options(sampling=Sampling(temperature=0.2, top_k=3), stop=("b",))


def test_every_option_arrives() -> None:
    load = {"num_ctx": 9, "num_batch": 8, "num_gpu": 7, "main_gpu": 1, "use_mmap": False, "num_thread": 6}
    load |= {"draft_num_predict": 5}
    sampling = {"seed": 5, "temperature": 0.4, "top_k": 3, "top_p": 0.2, "min_p": 0.1, "typical_p": 0.9}
    penalties = {"repeat_last_n": 11, "repeat_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.5}
    rest = {"num_predict": 12, "num_keep": 13, "stop": ["x", "y"]}
    merged = merge({}, load | sampling | penalties | rest)
    assert merged == Options(LoadOptions(**load), Sampling(**sampling, **penalties), 12, 13, ("x", "y"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"seed": -1}, Options()),
        ({"seed": 2**62 + 1}, Options(sampling=Sampling(seed=2**62 + 1))),
        ({"seed": 2**70 + 3}, Options(sampling=Sampling(seed=3))),
        ({"num_predict": 0}, Options(num_predict=-1)),
        ({"num_predict": 4.9}, Options(num_predict=4)),
        ({"temperature": -1}, Options(sampling=Sampling(temperature=0.0))),
        ({"temperature": None, "nonsense": "x"}, Options()),
        ({"num_gpu": -1, "num_thread": 0, "num_ctx": 0}, Options()),
        ({"stop": ["", "a"]}, Options(stop=("a",))),
        ({"ignore_eos": True}, Options(ignore_eos=True)),
        ({"logit_bias": {"12": -100, "3": 2.5}}, Options(sampling=Sampling(logit_bias=((12, -100.0), (3, 2.5))))),
    ],
)
def test_special_values_are_understood(given: dict[str, object], expected: Options) -> None:
    assert merge({}, given) == expected


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("seed", "5", 'option "seed" must be of type integer'),
        ("top_k", True, 'option "top_k" must be of type integer'),
        ("num_ctx", float("inf"), 'option "num_ctx" must be of type integer'),
        ("temperature", "hot", 'option "temperature" must be of type float32'),
        ("top_p", [], 'option "top_p" must be of type float32'),
        ("use_mmap", 1, 'option "use_mmap" must be of type boolean'),
        ("ignore_eos", 1, 'option "ignore_eos" must be of type boolean'),
        ("logit_bias", {"the": 1.0}, 'option "logit_bias" must map token numbers to numbers'),
        ("logit_bias", {"1": "x"}, 'option "logit_bias" must be of type float32'),
        ("stop", "x", 'option "stop" must be of type array'),
        ("stop", ["x", 1], 'option "stop" must be of an array of strings'),
    ],
)
def test_a_value_of_another_type_is_an_error_wherever_it_stands(name: str, value: object, text: str) -> None:
    for parameters, request in (({name: value}, {}), ({}, {name: value})):
        with pytest.raises(OptionError) as error:
            merge(parameters, request)
        assert error.value.message == text
