"""Gaunt products: products of functions, four methods, equivariance, parity, the choice, shapes, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spherical_cases import rotations, vectors

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical import gaunt_product, rotate_coefficients, scale_degrees, spherical_harmonics
from sci.spherical.gaunt import method_of, product_of

RNG = np.random.default_rng(2)
METHODS = ("sparse", "quadrature", "fft", "dense")


@settings(max_examples=20, deadline=None)
@given(
    degrees=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    method=st.sampled_from((*METHODS, "auto")),
    channels=st.integers(1, 40),
    batch=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_product_of_two_functions(degrees, method, channels, batch, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(batch, (d + 1) ** 2, channels)) for d in degrees)
    v = vectors(rng, 5)
    at = [spherical_harmonics(v, d) for d in (*degrees, sum(degrees))]
    found = gaunt_product(x, y, sum(degrees), method=method)
    np.testing.assert_allclose(at[2] @ found, (at[0] @ x) * (at[1] @ y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 4, 8])
def test_all_methods_agree_also_where_they_cut(degree):
    x, y = RNG.normal(size=(2, 3, (degree + 1) ** 2, 21))
    expected = gaunt_product(x, y, 2 * degree, method="sparse")[:, : (degree + 1) ** 2]
    for method in METHODS:
        np.testing.assert_allclose(gaunt_product(x, y, degree, method=method), expected, rtol=0, atol=1e-12)
    with sci.options(kernels="reference"):
        np.testing.assert_allclose(gaunt_product(x, y, degree, method="sparse"), expected, rtol=0, atol=1e-12)


def test_many_columns_are_cut_into_pieces():
    x, y = RNG.normal(size=(2, 5000, 9, 3))
    expected = gaunt_product(x, y, 2, method="sparse")
    for method in METHODS[1:]:
        np.testing.assert_allclose(gaunt_product(x, y, 2, method=method), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_equivariance_under_rotations_and_reflections(method):
    x, y = RNG.normal(size=(2, 4, 25, 6))
    r = rotations(RNG, 4)
    assert {-1.0, 1.0} >= set(np.linalg.det(r).round())
    turned = gaunt_product(rotate_coefficients(x, r), rotate_coefficients(y, r), 4, method=method)
    np.testing.assert_allclose(turned, rotate_coefficients(gaunt_product(x, y, 4, method=method), r), atol=1e-12)


def test_what_it_cannot_make():
    """It is symmetric, so that two vectors have no cross product; and mirror images have the same invariants."""
    x, y = RNG.normal(size=(2, 4, 5))
    x[0] = y[0] = 0
    found = gaunt_product(x, y, 2)
    np.testing.assert_allclose(found, gaunt_product(y, x, 2), atol=1e-15)
    assert np.abs(found[1:4]).max() < 1e-15
    a, mirror = RNG.normal(size=(16, 2)), rotations(RNG, 1, False)[0]
    invariant = [gaunt_product(f, gaunt_product(f, f, 3), 0) for f in (a, rotate_coefficients(a, mirror))]
    np.testing.assert_allclose(invariant[0], invariant[1], rtol=1e-12)


def test_the_gradient_is_two_products():
    """The product is linear in each factor: a gradient is the value at unit vectors."""
    x, y, dz = (RNG.normal(size=(2, (d + 1) ** 2, 2)) for d in (2, 1, 3))
    for k, found in enumerate((product_of(dz, y, 2, "auto"), product_of(dz, x, 1, "auto"))):
        for place in np.ndindex(found.shape):
            factors = [x, y]
            factors[k] = np.zeros(found.shape)
            factors[k][place] = 1
            assert found[place] == pytest.approx((dz * gaunt_product(*factors, 3)).sum(), rel=1e-11, abs=1e-12)


def test_the_choice_of_a_method():
    like = np.ones(1)
    assert method_of((4, 4, 4), like) == "sparse"
    assert method_of((8, 8, 8), like) == "sparse"
    assert method_of((16, 16, 16), like) == "quadrature"
    assert method_of((12, 12, 12), like.astype("f4")) == "quadrature"
    with sci.options(kernels="reference"):
        assert method_of((4, 4, 4), like) == "quadrature"


def test_broadcasting_float32_and_no_batch():
    x, y = RNG.normal(size=(3, 9, 4)), RNG.normal(size=(9, 1))
    np.testing.assert_allclose(gaunt_product(x, y, 2)[1], gaunt_product(x[1], np.tile(y, 4), 2), atol=1e-15)
    single = gaunt_product(x.astype("f4"), y.astype("f4"), 2)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, gaunt_product(x, y, 2), atol=1e-5)
    for method in METHODS:
        assert gaunt_product(np.ones((0, 9, 4)), y, 3, method=method).shape == (0, 16, 4)


def test_weights_of_degrees_commute_with_rotations():
    x, w, r = RNG.normal(size=(2, 16, 3)), RNG.normal(size=(4, 3)), rotations(RNG, 2)
    found = scale_degrees(rotate_coefficients(x, r), w)
    np.testing.assert_allclose(found, rotate_coefficients(scale_degrees(x, w), r), atol=1e-12)
    np.testing.assert_array_equal(scale_degrees(x, w[:, 0])[:, 4:9], x[:, 4:9] * w[2, 0])


def test_refusals():
    x = np.ones((3, 4, 2))
    for call, error, text in (
        (lambda: gaunt_product(x[:, :3], x, 2), ShapeError, r"x has shape \(3, 3, 2\); expected .* 1, 4, 9, 16"),
        (lambda: gaunt_product(x, x, -1), InvalidValueError, "degree is -1; expected 0 to 32"),
        (lambda: gaunt_product(x, x * np.nan, 1), InvalidValueError, "y holds 24 values that are NaN"),
        (lambda: gaunt_product(x, x, 1, method="grid"), InvalidValueError, "one of 'auto', 'sparse'"),
        (lambda: gaunt_product(x, x + 0j, 1), DTypeError, "real numbers"),
        (lambda: scale_degrees(x, np.ones(3)), ShapeError, r"weights of shape \(3,\) .* expected \(2,\) or \(2, 2\)"),
        (lambda: scale_degrees(np.ones((5, 2)), np.ones(3)), ShapeError, "1, 4, 9, 16"),
    ):
        with pytest.raises(error, match=text):
            call()
