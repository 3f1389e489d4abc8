"""Numbers keep their values, or the nearest ones."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.convert.numbers import Array, from_floats, recode, to_floats
from lcrt.errors import InvalidRequest

LARGEST = 3.3895313892515355e38
finite = st.floats(-LARGEST, LARGEST, width=32)


@given(st.lists(finite, min_size=1, max_size=50))
def test_bfloat_is_the_nearest_and_the_even_one_of_two(values: list[float]) -> None:
    floats = np.array(values, np.float32)
    bits = from_floats(floats, "BF16", "t")
    nearest = to_floats(bits, "BF16").astype(np.float64)
    error = np.abs(nearest - floats)
    for step in (-1, 1):
        neighbour = to_floats((bits.astype(np.int32) + step).astype(np.uint16), "BF16").astype(np.float64)
        further = np.abs(neighbour - floats)
        assert (~np.isfinite(neighbour) | (error <= further)).all()
        assert (bits[error == further] % 2 == 0).all()


def test_what_is_no_number_stays_none() -> None:
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    odd_nan = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.array_equal(to_floats(from_floats(odd, "BF16", "t"), "BF16"), odd, equal_nan=True)
    assert np.isnan(to_floats(from_floats(odd_nan, "BF16", "t"), "BF16")).all()
    assert np.array_equal(from_floats(odd, "F16", "t"), odd.astype(np.float16), equal_nan=True)


def test_a_number_that_does_not_fit_is_told_and_not_made_infinite() -> None:
    with pytest.raises(InvalidRequest, match="tensor w has numbers too large for F16"):
        from_floats(np.array([1.0, 70000.0], np.float32), "F16", "w")


def test_the_same_type_is_not_touched() -> None:
    bits = np.array([0x7F81, 0x0001, 0x8000], np.uint16)
    assert recode(bits, "BF16", "BF16", "t") is bits


@pytest.mark.parametrize(("dtype", "storage"), [("F16", np.float16), ("F32", np.float32), ("F64", np.float64)])
def test_widening_keeps_values(dtype: str, storage: npt.DTypeLike) -> None:
    values: Array = np.array([0.0, -1.5, 0.333251953125], storage)
    assert np.array_equal(to_floats(values, dtype), values)
