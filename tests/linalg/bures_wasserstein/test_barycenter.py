"""Barycenters against exact ones, in kernels and in array calls."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from bures_cases import definite, sets_around
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.backend import Array
from sci.errors import ConvergenceError, InvalidValueError, SciError, ShapeError
from sci.linalg import BuresWasserstein
from sci.linalg.bures_wasserstein import geometry as module

PLAIN = BuresWasserstein()


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def _kernels(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    with sci.options(kernels=request.param):
        yield


def _error(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize(("condition", "error"), [(1.0, 2e-15), (10.0, 1e-14), (1e3, 1e-13), (1e6, 1e-11)])
@pytest.mark.parametrize(("n", "k"), [(1, 3), (2, 2), (3, 27), (3, 4), (5, 6)])
def test_the_exact_barycenter(condition: float, error: float, n: int, k: int) -> None:
    center = definite((n, n), condition, n)
    found = PLAIN.barycenter(sets_around(center, k, n))
    assert _error(found.mean, center) < error
    assert float(found.error) < 10 * error
    np.testing.assert_array_equal(found.mean, found.mean.T)
    assert int(found.iterations) <= 12


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_residual_is_the_mean_of_the_logarithms(n: int) -> None:
    sets = definite((6, 9, n, n), 100.0, n)
    found = PLAIN.barycenter(sets, tol=0.01)
    logs = PLAIN.log(found.mean[:, None], sets).mean(axis=1)
    size = np.sqrt(np.trace(found.mean, axis1=1, axis2=2))
    np.testing.assert_allclose(found.residual, np.sqrt(PLAIN.inner(found.mean, logs, logs)) / size, rtol=1e-8)
    best = PLAIN.barycenter(sets)
    assert (found.iterations < best.iterations).all()
    apart = PLAIN.distance(found.mean, best.mean) / size
    assert (found.residual > 1e-9).all()
    np.testing.assert_allclose(found.error, apart, rtol=0.2)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_two_matrices_meet_on_their_geodesic(n: int) -> None:
    p, q = definite((7, n, n), 30.0, 1), definite((7, n, n), 30.0, 2)
    found = PLAIN.barycenter(np.stack([p, q], axis=1), [0.75, 0.25]).mean
    np.testing.assert_allclose(found, PLAIN.geodesic(p, q, 0.25), rtol=0, atol=1e-13)


def test_commuting_matrices_and_weights() -> None:
    values, weights = np.random.default_rng(1).random((5, 8, 3)) + 0.1, np.arange(8.0)
    exact = (np.sqrt(values) * (weights / 28)[:, None]).sum(axis=1) ** 2
    found = PLAIN.barycenter(values[..., None] * np.eye(3), weights)
    np.testing.assert_allclose(found.mean, exact[..., None] * np.eye(3), rtol=0, atol=1e-15)
    # A matrix without weight does not count, and weights count by their ratios.
    other = values.copy()
    other[:, 0] *= 1e12
    again = PLAIN.barycenter(other[..., None] * np.eye(3), np.broadcast_to(1e-200 * weights, (5, 8)))
    np.testing.assert_allclose(again.mean, found.mean, rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_one_matrix_and_equal_ones_are_their_own_mean(n: int) -> None:
    p = definite((n, n), 1e4, n)
    for k in (1, 5):
        found = PLAIN.barycenter(np.broadcast_to(p, (k, n, n)))
        assert _error(found.mean, p) < 1e-14
        assert int(found.iterations) == 1


@pytest.mark.parametrize(("dtype", "scales"), [(np.float64, (1e-200, 1e200)), (np.float32, (1e-30, 1e30))])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_units(dtype: type, scales: tuple[float, float], n: int) -> None:
    sets = definite((3, 6, n, n), 20.0, n, dtype)
    plain = PLAIN.barycenter(sets).mean
    assert plain.dtype == dtype
    for scale in scales:
        found = PLAIN.barycenter(dtype(scale) * sets)
        np.testing.assert_allclose(found.mean / dtype(scale), plain, rtol=0, atol=200 * np.finfo(dtype).eps)
    # Sets of matrices of very different units: the mean of the largest is left.
    sets[:, 1:] *= dtype(scales[0])
    found = PLAIN.barycenter(sets, np.full(6, 1 / 6))
    np.testing.assert_allclose(found.mean, sets[:, 0] / 36, rtol=0, atol=20 * np.finfo(dtype).eps)


def test_nearly_singular_matrices_in_all_directions() -> None:
    sets = definite((40, 5, 3, 3), 1e9, 4)
    found = PLAIN.barycenter(sets)
    assert (found.error < 1e-8).all()
    assert int(found.iterations.max()) < 60
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    again = PLAIN.barycenter(turned @ sets @ turned.T).mean
    np.testing.assert_allclose(turned.T @ again @ turned, found.mean, rtol=0, atol=1e-8 * abs(found.mean).max())


@pytest.mark.parametrize(("n", "k", "condition"), [(3, 200, 2.0), (8, 3, 10.0), (10, 40, 1e4), (16, 6, 1e8)])
def test_rounding_is_reached_at_every_size(n: int, k: int, condition: float) -> None:
    sets = definite((20, k, n, n), condition, n)
    sets[1] = np.eye(n)
    weights = np.random.default_rng(n).random((20, k)) ** 4
    found = PLAIN.barycenter(sets, weights)
    assert int(found.iterations.max()) <= 25
    assert (found.residual < 1e-14 * condition**0.5).all()


def test_batches_and_empty_ones() -> None:
    sets = definite((2, 3, 4, 2, 2), 5.0, 1)
    found = PLAIN.barycenter(sets)
    assert found.mean.shape == (2, 3, 2, 2)
    assert found.residual.shape == found.error.shape == found.iterations.shape == (2, 3)
    np.testing.assert_allclose(found.mean[1, 2], PLAIN.barycenter(sets[1, 2]).mean, rtol=0, atol=1e-14)
    empty = PLAIN.barycenter(sets[:0])
    assert empty.mean.shape == (0, 3, 2, 2)
    assert repr(empty) == "Barycenter(0 means of order 2)"
    with pytest.raises(ShapeError, match="k at least 1"):
        PLAIN.barycenter(sets[:, :, :0])
    with pytest.raises(ShapeError, match=r"weights have shape \(3,\); expected \(4,\) or \(2, 3, 4\)"):
        PLAIN.barycenter(sets, [1.0, 1.0, 1.0])


def test_sets_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sets, weights = definite((7, 2, 5, 3, 3), 5.0, 1), np.random.default_rng(1).random((7, 2, 5))
    whole = PLAIN.barycenter(sets, weights)
    monkeypatch.setattr(module, "_PART", (3 * sets[0].nbytes, 0))
    found, again = PLAIN.barycenter(sets, weights), PLAIN.barycenter(sets, weights[0, 0]).mean
    for name in ("mean", "residual", "error", "iterations"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=0, atol=1e-14)
    np.testing.assert_allclose(again[6], PLAIN.barycenter(sets[6], weights[0, 0]).mean, rtol=0, atol=1e-14)
    with pytest.raises(ShapeError, match=r"weights have shape \(6, 2, 5\); expected \(7, 2, 5\)"):
        PLAIN.barycenter(sets, weights[:6])
    sets[4, 1, 2] = -np.eye(3)
    with pytest.raises(InvalidValueError, match=r"matrices\[3:6\]: matrix \(1, 1, 2\) is not positive definite"):
        PLAIN.barycenter(sets, weights)


def test_views_are_not_copied_all_at_once() -> None:
    sets = definite((1, 400, 27, 3, 3), 5.0, 2)
    views = np.broadcast_to(sets, (200, *sets.shape[1:]))  # 155 MB, had they memory of their own
    with sci.options(kernels="compiled"):
        tracemalloc.start()
        found = PLAIN.barycenter(views)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert found.mean.shape == (200, 400, 3, 3)
    assert peak < 75e6


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_matrix_that_is_not_positive_definite_is_named(n: int) -> None:
    sets = definite((2, 20, 4, n, n), 5.0, 1)
    for value in (0.0, -0.5, 1e-20):
        bad = sets.copy()
        bad[1, 17, 2] = np.diag([value, *np.ones(n - 1)]) if n > 1 else min(value, 0.0)
        with pytest.raises(InvalidValueError, match=r"matrices: matrix \(1, 17, 2\) is .*smallest eigenvalue is"):
            PLAIN.barycenter(bad)
    bad = sets.copy()
    bad[0, 3, 1, 0, 0] = np.nan
    with pytest.raises(InvalidValueError, match=r"matrices .*\(0, 3, 1, 0, 0\)"):
        PLAIN.barycenter(bad)


def test_an_iteration_that_does_not_reach_its_residual() -> None:
    sets = definite((2, 30, 5, 3, 3), 1e3, 1)
    with pytest.raises(ConvergenceError, match=r"set \(0, 0\) .* residual of .* after 2 iterations; expected 1"):
        PLAIN.barycenter(sets, maxiter=2)
    for wrong in (0.0, -1.0, 1.0, np.nan):
        with pytest.raises(InvalidValueError, match="tol is"):
            PLAIN.barycenter(sets, tol=wrong)
    with pytest.raises(InvalidValueError, match="maxiter is 0"):
        PLAIN.barycenter(sets, maxiter=0)
    with pytest.raises(InvalidValueError, match="negative"):
        PLAIN.barycenter(sets, [1.0, 1.0, 1.0, 1.0, -1.0])
    with pytest.raises(InvalidValueError, match="all 0"):
        PLAIN.barycenter(sets, np.zeros(5))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
def test_sets_close_to_one_matrix_end_at_rounding(n: int) -> None:
    noise = 1e-4 * np.random.default_rng(n).normal(size=(300, 7, n, n))
    found = PLAIN.barycenter(np.eye(n) + noise + noise.swapaxes(-1, -2), maxiter=25)
    assert float(found.error.max()) < 1e-14


@pytest.mark.parametrize("counts", [(4, 3), (1, 6), (7, 0)])
@pytest.mark.parametrize("n", [2, 5])
def test_sets_that_lie_on_two_ranks(n: int, counts: tuple[int, int]) -> None:
    """Weights, a metric and a power; a rank may have none of the matrices. All ranks get the same bits."""
    sets, weights = definite((3, 7, n, n), 100.0, 5), np.arange(1.0, 8.0)
    bounds = (0, counts[0], 7)
    for geometry in (BuresWasserstein(), BuresWasserstein(definite((n, n), 3.0, 6), 0.5)):
        for given in (None, weights):
            expected = geometry.barycenter(sets, given)

            def body(comm: ThreadComm, geometry: Any = geometry, given: Any = given) -> Any:
                here = slice(bounds[comm.rank], bounds[comm.rank + 1])
                return geometry.barycenter(sets[:, here], None if given is None else given[here], comm=comm)

            first, second = on_ranks(2, body)
            assert first.mean.tobytes() == second.mean.tobytes()
            assert (first.residual < 1e-13).all()
            np.testing.assert_allclose(first.mean, expected.mean, rtol=1e-11, atol=1e-12)


def test_refusals_of_one_rank_are_those_of_all() -> None:
    sets = definite((4, 3, 3), 10.0, 7)
    bad = sets * np.array([1.0, 1.0, 1.0, -1.0])[:, None, None]

    def message(comm: ThreadComm, x: Array, weights: Array | None = None) -> str:
        here = slice(2 * comm.rank, 2 * comm.rank + 2)
        with pytest.raises(SciError) as caught:
            BuresWasserstein().barycenter(x[here], None if weights is None else weights[here], comm=comm)
        return str(caught.value)

    first, second = on_ranks(2, lambda comm: message(comm, bad))
    assert "matrix 1 is not positive definite" in second
    assert first == f"rank 1: {second}"
    first, second = on_ranks(2, lambda comm: message(comm, sets, np.zeros(4)))
    assert first == second
    assert "are all 0" in first
    first, second = on_ranks(2, lambda comm: message(comm, sets[:0]))
    assert first == second
    assert "k at least 1" in first
