"""The weight compander: exact start, exact bound, derivatives, there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from map_gradients import gradient_error

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Compander

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (1.3, 0.2), (0.9, 30.0)])
def test_folding_and_unfolding(dtype: str, a: float, b: float) -> None:
    weight = np.clip(RNG.normal(size=(40, 30)), -0.99 * a * math.pi / 2, 0.99 * a * math.pi / 2).astype(dtype)
    weight_map = Compander(weight, a=a, b=b)
    folded = weight_map.fold(weight_map.start())
    assert folded.dtype == weight.dtype
    assert np.abs(folded - weight).max() <= (1e-6 if dtype == "f4" else 1e-14)
    again = Compander(folded, a=a, b=b)
    np.testing.assert_allclose(again.fold(again.start()), weight, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("a", [1.0, 0.7, 3.3])
def test_the_bound_holds_in_every_precision(dtype: str, a: float) -> None:
    weight_map = Compander(np.zeros(4, dtype), a=a)
    v = np.array([1e30, -1e30, 1e8, -3e6], dtype)
    arrays = {**weight_map.start(), "v": v}
    bound = math.exp(float(arrays["log_a"])) * math.pi / 2
    found = weight_map.fold(arrays).astype(np.float64)
    assert (np.abs(found) < bound).all()
    assert found[0] > 0.999999 * bound
    assert float(np.arctan(np.float32(1e30))) > math.pi / 2, "why it is not enough to take the arctangent"


def test_derivatives() -> None:
    weight_map = Compander(RNG.uniform(-1, 1, (6, 5)), a=1.2, b=0.4)
    assert gradient_error(weight_map, {k: v + 0.1 for k, v in weight_map.start().items()}) < 1e-7


def test_a_change_gives_the_weight_back() -> None:
    weight = RNG.uniform(-1, 1, (6, 5)).astype("f4")
    weight_map = Compander(weight, b=0.5)
    arrays = {k: v + np.float32(0.25) for k, v in weight_map.start().items()}
    again, same = Compander.from_change(weight, weight_map.change(arrays))
    np.testing.assert_array_equal(again.fold(same), weight_map.fold(arrays))


def test_refusals() -> None:
    with pytest.raises(InvalidValueError, match=r"expected a above 1\.2"):
        Compander(np.array([2.0]))
    with pytest.raises(InvalidValueError, match="b is 0"):
        Compander(np.array([1.0]), b=0.0)
    with pytest.raises(DTypeError, match="complex"):
        Compander(np.array([1j]))
    weight_map = Compander(np.ones(2))
    with pytest.raises(ShapeError, match="log_a"):
        weight_map.fold({**weight_map.start(), "log_a": np.ones(2)})
