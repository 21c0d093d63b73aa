"""Elementwise functions: NumPy's values, kinks and ties, operators of variables, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Tape, value_and_gradients

X = np.array([-2.0, -0.5, 0.0, 0.5, 3.0])


@pytest.mark.parametrize("name", ["exp", "sin", "cos", "absolute"])
@pytest.mark.parametrize("x", [X, X.astype("f4"), X + 1j])
def test_values_are_those_of_numpy(name, x):
    found = getattr(P, name)(x)
    np.testing.assert_array_equal(found, getattr(np, name)(x))
    assert found.dtype == getattr(np, name)(x).dtype


def test_two_arguments_are_those_of_numpy():
    np.testing.assert_array_equal(P.maximum(X, X[:, None]), np.maximum(X, X[:, None]))
    np.testing.assert_array_equal(P.minimum(X, 0.25), np.minimum(X, 0.25))
    np.testing.assert_array_equal(P.clip(X, a_min=-1.0), np.clip(X, -1, None))
    np.testing.assert_array_equal(P.where(X > 0, X, -1.0), np.where(X > 0, X, -1))
    assert np.isnan(P.maximum(np.array([np.nan]), 1.0)).all()


def gradient(f, x=X):
    return value_and_gradients(lambda v: f(v).sum(), x)[1].tolist()


def test_gradients_at_kinks():
    assert gradient(P.absolute) == [-1, -1, 0, 1, 1]
    assert gradient(lambda x: P.maximum(x, 0.0)) == [0, 0, 0.5, 1, 1]
    assert gradient(lambda x: P.minimum(x, np.zeros(5))) == [1, 1, 0.5, 0, 0]
    assert gradient(lambda x: P.clip(x, a_min=-0.5, a_max=0.5)) == [0, 1, 1, 1, 0]
    assert gradient(P.absolute, np.array([0j, 3 + 4j])) == [0, pytest.approx(0.6 + 0.8j, rel=1e-15)]


def test_a_guarded_where_has_finite_gradients():
    def f(x):
        positive = x.value > 0
        return P.where(positive, P.log(P.where(positive, x, 1.0)), 0.0)

    assert gradient(f) == [0, 0, 0, 2, pytest.approx(1 / 3)]


def test_refusals():
    z = Tape().watch(X + 1j)
    cases = [
        (lambda: P.maximum(z, X), DTypeError, "maximum of complex numbers"),
        (lambda: P.minimum(X, 1j), DTypeError, "minimum: b is 1j"),
        (lambda: P.clip(z, a_min=0.0), DTypeError, "clip of complex"),
        (lambda: P.relu(z), DTypeError, "relu of complex"),
        (lambda: P.maximum(X, X[:3]), ShapeError, "maximum of shapes"),
        (lambda: P.clip(X, a_min=1.0, a_max=0.0), InvalidValueError, "a_min is above a_max"),
        (lambda: P.clip(X, a_min=np.zeros((2, 1))), ShapeError, "expected bounds that fit x"),
        (lambda: P.where(X, X, X), DTypeError, "expected booleans"),
        (lambda: P.where(X > 0, X, X[:2]), ShapeError, "where of shapes"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
