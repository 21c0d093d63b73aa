"""Operators of variables and duals, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.nn import Tape, directional_derivatives, value_and_gradients, value_of
from sci.nn.core.dual import Dual


def gradient(f, x):
    return value_and_gradients(lambda v: f(v).sum(), x)[1].tolist()


def test_operators():
    x = Tape().watch(np.array([-1.0, 2.0]))
    np.testing.assert_allclose((2**x).value, [0.5, 4], rtol=1e-15)
    np.testing.assert_array_equal(abs(x).value, [1, 2])
    assert gradient(lambda x: 2.0**x, np.array([3.0])) == [pytest.approx(8 * np.log(2))]
    cases = [
        (lambda: x**x, DTypeError, r"exp\(exponent \* log\(x\)\)"),
        (lambda: (-2.0) ** x, InvalidValueError, "expected a positive number"),
        (lambda: "a" ** x, InvalidValueError, "expected a positive number"),
        (lambda: abs(x) < 1, DTypeError, "no comparisons"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


def test_every_operator_works_on_duals_and_beside_variables():
    """The same polynomial by operators on plain arrays, duals, and duals of variables."""
    w, x = np.array([[2.0, 1.0]]), np.array([[0.5], [3.0]])

    def f(w, x):
        y = ((3.0 - x) / 2.0 + x * w.T - (-x) ** 2) / (1.0 + abs(w.T)) + 2.0**x
        return (+y[0] + (w @ y).reshape(1)).sum() + y.mean(axis=0, keepdims=True).T[0, 0]

    plain = directional_derivatives(lambda x: f(w, x), x, np.ones_like(x), order=2)
    h = 1e-4
    ends = [f(w, x + s * h) for s in (-1, 0, 1)]
    np.testing.assert_allclose(plain[1], (ends[2] - ends[0]) / (2 * h), rtol=1e-7)
    np.testing.assert_allclose(plain[2], (ends[2] - 2 * ends[1] + ends[0]) / h**2, rtol=1e-6)
    variable = Tape().watch(w)
    recorded = directional_derivatives(lambda x: f(variable, x), x, np.ones_like(x), order=2)
    assert [float(value_of(a)) for a in recorded] == [float(a) for a in plain]
    recorded[2].backward()
    assert np.isfinite(variable.gradient).all()


def test_a_dual_prints_its_shape_and_has_the_properties_of_an_array():
    seen = []
    directional_derivatives(lambda x: seen.append(x) or x * 1.0, np.ones((2, 3), "f4"), np.ones(3))
    (dual,) = seen
    assert isinstance(dual, Dual)
    assert (repr(dual), dual.shape, dual.ndim, dual.size, len(dual)) == (
        "Dual(shape=(2, 3), dtype=float32)",
        (2, 3),
        2,
        6,
        2,
    )
    np.testing.assert_array_equal(value_of(dual), np.ones((2, 3)))
    for refuse in (lambda: dual == dual, lambda: bool(dual), lambda: np.asarray(dual), lambda: Tape().watch(dual)):
        with pytest.raises(DTypeError):
            refuse()
