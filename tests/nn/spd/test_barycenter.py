"""Barycenters: the fixed point, its gradient, ranks; and the published fault of one step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from spd_cases import errors, root, spd, symmetric
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import split
from sci.errors import SciError, ShapeError
from sci.nn import Tape, bures_barycenter
from sci.nn.spd.barycenter import batch_mean
from sci.nn.spd.transport import lyapunov_power, optimal_map

RNG = np.random.default_rng(3)
X = spd(RNG, 7, 2, 4)


def offset(x: np.ndarray, center: np.ndarray) -> float:
    """The mean of the logarithms at the center, carried to the identity, beside the largest of them."""
    n = lyapunov_power(optimal_map(x, center) - np.eye(x.shape[-1]), center, exponent="1/2")
    return float(abs(n.mean(axis=0)).max() / abs(n).max())


@pytest.mark.parametrize("condition", [10.0, 1e3, 1e6])
def test_logarithms_at_the_barycenter_have_the_mean_zero(condition):
    x = spd(RNG, 30, 2, 5, condition=condition)
    assert offset(x, bures_barycenter(x)) < 1e-12


def test_one_step_of_the_fixed_point_is_far_off_at_condition_1e6():
    """The public code stops there; the barycenter of this one does not move under another step."""
    x = spd(RNG, 30, 1, 3, condition=1e6)

    def step(g: np.ndarray) -> np.ndarray:
        half = root(g)
        mean = root(half @ x @ half).mean(axis=0)
        inverse = np.linalg.inv(half)
        return symmetric(inverse @ mean @ mean @ inverse)

    found = bures_barycenter(x)
    first = step(x.mean(axis=0))
    assert np.linalg.norm(first - found) > 0.01 * np.linalg.norm(found)
    assert np.linalg.norm(step(found) - found) < 1e-9 * np.linalg.norm(found)


def test_matrices_that_commute_have_the_squared_mean_of_roots():
    q = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
    roots = RNG.uniform(0.1, 3.0, size=(9, 1, 4))
    x = symmetric(q * roots[..., None, :] ** 2 @ q.T)
    expected = q * roots.mean(axis=0)[..., None, :] ** 2 @ q.T
    np.testing.assert_allclose(bures_barycenter(x), expected, atol=1e-13)


@pytest.mark.parametrize("x", [X, np.eye(4) + 0 * X, np.diag([2.0, 2.0, 1.0, 1.0]) + 0 * X, X[:1]])
def test_gradients_at_repeated_eigenvalues_and_others(x):
    assert max(errors(bures_barycenter, (x,))) < 1e-8


@pytest.mark.parametrize("condition", [1e3, 1e6])
def test_gradients_of_ill_conditioned_matrices(condition):
    x = spd(RNG, 6, 1, 4, condition=condition)
    assert max(errors(bures_barycenter, (x,), 1e-3, relative=True)) < 1e-7


def test_gradients_of_no_and_of_tiny_size():
    center, residuals = bures_barycenter.forward(X)
    (one,) = bures_barycenter.vjp(symmetric(np.cos(center)), residuals)
    (tiny,) = bures_barycenter.vjp(1e-200 * symmetric(np.cos(center)), residuals)
    np.testing.assert_allclose(tiny * 1e200, one, rtol=1e-10, atol=1e-12)
    assert not bures_barycenter.vjp(0 * center, residuals)[0].any()


def test_single_precision():
    x = X.astype("f4")
    center, residuals = bures_barycenter.forward(x)
    assert center.dtype == "f4"
    (found,) = bures_barycenter.vjp(center, residuals)
    assert found.dtype == "f4"
    exact, residuals = bures_barycenter.forward(X)
    np.testing.assert_allclose(center, exact, atol=1e-5)
    np.testing.assert_allclose(found, bures_barycenter.vjp(exact, residuals)[0], atol=1e-5)


def loss_gradient(x: np.ndarray, targets: np.ndarray, comm: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The center, a mean, and the gradient of the mean over own samples of <target_i, G> + mean . x_i."""
    v = Tape().watch(x)
    center, mean = bures_barycenter(v, comm=comm), batch_mean(v, comm=comm)
    if len(x):
        loss = (targets * center + v * mean).sum() * (1 / len(x))
    else:
        loss = (targets.sum(axis=0) * (center + mean)).sum()
    loss.backward()
    return center.value, mean.value, v.gradient


@pytest.mark.parametrize("counts", [(3, 4), (6, 1), (7, 0)])
def test_two_ranks_have_the_values_and_gradients_of_one(counts):
    targets = symmetric(RNG.normal(size=X.shape))
    center, mean, gradient = loss_gradient(X, targets)
    bounds = (0, counts[0], 7)

    def body(comm: ThreadComm) -> tuple[np.ndarray, ...]:
        here = slice(bounds[comm.rank], bounds[comm.rank + 1])
        return loss_gradient(X[here], targets[here], comm)

    found = on_ranks(2, body)
    for part, count in zip(found, counts):
        np.testing.assert_allclose(part[0], center, rtol=1e-12)
        np.testing.assert_allclose(part[1], mean, rtol=1e-12)
        assert part[0].tobytes() == found[0][0].tobytes()
        assert part[2].shape[0] == count
    # Each rank's loss weighs as its samples do.
    whole = np.concatenate([part[2] * count / 7 for part, count in zip(found, counts)])
    np.testing.assert_allclose(whole, gradient, rtol=1e-10, atol=1e-12)


def test_no_samples_and_other_shapes_are_refused_on_all_ranks():
    with pytest.raises(ShapeError, match="no samples"):
        bures_barycenter(X[:0])
    with pytest.raises(ShapeError, match="no samples"):
        batch_mean(X[:0])
    with pytest.raises(ShapeError, match="4 axes"):
        bures_barycenter(X[0])

    def body(comm: ThreadComm) -> str:
        try:
            bures_barycenter(X[split(7, comm)][:, :, : 4 - comm.rank, : 4 - comm.rank], comm=comm)
        except SciError as error:
            return str(error)
        return ""

    first, second = on_ranks(2, body)
    assert first == second
    assert "x differs between ranks" in first
