"""The map between two matrices: relative accuracy where they are close, in any unit."""

from __future__ import annotations

import numpy as np
import pytest
from bures_cases import definite, exact_distance, tangent

from sci.linalg import BuresWasserstein, symmetric_eigen
from sci.linalg.bures_wasserstein.displacement import displacement, in_basis, norm, root_of, sums_of

EPS = np.finfo(float).eps


def _between(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    start = symmetric_eigen(p)
    move = displacement(start, symmetric_eigen(q), q - p)
    return start.vectors @ move @ start.vectors.swapaxes(-1, -2)


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_the_map_moves_one_matrix_to_the_other(n: int) -> None:
    p, q = definite((5, n, n), 50.0, 1), definite((5, n, n), 50.0, 2)
    move = np.eye(n) + _between(p, q)
    inner = displacement(symmetric_eigen(p), symmetric_eigen(q), q - p)
    np.testing.assert_array_equal(inner, inner.swapaxes(-1, -2))
    assert (np.linalg.eigvalsh(move) > 0).all()
    np.testing.assert_allclose(move @ p @ move, q, rtol=0, atol=1e-12)


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e6])
@pytest.mark.parametrize("apart", [1.0, 1e-3, 1e-6, 1e-9, 1e-12])
def test_distances_of_close_matrices_in_many_digits(condition: float, apart: float) -> None:
    """The formula of traces is off by 1e-4 at 1e-6 and condition 10, and by more than all at 1e-9."""
    for seed in range(4):
        p = definite((3, 3), condition, seed)
        factor = np.eye(3) + apart * np.random.default_rng(seed).normal(size=(3, 3))
        q = factor @ p @ factor.T
        q = (q + q.T) / 2
        exact = exact_distance(p, q)
        found = float(BuresWasserstein().distance(p, q))
        # What is left of the difference of the smallest eigenvalues, which carry rounding of the largest.
        assert abs(found - exact) <= 20 * EPS * max(condition**0.5, condition * 1e-3 / max(apart, 1e-12) * 1e-6) * exact


@pytest.mark.parametrize("condition", [10.0, 1e6])
def test_distances_in_the_directions_of_small_eigenvalues(condition: float) -> None:
    for seed in range(4):
        p = definite((3, 3), condition, seed)
        q = p + 1e-3 * condition**-0.5 * tangent((3, 3), seed)
        assert float(BuresWasserstein().distance(p, q)) == pytest.approx(exact_distance(p, q), rel=4 * EPS * condition)


def test_equal_matrices_do_not_move() -> None:
    p = definite((4, 5, 5), 1e6, 3)
    assert not _between(p, p.copy()).any()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_units_of_one_or_of_both(scale: float) -> None:
    p, q = definite((3, 3), 20.0, 5), definite((3, 3), 20.0, 6)
    np.testing.assert_allclose(_between(scale * p, scale * q), _between(p, q), rtol=0, atol=1e-13)
    far = _between(p, scale * q)
    limit = _between(p, 1e60 * q) / 1e30 * scale**0.5 if scale > 1 else -np.eye(3)
    np.testing.assert_allclose(far, limit, rtol=1e-12, atol=1e-12 * abs(limit).max())


def test_parts() -> None:
    p, v = definite((2, 4, 4), 9.0, 7), tangent((2, 4, 4), 8)
    eigen = symmetric_eigen(p)
    root = root_of(eigen)
    np.testing.assert_allclose(root @ root.swapaxes(-1, -2), p, rtol=0, atol=1e-14)
    u = eigen.vectors
    np.testing.assert_allclose(u @ in_basis(eigen, v) @ u.swapaxes(-1, -2), v, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(sums_of(eigen)[..., 0, 1], eigen.values[..., 0] + eigen.values[..., 1])
    np.testing.assert_allclose(norm(1e200 * v), 1e200 * np.linalg.norm(v, axis=(1, 2)), rtol=1e-14)
