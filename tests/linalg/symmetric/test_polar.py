"""Rotation and stretch, the nearest rotation, their gradients, and matrices whose rotation is not unique."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.linalg import polar as scipy_polar
from scipy.spatial.transform import Rotation
from symmetric_cases import rotation

import sci
from sci.errors import InvalidValueError
from sci.linalg import polar
from sci.linalg.symmetric.polar import polar_vjp

RNG = np.random.default_rng(4)


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with sci.options(kernels=request.param):
        yield


def with_singular_values(values: tuple[float, ...], sign: float, seed: int) -> np.ndarray:
    """Return a matrix with chosen singular values and sign of the determinant."""
    left, right = rotation(len(values), seed), rotation(len(values), seed + 100)
    left[:, 0] *= sign * np.sign(np.linalg.det(left) * np.linalg.det(right))
    return (left * values) @ right.T


VALUES = ((3.0, 2.0, 0.5), (2.0, 2.0, 0.5), (1.0, 1.0, 1.0), (2.0, 2.0 - 1e-9, 2.0 - 1e-13), (5.0, 1.0, 1e-6))
A = np.array([with_singular_values(v, s, k) for k, v in enumerate(VALUES) for s in (1.0, -1.0)])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_is_the_decomposition_of_scipy(n: int, dtype: type) -> None:
    a = RNG.normal(size=(2, 3, n, n)).astype(dtype)
    r, p = polar(a)
    assert r.dtype == p.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(r @ p, a, rtol=0, atol=20 * n * eps)
    np.testing.assert_allclose(r.swapaxes(-1, -2) @ r, np.broadcast_to(np.eye(n), r.shape), rtol=0, atol=20 * eps)
    np.testing.assert_array_equal(p, p.swapaxes(-1, -2))
    for k in np.ndindex(2, 3):
        expected = scipy_polar(a[k].astype(float))
        np.testing.assert_allclose(r[k], expected[0], rtol=0, atol=1e4 * eps)
        np.testing.assert_allclose(p[k], expected[1], rtol=0, atol=100 * eps)


def test_the_nearest_rotation_is_proper() -> None:
    a = np.delete(A, (5, 7), axis=0)  # the last singular values are equal
    r, p = polar(a, proper=True)
    np.testing.assert_allclose(np.linalg.det(r), 1, rtol=1e-13)
    np.testing.assert_allclose(r @ p, a, rtol=0, atol=1e-14)
    least = np.linalg.eigvalsh(p)[:, 0]
    np.testing.assert_array_equal(np.sign(least), np.sign(np.linalg.det(a)))
    points = RNG.normal(size=(20, 3))
    turned = points @ Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix().T + 0.1 * RNG.normal(size=(20, 3))
    kabsch = Rotation.align_vectors(turned, points)[0].as_matrix()
    np.testing.assert_allclose(polar(turned.T @ points, proper=True)[0], kabsch, rtol=0, atol=1e-13)


def test_points_in_a_plane_have_a_nearest_rotation() -> None:
    points = RNG.normal(size=(20, 3)) * (1, 1, 0)
    turn = Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix()
    covariance = (points @ turn.T).T @ points
    np.testing.assert_allclose(polar(covariance, proper=True)[0], turn, rtol=0, atol=1e-13)
    with pytest.raises(InvalidValueError, match=r"rotation of matrix 1 is not unique: its smallest singular value"):
        polar(np.array([np.eye(3), covariance]))


def test_a_rotation_that_is_not_unique_is_refused() -> None:
    line = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 1.0])
    tied = with_singular_values((3.0, 1.0, 1.0), -1.0, 3)
    for bad in (line, tied, np.zeros((3, 3))):
        with pytest.raises(InvalidValueError, match="the rotation of the matrix is not unique"):
            polar(bad, proper=True)
    polar(tied)


@pytest.mark.parametrize("unit", [2.0**-660, 2.0**660])
@pytest.mark.parametrize("proper", [False, True])
def test_units_change_nothing(unit: float, proper: bool) -> None:
    a = A[[0, 1, 2, 8, 9]]
    g, h = RNG.normal(size=(2, *a.shape))
    r, p = polar(a, proper=proper)
    found = polar(a * unit, proper=proper)
    np.testing.assert_array_equal(found[0], r)
    np.testing.assert_array_equal(found[1], p * unit)
    gradient = polar_vjp(a * unit, g, h / unit, proper=proper)
    np.testing.assert_allclose(gradient * unit, polar_vjp(a, g, h, proper=proper), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("proper", [False, True])
def test_gradients_are_those_of_central_differences(proper: bool) -> None:
    """Equal singular values too; where the determinant is negative, a proper rotation needs the last ones apart."""
    a = A[[0, 1, 2, 3, 4, 6]] if proper else A[:8]
    g, h, e = RNG.normal(size=(3, *a.shape))
    step = 1e-5
    up, down = (polar(a + s * step * e, proper=proper) for s in (1, -1))
    change = ((up[0] - down[0]) * g + (up[1] - down[1]) * h).sum(axis=(1, 2)) / (2 * step)
    gradient = polar_vjp(a, g, h, proper=proper)
    size = np.sqrt((gradient**2).sum(axis=(1, 2)) * (e**2).sum(axis=(1, 2)))
    assert (abs(change - (gradient * e).sum(axis=(1, 2))) < 1e-7 * size).all()
    parts = polar_vjp(a, g, None, proper=proper) + polar_vjp(a, None, h, proper=proper)
    np.testing.assert_allclose(parts, gradient, rtol=0, atol=1e-13 * size.max())


@pytest.mark.parametrize("where", [0, 15, 16, 36])
def test_one_bad_matrix_of_a_batch_is_found(where: int) -> None:
    a = np.array([with_singular_values((3.0, 2.0, 0.5), (-1.0) ** k, k) for k in range(37)])
    flat, bad = a.copy(), a.copy()
    flat[where] = np.diag([1.0, 0.0, 1.0])
    bad[where, 0, 2] = np.nan
    for call in (lambda x: polar(x), lambda x: polar_vjp(x, a, None)):
        with pytest.raises(InvalidValueError, match=f"rotation of matrix {where} is not unique"):
            call(flat)
        with pytest.raises(InvalidValueError, match=rf"matrices holds 1 values .* index \({where}, 0, 2\)"):
            call(bad)
    with pytest.raises(InvalidValueError, match=rf"dstretch holds 1 values .* index \({where}, 0, 2\)"):
        polar_vjp(a, a, bad)
    np.testing.assert_allclose(np.linalg.det(polar(flat, proper=True)[0]), 1, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_bits_of_a_result_do_not_depend_on_the_other_matrices(dtype: type) -> None:
    a = np.random.default_rng(1).normal(size=(150, 3, 3)).astype(dtype)
    expected = polar(a, proper=True)
    for rows in (slice(1), slice(5), slice(3, 70), slice(None, None, -1), slice(7, None, 3)):
        for found, whole in zip(polar(a[rows], proper=True), expected):
            np.testing.assert_array_equal(found, whole[rows])


def test_empty_batches() -> None:
    empty = np.empty((0, 3, 3))
    assert [r.shape for r in (*polar(empty), polar_vjp(empty, empty, empty))] == [(0, 3, 3)] * 3
