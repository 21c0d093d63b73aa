"""Exact transport against the dual of its linear program, in any unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from sci.ensembles import exact_transport
from sci.errors import ConvergenceError, InvalidValueError

RNG = np.random.default_rng(8)
X, Y = RNG.random((23, 3)), RNG.random((31, 3)) + 0.2
A, B = (w / w.sum() for w in (RNG.random(23) + 0.1, RNG.random(31) + 0.1))


def test_exact_transport_is_that_of_a_linear_program() -> None:
    cost = cdist(X, Y, "sqeuclidean")
    value, plan = exact_transport(cost, a=A, b=B)
    np.testing.assert_allclose(plan.sum(axis=1), A, atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=0), B, atol=1e-12)
    # The dual: no value is larger than the plan's.
    dual = np.concatenate([A, B])
    rows = np.array([[*np.eye(23)[i], *np.eye(31)[j]] for i in range(23) for j in range(31)])
    best = linprog(-dual, A_ub=rows, b_ub=cost.ravel(), bounds=(None, None)).fun
    np.testing.assert_allclose(value, -best, rtol=1e-9)
    square = cdist(X, Y[:23], "sqeuclidean")
    np.testing.assert_allclose(exact_transport(square)[0], exact_transport(square, a=np.full(23, 1 / 23))[0], rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-9, 1e-6, 1e300])
def test_the_unit_of_weights_and_costs_does_not_matter(unit: float) -> None:
    cost, a, b = RNG.random((3, 4)), np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.2, 0.3, 0.4])
    value, plan = exact_transport(cost, a=a, b=b)
    np.testing.assert_allclose(exact_transport(cost, a=unit * a, b=unit * b)[1], unit * plan, rtol=1e-9, atol=0)
    np.testing.assert_allclose(exact_transport(unit * cost, a=a, b=b)[0], unit * value, rtol=1e-9)


def test_weights_of_zero_and_of_single_precision() -> None:
    cost, a = RNG.random((3, 4)), np.array([0.2, 0.3, 0.5], "f4")
    b = np.array([0.0, 0.3, 0.3, 0.4], "f4")
    _, plan = exact_transport(cost, a=a, b=b)
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-7)
    assert (plan[:, 0] == 0).all()


def test_digits_that_a_linear_program_does_not_have_are_an_error() -> None:
    cost, a, b = RNG.random((3, 4)), np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.2, 0.3, 0.4])
    cost[0, 0] = 1e12
    with pytest.raises(ConvergenceError, match="smaller numbers for forbidden pairs"):
        exact_transport(cost, a=a, b=b)
    cost[0, 0] = 10
    assert exact_transport(cost, a=a, b=b)[1][0, 0] == 0


def test_a_set_transported_to_itself_costs_nothing() -> None:
    cost = cdist(X, X, "sqeuclidean")
    assert abs(exact_transport(cost, a=A, b=A)[0]) < 1e-12


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: exact_transport(np.ones((2, 2)), a=np.array([1.0, -1.0])), InvalidValueError, "weights from -1"),
        (lambda: exact_transport(np.ones((2000, 2000))), InvalidValueError, "use sinkhorn for more"),
        (lambda: exact_transport(np.ones((2, 2)) * np.nan), InvalidValueError, "NaN"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
