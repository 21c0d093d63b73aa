"""Free and shifted weights: derivatives, changes and back, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from map_gradients import drawn, gradient_error

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import FreeWeight, ShiftedWeight, WeightChange

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_a_shifted_weight_moves_along_its_direction(dtype: str) -> None:
    weight, direction = (drawn(dtype, (3, 4)) for _ in "ab")
    weight_map = ShiftedWeight(weight, direction)
    np.testing.assert_array_equal(weight_map.fold(weight_map.start()), weight)
    scale = np.array(0.5, weight.real.dtype)
    moved = weight_map.fold({"scale": scale})
    assert moved.dtype == weight.dtype
    np.testing.assert_allclose(moved, weight + 0.5 * direction, rtol=1e-6)
    if dtype in ("f8", "c16"):
        assert gradient_error(weight_map, {"scale": scale}) < 1e-8
    again, arrays = ShiftedWeight.from_change(weight, weight_map.change({"scale": scale}))
    np.testing.assert_array_equal(again.fold(arrays), moved)
    assert weight_map.nbytes == direction.nbytes


def test_a_free_weight_is_itself() -> None:
    weight = RNG.normal(size=(3, 4))
    weight_map = FreeWeight(weight)
    assert gradient_error(weight_map, weight_map.start()) < 1e-8
    again, arrays = FreeWeight.from_change(weight, weight_map.change({"value": 2 * weight}))
    np.testing.assert_array_equal(again.fold(arrays), 2 * weight)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FreeWeight(np.arange(3)), DTypeError, "dtype int64"),
        (lambda: FreeWeight(np.array([np.nan])), InvalidValueError, "index"),
        (lambda: ShiftedWeight(np.ones(3), np.ones(2)), ShapeError, r"direction has shape \(2,\)"),
        (lambda: ShiftedWeight(np.ones(2), np.ones(2) * 1j), ShapeError, "complex128"),
        (lambda: FreeWeight(np.ones(3)).fold({"value": np.ones(2)}), ShapeError, "the array value"),
        (lambda: FreeWeight(np.ones(3)).fold({"v": np.ones(3)}), InvalidValueError, "expected .'value'."),
        (lambda: WeightChange("a b", {}), InvalidValueError, "kind"),
        (lambda: WeightChange("free", {"a.b": np.ones(1)}), InvalidValueError, "'a.b'"),
        (lambda: WeightChange("free", {"value": np.ones(1, "f2")}), DTypeError, "float16"),
        (lambda: WeightChange("free", {"value": np.array([np.inf])}), InvalidValueError, "value"),
        (lambda: FreeWeight.from_change(np.ones(1), WeightChange("free", {})), InvalidValueError, "no array value"),
    ],
)
def test_what_does_not_fit_is_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
