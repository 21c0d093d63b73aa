"""Real harmonics: SciPy's, complex steps, poles, lengths, polynomials at 0, precision, devices, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from harmonics import sph_harm_y
from hypothesis import given, settings
from hypothesis import strategies as st
from spherical_cases import vectors

import sci
from sci.backend import shape_array
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical import SphereGrid, spherical_harmonics, spherical_harmonics_gradient
from sci.spherical.harmonics import MAX_DEGREE, degrees_of, harmonics_reference, harmonics_vjp, ladder_matrices
from sci.spherical.harmonics import _terms_like as terms_like

RNG = np.random.default_rng(3)


def by_angles(v, degree):
    """The definition: complex harmonics of SciPy at angles, with the sign (-1)^m taken away."""
    theta, phi = np.arctan2(np.hypot(v[:, 0], v[:, 1]), v[:, 2]), np.arctan2(v[:, 1], v[:, 0])
    found = np.empty((len(v), (degree + 1) ** 2))
    for ell in range(degree + 1):
        for m in range(-ell, ell + 1):
            y = sph_harm_y(ell, abs(m), theta, phi) * (-1) ** m
            found[:, ell * ell + ell + m] = y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag)
    return found


@settings(max_examples=25, deadline=None)
@given(degree=st.integers(0, 32), n=st.integers(0, 40), seed=st.integers(0, 2**32 - 1), size=st.integers(-150, 150))
def test_scipy_to_degree_32(degree, n, seed, size):
    v = vectors(np.random.default_rng(seed), n)
    found = spherical_harmonics(v * 10.0**size, degree)
    # Beside the poles, SciPy before 1.15 has half of the digits.
    expected, tolerance = by_angles(v, degree), 1e-12 if hasattr(scipy.special, "sph_harm_y") else 3e-8
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("mode", ["compiled", "reference"])
@pytest.mark.parametrize("solid", [False, True])
@pytest.mark.parametrize("degree", [0, 1, 3, 8, 17])
def test_gradients_against_a_complex_step(degree, solid, mode):
    v = vectors(RNG, 21)
    v /= np.linalg.norm(v, axis=1).max()
    terms = terms_like(v, degree)
    steps = [v + 1e-30j * np.eye(3)[k] for k in range(3)]
    expected = np.stack([harmonics_reference(x, terms, degree, solid)[0].imag / 1e-30 for x in steps], axis=1)
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True) + 1
    with sci.options(kernels=mode):
        values, gradients = spherical_harmonics_gradient(v, degree, solid=solid)
        np.testing.assert_array_less(np.abs(gradients - expected) / scale, 1e-13)
        np.testing.assert_allclose(values, spherical_harmonics(v, degree, solid=solid), rtol=1e-13, atol=1e-13)
        cotangent = RNG.normal(size=values.shape)
        found = harmonics_vjp(v, cotangent, degree, solid)
    terms_of_sum = np.abs(gradients * cotangent[:, None]).sum(axis=2).max(axis=1, keepdims=True)
    difference = np.abs(found - np.einsum("nkw,nw->nk", expected, cotangent))
    np.testing.assert_array_less(difference, 1e-13 * (1 + terms_of_sum) + 0 * found)


def test_they_are_orthonormal_on_a_grid():
    grid, degree = SphereGrid(13, 25), 12
    theta, phi = np.meshgrid(grid.colatitudes, grid.longitudes, indexing="ij")
    v = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    y = spherical_harmonics(v, degree)
    assert y.shape == (13, 25, 169)
    np.testing.assert_allclose(np.einsum("i,ija,ijb->ab", grid.weights, y, y), np.eye(169), rtol=0, atol=1e-13)


def test_degree_one_is_y_z_x_and_the_gradient_of_a_direction_is_across():
    v = vectors(RNG, 9)
    y, slope = spherical_harmonics_gradient(v, 6)
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    np.testing.assert_allclose(y[:, 1:4], np.sqrt(3 / (4 * np.pi)) * unit[:, [1, 2, 0]], rtol=1e-14, atol=1e-15)
    across = np.einsum("nk,nkw->nw", v, slope)
    np.testing.assert_allclose(across, 0, atol=1e-12)


def test_solid_harmonics_are_polynomials_also_at_zero():
    v = vectors(RNG, 20)
    r = np.linalg.norm(v, axis=1, keepdims=True)
    expected = spherical_harmonics(v, 5) * r ** degrees_of(5)
    np.testing.assert_allclose(spherical_harmonics(v, 5, solid=True), expected, rtol=1e-12, atol=1e-13)
    value, slope = spherical_harmonics_gradient(np.zeros((1, 3)), 5, solid=True)
    assert value[0, 0] == pytest.approx(np.sqrt(1 / (4 * np.pi)))
    assert not value[0, 1:].any()
    expected = np.zeros((3, 36))
    expected[[1, 2, 0], [1, 2, 3]] = np.sqrt(3 / (4 * np.pi))
    np.testing.assert_allclose(slope[0], expected, rtol=1e-15)


@pytest.mark.parametrize("degree", [0, 1, 2, 9])
def test_ladders_lower_the_degree(degree):
    v = vectors(RNG, 11) / 4
    values, gradients = spherical_harmonics_gradient(v, degree, solid=True)
    found = np.einsum("kab,nb->nka", ladder_matrices(degree), values)
    np.testing.assert_allclose(found, gradients, rtol=0, atol=1e-13 * (1 + np.abs(gradients).max()))


def test_float32_stays_and_is_as_right_as_it_can_be():
    v = np.float32(RNG.normal(size=(2000, 3)) * np.repeat([1, 0.03, 1e-3, 1e-6], 500)[:, None] ** [1, 1, 0])
    values, gradients = spherical_harmonics_gradient(v, 32)
    assert values.dtype == gradients.dtype == np.float32
    np.testing.assert_allclose(values, spherical_harmonics(v.astype(float), 32), rtol=0, atol=2e-4)
    assert spherical_harmonics(np.array([1, 2, 3]), 2).dtype == np.float64
    assert spherical_harmonics(np.float32([1e-25, 2e-25, 0]), 2) == pytest.approx(
        spherical_harmonics(np.array([1.0, 2, 0]), 2), abs=1e-6
    )


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs numbers of more digits")
@pytest.mark.parametrize(("degree", "bound"), [(8, 2e-14), (32, 1e-12), (MAX_DEGREE, 3e-12)])
def test_near_the_poles_in_more_digits(degree, bound):
    """The reference and its coefficients with 18 digits; directions at 1e-1 to 1e-6 from the poles are the worst."""
    wide = np.longdouble
    terms = np.zeros(((degree + 1) * (degree + 2) // 2, 3), wide)
    first = np.sqrt(1 / (16 * np.arctan(wide(1))))
    for m in range(degree + 1):
        first *= np.sqrt(wide(2 * m + 1) / max(2 * m, 1) * (2 if m == 1 else 1)) if m else 1
        terms[m * (m + 1) // 2 + m, 0] = first
        for k in range(m + 1, degree + 1):
            gap = wide(k * k - m * m)
            b2 = (2 * k + 1) * ((k - 1) ** 2 - m * m) / ((2 * k - 3) * gap)
            terms[k * (k + 1) // 2 + m] = (
                np.sqrt((4 * k * k - 1) / gap),
                np.sqrt(b2),
                np.sqrt((2 * k + 1) * gap / (2 * k - 1)),
            )
    v = np.concatenate([RNG.normal(size=(40, 3)) * [size, size, 1] for size in (1, 0.1, 0.03, 1e-3, 1e-6)])
    values, gradients = spherical_harmonics_gradient(v, degree)
    exact = harmonics_reference(v.astype(wide), terms, degree, False, gradient=True)
    assert np.abs(values - exact[0]).max() < bound
    lengths = np.linalg.norm(v, axis=1)[:, None, None]
    assert (np.abs(gradients - exact[1]) * lengths).max() < 20 * bound


def test_shapes_and_views():
    assert spherical_harmonics(np.ones(3), 4).shape == (25,)
    assert spherical_harmonics(np.ones((0, 3)), 4).shape == (0, 25)
    assert [a.shape for a in spherical_harmonics_gradient(np.ones((2, 0, 3)), 1)] == [(2, 0, 4), (2, 0, 3, 4)]
    v = vectors(RNG, 8)
    np.testing.assert_array_equal(spherical_harmonics(v[::2], 3), spherical_harmonics(v, 3)[::2])
    np.testing.assert_array_equal(spherical_harmonics(v.T.copy().T, 3), spherical_harmonics(v, 3))
    assert spherical_harmonics(shape_array((7, 5, 3), "f4"), 3).shape == (7, 5, 16)
    assert spherical_harmonics(shape_array((7, 3)), 3, solid=True).shape == (7, 16)


def test_refusals():
    v = vectors(RNG, 4)
    spoiled = v.copy()
    spoiled[2, 1] = np.nan
    zero = v.copy()
    zero[3] = 0
    for call, error, text in (
        (lambda: spherical_harmonics(v, -1), InvalidValueError, "degree is -1; expected 0 to 64"),
        (lambda: spherical_harmonics(v, MAX_DEGREE + 1), InvalidValueError, "degree is 65"),
        (lambda: spherical_harmonics(v[:, :2], 2), ShapeError, r"shape \(4, 2\); expected \(..., 3\)"),
        (lambda: spherical_harmonics(spoiled, 2), InvalidValueError, r"NaN or infinite, the first at index \(2, 1\)"),
        (
            lambda: spherical_harmonics(zero, 2),
            InvalidValueError,
            "vector 3 is .*no direction; expected none",
        ),
        (lambda: spherical_harmonics(v * 1e-309, 2), InvalidValueError, "no direction"),
        (
            lambda: spherical_harmonics_gradient(v * 1e60, 8, solid=True),
            InvalidValueError,
            "degree 8 leave float64",
        ),
        (lambda: spherical_harmonics(v + 0j, 2), DTypeError, "real numbers"),
        (lambda: spherical_harmonics(v, 2.5), InvalidValueError, "degree is 2.5; expected an integer"),
        (lambda: spherical_harmonics([[1.0, 2.0, 3.0]], 2), DTypeError, "expected an array of real numbers"),
    ):
        with pytest.raises(error, match=text):
            call()
