"""Wigner matrices: harmonics of rotated vectors, orthogonality, products, reflections, degree 1, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spherical_cases import rotations, vectors

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical import SphereGrid, rotate_coefficients, spherical_harmonics, wigner_matrices
from sci.spherical.wigner import grid_points, points_and_weights

RNG = np.random.default_rng(12)


@settings(max_examples=20, deadline=None)
@given(degree=st.integers(0, 16), n=st.integers(0, 5), seed=st.integers(0, 2**32 - 1))
def test_they_rotate_harmonics_are_orthogonal_and_a_representation(degree, n, seed):
    rng = np.random.default_rng(seed)
    r, s, v = rotations(rng, n), rotations(rng, n), vectors(rng, 6)
    of_r, of_s, of_rs = (wigner_matrices(a, degree) for a in (r, s, r @ s))
    y, turned = spherical_harmonics(v, degree), spherical_harmonics(np.einsum("nij,pj->npi", r, v), degree)
    for ell in range(degree + 1):
        part, one = slice(ell * ell, (ell + 1) ** 2), np.eye(2 * ell + 1)
        d = of_r[ell]
        assert d.shape == (n, 2 * ell + 1, 2 * ell + 1)
        np.testing.assert_allclose(y[:, part] @ d.swapaxes(1, 2), turned[..., part], rtol=0, atol=1e-12)
        np.testing.assert_allclose(d @ d.swapaxes(1, 2), one + 0 * d, rtol=0, atol=1e-12)
        np.testing.assert_allclose(d @ of_s[ell], of_rs[ell], rtol=0, atol=1e-12)


def test_degree_one_is_the_rotation_itself_in_the_order_y_z_x():
    r = rotations(RNG, 8)
    order = [1, 2, 0]
    np.testing.assert_allclose(wigner_matrices(r, 1)[1], r[:, order][:, :, order], rtol=0, atol=1e-14)


def test_poles_and_turns_by_right_angles():
    """Where Euler angles are singular: the identity, half turns, and the pole taken to itself."""
    for r in (
        np.eye(3),
        np.diag([-1.0, -1, 1]),
        np.diag([1.0, -1, -1]),
        np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]),
    ):
        d = wigner_matrices(r, 8)
        v = vectors(np.random.default_rng(0), 9)
        y, turned = spherical_harmonics(v, 8), spherical_harmonics(v @ r.T, 8)
        for ell in range(9):
            part = slice(ell * ell, (ell + 1) ** 2)
            np.testing.assert_allclose(y[:, part] @ d[ell].T, turned[:, part], rtol=0, atol=1e-13)


def test_parity_under_improper_rotations():
    d, pseudo = wigner_matrices(-np.eye(3), 4), wigner_matrices(-np.eye(3), 4, pseudo=True)
    for ell in range(5):
        np.testing.assert_allclose(d[ell], (-1) ** ell * np.eye(2 * ell + 1), atol=1e-14)
        np.testing.assert_allclose(pseudo[ell], -((-1) ** ell) * np.eye(2 * ell + 1), atol=1e-14)
    proper, mirror = rotations(RNG, 3, True), rotations(RNG, 3, False)
    for a, b in zip(wigner_matrices(proper, 3), wigner_matrices(proper, 3, pseudo=True)):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(wigner_matrices(mirror, 3), wigner_matrices(mirror, 3, pseudo=True)):
        np.testing.assert_array_equal(a, -b)


@pytest.mark.parametrize("pseudo", [False, True])
def test_a_cross_product_is_a_pseudotensor(pseudo):
    for r in rotations(RNG, 6):
        a, b = RNG.normal(size=(2, 3))
        order = [1, 2, 0]
        made = np.concatenate([[0], np.cross(r @ a, r @ b)[order]])[:, None]
        turned = rotate_coefficients(np.concatenate([[0], np.cross(a, b)[order]])[:, None], r, pseudo=pseudo)
        assert np.allclose(made, turned) == (pseudo or np.linalg.det(r) > 0)


def test_coefficients_of_a_rotated_function():
    r, x = rotations(RNG, 1)[0], RNG.normal(size=(2, 16, 3))
    v = vectors(RNG, 5)
    turned = rotate_coefficients(x, r)
    np.testing.assert_allclose(spherical_harmonics(v, 3) @ turned, spherical_harmonics(v @ r, 3) @ x, atol=1e-12)
    each = rotations(RNG, 2)
    both = rotate_coefficients(x, each)
    np.testing.assert_allclose(both[1], rotate_coefficients(x[1], each[1]), atol=1e-14)
    assert rotate_coefficients(x.astype("f4"), each.astype("f4")).dtype == np.float32
    assert rotate_coefficients(np.zeros((0, 4, 1)), np.eye(3)).shape == (0, 4, 1)


def test_points_of_a_grid_are_its_angles():
    grid = SphereGrid(3, 4)
    points = grid_points(grid)
    np.testing.assert_allclose(points[..., 2], np.cos(grid.colatitudes)[:, None] + np.zeros(4), atol=1e-15)
    np.testing.assert_allclose(points[1, 1], [0, 1, 0], atol=1e-15)


def test_refusals():
    r = rotations(RNG, 3)
    wrong = r.copy()
    wrong[1] *= 1.001
    x = np.ones((4, 2))
    for call, error, text in (
        (lambda: wigner_matrices(wrong, 2), InvalidValueError, "rotation 1 is not orthogonal"),
        (lambda: wigner_matrices(r[:, :2], 2), ShapeError, r"expected \(..., 3, 3\)"),
        (lambda: wigner_matrices(r, -1), InvalidValueError, "degree is -1"),
        (lambda: wigner_matrices(r * np.nan, 1), InvalidValueError, "NaN"),
        (lambda: wigner_matrices(r + 0j, 1), DTypeError, "real numbers"),
        (lambda: rotate_coefficients(np.ones((5, 2)), r[0]), ShapeError, "with 1, 4, 9, 16 ... coefficients"),
        (lambda: rotate_coefficients(np.ones(4), r[0]), ShapeError, "with 1, 4, 9, 16 ... coefficients"),
        (lambda: rotate_coefficients(x, r), ShapeError, r"expected one \(3, 3\), or \(3, 3\)"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_the_quadrature_of_a_grid_is_exact_for_its_degrees():
    points, weights = points_and_weights(SphereGrid(4, 7))
    assert points.shape == (28, 3)
    np.testing.assert_allclose(weights.sum(), 4 * np.pi, rtol=1e-14)
    np.testing.assert_allclose(points.T @ (weights[:, None] * points), 4 * np.pi / 3 * np.eye(3), atol=1e-14)
