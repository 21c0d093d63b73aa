"""Transport against linear programs, dense iterations in logarithms, central differences, and over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from thread_ranks import ThreadComm, on_ranks

from sci.ensembles import exact_transport, sinkhorn, sinkhorn_divergence
from sci.errors import ConvergenceError, InvalidValueError, SciError

RNG = np.random.default_rng(8)
X, Y = RNG.random((23, 3)), RNG.random((31, 3)) + 0.2
A, B = (w / w.sum() for w in (RNG.random(23) + 0.1, RNG.random(31) + 0.1))


def _dense(x: Any, y: Any, a: Any, b: Any, reg: float, rho: float = np.inf, steps: int = 20000) -> tuple[Any, float]:
    """Plan and value by the textbook iteration on the matrix of costs."""
    cost, f, g = cdist(x, y, "sqeuclidean"), np.zeros(len(x)), np.zeros(len(y))
    damping = 1.0 if rho == np.inf else rho / (rho + reg)
    for _ in range(steps):
        f, last = -damping * reg * logsumexp(np.log(b) + (g - cost) / reg, axis=1), f
        g = -damping * reg * logsumexp(np.log(a)[:, None] + (f[:, None] - cost) / reg, axis=0)
        if np.abs(f - last).max() < 1e-14:
            break
    plan = a[:, None] * b * np.exp((f[:, None] + g - cost) / reg)

    def kl(p: Any, q: Any) -> float:
        return float((p * np.log(p / q) - p + q).sum())

    product = a[:, None] * b
    value = (plan * cost).sum() + reg * (plan * np.log(plan / product) - plan + product).sum()
    if rho < np.inf:
        value += rho * (kl(plan.sum(axis=1), a) + kl(plan.sum(axis=0), b))
    return plan, float(value)


@pytest.mark.parametrize("reg", [1.0, 0.1, 0.02])
def test_the_plan_is_that_of_the_dense_iteration(reg: float) -> None:
    plan, value = _dense(X, Y, A, B, reg)
    found = sinkhorn(X, Y, reg, a=A, b=B, tol=1e-10, maxiter=20000)
    np.testing.assert_allclose(found.value, value, rtol=1e-9)
    np.testing.assert_allclose(found.barycenters, plan @ Y / plan.sum(axis=1, keepdims=True), atol=1e-8)
    np.testing.assert_allclose(found.mass, A, rtol=1e-9)


@pytest.mark.parametrize("rho", [0.05, 1.0])
def test_unbalanced_transport_is_that_of_the_dense_iteration(rho: float) -> None:
    a, b = 2.0 * A, 0.7 * B
    plan, value = _dense(X, Y, a, b, 0.05, rho)
    found = sinkhorn(X, Y, 0.05, a=a, b=b, unbalanced=rho, tol=1e-11)
    np.testing.assert_allclose(found.value, value, rtol=1e-8)
    np.testing.assert_allclose(found.mass, plan.sum(axis=1), rtol=1e-7)


def test_a_small_regularization_gives_the_exact_value() -> None:
    """exp(-cost / reg) is zero in float64 for nearly all pairs here; the plan still has all its mass."""
    value, _ = exact_transport(cdist(X, Y, "sqeuclidean"), a=A, b=B)
    found = sinkhorn(X, Y, 1e-3, a=A, b=B, tol=1e-4, maxiter=50000)
    np.testing.assert_allclose(found.mass.sum(), 1, rtol=1e-9)
    assert value < found.value < value + 1e-3 * np.log(23 * 31)


def test_over_relaxation_takes_fewer_steps_than_the_dense_iteration() -> None:
    found = sinkhorn(X, Y, 5e-3, a=A, b=B, tol=1e-8, maxiter=20000)
    cost, f, g, error, steps = cdist(X, Y, "sqeuclidean"), np.zeros(23), np.zeros(31), 1.0, 0
    while error > 1e-8:
        f = -5e-3 * logsumexp(np.log(B) + (g - cost) / 5e-3, axis=1)
        following = -5e-3 * logsumexp(np.log(A)[:, None] + (f[:, None] - cost) / 5e-3, axis=0)
        error, steps = (B * np.abs(np.expm1((g - following) / 5e-3))).sum(), steps + 1
        g = following
    assert found.iterations < 0.6 * steps


@pytest.mark.parametrize("unbalanced", [None, 0.5])
def test_the_gradient_is_that_of_central_differences(unbalanced: float | None) -> None:
    settings = {"b": B, "unbalanced": unbalanced, "tol": 1e-11, "maxiter": 20000}
    found = sinkhorn_divergence(X, Y, 0.1, a=A, **settings)
    for i, c in ((0, 0), (7, 2)):
        step = np.zeros_like(X)
        step[i, c] = 1e-5
        low, high = (sinkhorn_divergence(X + s * step, Y, 0.1, a=A, **settings).value for s in (-1, 1))
        np.testing.assert_allclose((high - low) / 2e-5, found.by_points[i, c], rtol=1e-5, atol=1e-9)
    move = np.zeros(23)
    move[3], move[5] = 1e-5, -1e-5  # the sum stays
    low, high = (sinkhorn_divergence(X, Y, 0.1, a=A + s * move, **settings).value for s in (-1, 1))
    np.testing.assert_allclose((high - low) / 2e-5, found.by_weights[3] - found.by_weights[5], rtol=1e-5)
    if unbalanced is not None:
        move[5] = 0
        low, high = (sinkhorn_divergence(X, Y, 0.1, a=A + s * move, **settings).value for s in (-1, 1))
        np.testing.assert_allclose((high - low) / 2e-5, found.by_weights[3], rtol=1e-5)


def test_a_set_has_no_distance_from_itself_and_a_copy_that_of_the_shift() -> None:
    assert abs(sinkhorn_divergence(X, X[::-1], 0.05, tol=1e-9).value) < 1e-8
    shift = np.array([0.3, -0.1, 0.2])
    found = sinkhorn_divergence(X + shift, X, 0.05, tol=1e-9, maxiter=20000)
    np.testing.assert_allclose(found.value, shift @ shift, rtol=1e-5)
    np.testing.assert_allclose(found.by_points, np.tile(2 * shift / 23, (23, 1)), atol=1e-5)


def test_the_unit_does_not_matter() -> None:
    value = sinkhorn_divergence(X, Y, 0.1).value
    for unit in (1e-8, 1e6):
        found = sinkhorn_divergence(unit * X + 3 * unit, unit * Y + 3 * unit, 0.1 * unit**2)
        np.testing.assert_allclose(found.value / unit**2, value, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_give_the_serial_answer(size: int) -> None:
    serial = sinkhorn_divergence(X, Y, 0.05, a=A, b=B)

    def body(comm: ThreadComm) -> Any:
        own_x, own_y = (slice(comm.rank * n // size, (comm.rank + 1) * n // size) for n in (23, 31))
        return sinkhorn_divergence(X[own_x], Y[own_y], 0.05, a=A[own_x], b=B[own_y], comm=comm)

    parts = on_ranks(size, body)
    assert len({p.value for p in parts}) == 1
    np.testing.assert_allclose(parts[0].value, serial.value, rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([p.by_points for p in parts]), serial.by_points, atol=1e-6)


def test_single_precision_is_single_precision() -> None:
    found = sinkhorn_divergence(X.astype("f4"), Y.astype("f4"), 0.1, tol=1e-4)
    assert found.by_points.dtype == np.float32
    np.testing.assert_allclose(found.value, sinkhorn_divergence(X, Y, 0.1).value, rtol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sinkhorn(X, Y, 0.0), InvalidValueError, "reg 0.0"),
        (lambda: sinkhorn(X, Y, 0.1, a=-A), InvalidValueError, "negative weight"),
        (lambda: sinkhorn(X, Y, 0.1, a=2 * A), InvalidValueError, "expected equal sums, or unbalanced="),
        (lambda: sinkhorn(X, Y, 0.1, a=0 * A), InvalidValueError, "expected positive sums"),
        (lambda: sinkhorn(X, Y[:, :2], 0.1), SciError, "shape"),
        (lambda: sinkhorn(X, Y, 1e-3, maxiter=5), ConvergenceError, "raise maxiter"),
        (lambda: sinkhorn(X, Y, 0.1, unbalanced=0.0), InvalidValueError, "unbalanced is 0.0"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
