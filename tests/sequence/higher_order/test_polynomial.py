"""The polynomial of tensor attention: its degree, its errors, its refusal."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import tensor_arrays, tensor_dense

from sci.errors import InvalidValueError
from sci.sequence import (
    polynomial_degree,
    polynomial_rank,
    tensor_attention,
)
from sci.sequence.higher_order import polynomial as tensor_polynomial


def test_degrees_and_ranks_are_those_of_the_rule() -> None:
    """The table of the method's description, for 1e-3 and 1e-6."""
    radii = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    assert [polynomial_degree(r, 1e-3) for r in radii] == [2, 3, 5, 7, 12, 21]
    assert [polynomial_degree(r, 1e-6) for r in radii] == [4, 6, 7, 10, 15, 24]
    assert [polynomial_rank(4, g) for g in (2, 3, 5, 7, 12, 21)] == [15, 35, 126, 330, 1820, 12650]


@pytest.mark.parametrize("size", [0.3, 0.9])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-7])
def test_the_error_stays_below_the_tolerance(size: float, tol: float) -> None:
    *given, dout = tensor_arrays((60, 61, 62), 2, size)
    expected, gradients = tensor_dense(*given, 0.5, dout)
    out, residuals = tensor_attention.forward(*given, method="polynomial", tol=tol, bound=size)
    largest = np.abs(given[3]).max() * np.abs(given[4]).max()
    assert np.abs(out - expected).max() <= 2 * tol / (1 - tol) * largest + 1e-13
    for found, want in zip(tensor_attention.vjp(dout, residuals), gradients):
        assert np.abs(found - want).max() <= 50 * tol * np.abs(want).max() + 1e-12


def test_a_useless_or_wrong_polynomial_is_refused() -> None:
    given = tensor_arrays((30, 30, 30), 4)[:5]
    for says, factor, options in (
        ("beyond bound=0.5", 1.0, {"bound": 0.5}),
        ("dearer than method='exact'", 1.0, {"tol": 1e-9}),
        ("rounding errors above tol", 3.0, {"tol": 1e-3}),
        ("rounding errors above tol", 1e3, {"tol": 1e-3}),
        ("0 < tol < 1", 1.0, {"tol": 2.0}),
    ):
        with pytest.raises(InvalidValueError, match=says):
            tensor_attention(*(factor * a for a in given), method="polynomial", **options)


def test_blocks_of_tokens_do_not_change_the_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    *given, dout = tensor_arrays((100, 33, 65), 3, 0.5)
    out, residuals = tensor_attention.forward(*given, method="polynomial", tol=1e-3)
    gradients = tensor_attention.vjp(dout, residuals)
    monkeypatch.setattr(tensor_polynomial, "_SCRATCH", 1)
    again, residuals = tensor_attention.forward(*given, method="polynomial", tol=1e-3)
    np.testing.assert_allclose(again, out, rtol=1e-13)
    for found, want in zip(tensor_attention.vjp(dout, residuals), gradients):
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-13 * np.abs(want).max())
