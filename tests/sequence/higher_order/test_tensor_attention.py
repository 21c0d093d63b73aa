"""Tensor attention on one rank: gradients, precision, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from tensor_oracle import tensor_arrays, tensor_dense

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Tape
from sci.sequence import (
    tensor_attention,
)


@pytest.mark.parametrize("options", [{}, {"scale": 0.7}, {"method": "polynomial", "tol": 0.05}])
def test_gradients_are_central_differences(options: dict) -> None:
    given = [np.stack([a, -a]) for a in tensor_arrays((9, 10, 11), 2, size=0.4)[:5]]
    options = {**options, "bound": 0.5} if "method" in options else options
    assert_vjp(tensor_attention, given, **options)


def test_a_pair_on_the_tape() -> None:
    *given, dout = tensor_arrays((4, 5, 6), 3)
    variables = Tape().watch(list(given))
    tensor_attention(*variables).backward(dout)
    for variable, want in zip(variables, tensor_dense(*given, 1 / 3, dout)[1]):
        np.testing.assert_allclose(variable.gradient, want, rtol=1e-10, atol=1e-14)


def test_single_precision_and_bad_input() -> None:
    given = tensor_arrays((6, 7, 8), 3)[:5]
    single = [a.astype("f4") for a in given]
    for method in ("exact", "polynomial"):
        out = tensor_attention(*single, method=method, tol=0.3)
        assert out.dtype == np.float32
    np.testing.assert_allclose(tensor_attention(*single), tensor_attention(*given), rtol=0, atol=3e-6)
    half = [a.astype("f2") for a in given]
    with pytest.raises(InvalidValueError, match="exceeds the range of float16"):
        tensor_attention(*half[:3], *(1e4 + half[i] for i in (3, 4)))
    q, k1, k2, v1, v2 = given
    for error, says, call in (
        (ShapeError, "pairs of one shape", lambda: tensor_attention(q, k1, k2, v2, v1)),
        (ShapeError, "the same d", lambda: tensor_attention(q[:, :2], k1, k2, v1, v2)),
        (ShapeError, "no keys", lambda: tensor_attention(q, k1[:0], k2, v1[:0], v2)),
        (DTypeError, "q has dtype int64", lambda: tensor_attention(q.astype(int), k1, k2, v1, v2)),
        (InvalidValueError, "method is 'magic'", lambda: tensor_attention(*given, method="magic")),
        (InvalidValueError, "v2 holds", lambda: tensor_attention(q, k1, k2, v1, np.nan * v2)),
        (InvalidValueError, "scores overflow", lambda: tensor_attention(*(1e200 * a for a in given))),
        (ShapeError, "dout has shape", lambda: tensor_attention.vjp(k1, tensor_attention.forward(*given)[1])),
    ):
        with pytest.raises(error, match=says):
            call()


@pytest.mark.parametrize("options", [{}, {"precision": "float64"}, {"method": "polynomial", "tol": 1e-6}])
def test_half_precision_is_summed_in_wider_numbers(options: dict) -> None:
    """Rounding of the result alone: 2^-11; sums of 90 * 80 pairs in half precision would err by more."""
    half = [a.astype("f2") for a in tensor_arrays((30, 90, 80), 2, 0.5)]
    *given, dout = (a.astype("f8") for a in half)
    expected, gradients = tensor_dense(*given, 0.5, dout)
    out, residuals = tensor_attention.forward(*half[:5], **options)
    for found, want in zip((out, *tensor_attention.vjp(half[5], residuals)), (expected, *gradients)):
        assert found.dtype == np.float16
        assert np.abs(found - want).max() <= 6e-4 * np.abs(want).max()
