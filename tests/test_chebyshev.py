"""Chebyshev polynomials in one dimension, against numpy.polynomial, SciPy and mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev as oracle
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import dct

from sci import chebyshev
from sci.errors import InvalidValueError, ShapeError

DOMAIN = (-0.5, 3.0)
DEGREES = [0, 1, 2, 3, 17, 256, 257, 600]


def in_unit(x: np.ndarray) -> np.ndarray:
    return (2.0 * x - sum(DOMAIN)) / (DOMAIN[1] - DOMAIN[0])


@pytest.mark.parametrize("degree", [1, 2, 9, 64])
def test_nodes_are_the_extrema_of_the_highest_polynomial(degree: int) -> None:
    x = chebyshev.nodes(degree, DOMAIN)
    assert x[0] == DOMAIN[0]
    assert x[-1] == DOMAIN[1]
    assert (np.diff(x) > 0).all()
    highest = oracle.chebval(in_unit(x), [0.0] * degree + [1.0])
    assert_allclose(highest, (-1.0) ** np.arange(degree, -1, -1), atol=1e-12)


def test_nodes_nest_and_are_symmetric_to_the_last_bit() -> None:
    fine = chebyshev.nodes(48)
    assert_array_equal(fine[::2], chebyshev.nodes(24))
    assert_array_equal(fine, -fine[::-1])
    assert_array_equal(chebyshev.nodes(0, DOMAIN), [1.25])


@pytest.mark.parametrize("degree", DEGREES)
def test_transforms_agree_with_the_dct_and_invert_each_other(degree: int) -> None:
    values = np.random.default_rng(degree).normal(size=(2, degree + 1, 3))
    coefficients = chebyshev.values_to_coefficients(values, axis=1)
    if degree > 0:
        expected = dct(values[:, ::-1], type=1, axis=1) / degree
        expected[:, [0, -1]] *= 0.5
        assert_allclose(coefficients, expected, atol=1e-13)
    assert_allclose(chebyshev.coefficients_to_values(coefficients, axis=1), values, atol=2e-12)


@pytest.mark.parametrize("degree", DEGREES)
def test_transform_reaches_rounding_for_a_smooth_function(degree: int) -> None:
    x = chebyshev.nodes(degree, DOMAIN)
    coefficients = chebyshev.values_to_coefficients(np.exp(x))
    assert_allclose(chebyshev.coefficients_to_values(coefficients), np.exp(x), rtol=1e-13)
    assert_allclose(chebyshev.evaluate(coefficients, x, DOMAIN), np.exp(x), rtol=1e-13)


def test_coefficients_of_a_known_series() -> None:
    # exp(x) = I_0(1) + 2 sum I_k(1) T_k(x)
    coefficients = chebyshev.values_to_coefficients(np.exp(chebyshev.nodes(20)))
    expected = [float((2 if k else 1) * mpmath.besseli(k, 1)) for k in range(21)]
    assert_allclose(coefficients, expected, atol=5e-16)


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_evaluation_agrees_with_numpy(degree: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coefficients, x = rng.normal(size=degree + 1), rng.uniform(*DOMAIN, 7)
    expected = oracle.chebval(in_unit(x), coefficients)
    assert_allclose(chebyshev.evaluate(coefficients, x, DOMAIN), expected, atol=1e-12)
    assert_allclose(chebyshev.vandermonde(x, degree, DOMAIN) @ coefficients, expected, atol=1e-12)
    assert chebyshev.vandermonde(x, degree, DOMAIN).shape == (7, degree + 1)


def test_clenshaw_takes_several_series_and_points_of_any_shape() -> None:
    coefficients = np.random.default_rng(1).normal(size=(6, 2, 3))
    x = np.linspace(*DOMAIN, 20).reshape(4, 5)
    values = chebyshev.evaluate(coefficients, x, DOMAIN)
    assert values.shape == (4, 5, 2, 3)
    assert_allclose(values[1, 2], oracle.chebval(in_unit(x[1, 2]), coefficients), atol=1e-13)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 30])
def test_derivative_agrees_with_numpy(degree: int) -> None:
    coefficients = np.random.default_rng(2).normal(size=(2, degree + 1))
    scale = 2.0 / (DOMAIN[1] - DOMAIN[0])
    expected = np.stack([oracle.chebder(c) * scale for c in coefficients])
    assert_allclose(chebyshev.differentiate(coefficients, 1, DOMAIN), expected, rtol=1e-12, atol=1e-12)
    matrix = chebyshev.differentiation_matrix(degree, DOMAIN)
    assert matrix.shape == (max(degree, 1), degree + 1)
    assert_allclose(matrix @ coefficients[0], expected[0], rtol=1e-12, atol=1e-12)


def test_moments_and_gram_matrix_agree_with_gauss_quadrature() -> None:
    u, w = np.polynomial.legendre.leggauss(30)
    half = 0.5 * (DOMAIN[1] - DOMAIN[0])
    table = oracle.chebvander(u, 12)
    assert_allclose(chebyshev.moments(12, DOMAIN), half * w @ table, atol=1e-13)
    gram = half * (table * w[:, None]).T @ table
    assert_allclose(chebyshev.gram_matrix(12, domain=DOMAIN), gram, atol=1e-13)
    assert_allclose(chebyshev.gram_matrix(12, 5, DOMAIN), gram[:, :6], atol=1e-13)


@pytest.mark.parametrize(
    ("eps", "m"),
    [
        (1e-3, [9, 13, 27, 49, 73, 97, 143, 189, 375, 747]),
        (1e-7, [15, 21, 43, 79, 117, 155, 229, 305, 605, 1209]),
        (1e-12, [21, 31, 59, 107, 157, 207, 307, 407, 811, 1617]),
    ],
)
def test_gaussian_degree_agrees_with_the_measured_table(eps: float, m: list[int]) -> None:
    assert [chebyshev.gaussian_degree(t, eps) + 1 for t in (1, 2, 5, 10, 15, 20, 30, 40, 80, 160)] == m


@given(st.floats(0.0, 30.0), st.floats(-1.0, 1.0), st.sampled_from([1e-3, 1e-6, 1e-9, 1e-12]))
@settings(max_examples=40, deadline=None)
def test_gaussian_degree_is_enough_for_every_center(t: float, center: float, eps: float) -> None:
    x = chebyshev.nodes(chebyshev.gaussian_degree(t, eps))
    coefficients = chebyshev.values_to_coefficients(np.exp(-((t * (x - center)) ** 2)))
    fine = np.linspace(-1.0, 1.0, 501)
    error = np.abs(chebyshev.evaluate(coefficients, fine) - np.exp(-((t * (fine - center)) ** 2))).max()
    assert error <= 2.0 * eps + 1e-14  # interpolation at most doubles the dropped sum


def test_chop_keeps_what_is_above_the_tolerance() -> None:
    resolved = np.abs(chebyshev.values_to_coefficients(np.exp(chebyshev.nodes(32))))
    degree = chebyshev.chop(resolved, 1e-10)
    assert degree is not None
    assert resolved[degree] > 1e-10 * resolved.max() >= resolved[degree + 1 :].max()
    kink = np.abs(chebyshev.values_to_coefficients(np.abs(chebyshev.nodes(64) - 0.1)))
    assert chebyshev.chop(kink, 1e-10) is None
    assert chebyshev.chop(resolved[:12], 1e-10) is None  # too short a tail to trust
    assert chebyshev.chop(np.zeros(5), 1e-10) == 0
    assert chebyshev.chop(np.eye(1, 17)[0], 1e-10) == 0


def test_single_precision_stays() -> None:
    values = np.ones(9, dtype=np.float32)
    assert chebyshev.values_to_coefficients(values).dtype == np.float32
    assert chebyshev.vandermonde(values, 3).dtype == np.float32
    assert chebyshev.differentiate(values).dtype == np.float32


@pytest.mark.parametrize("domain", [(1.0, 1.0), (2.0, -1.0), (0.0, np.inf), (0.0,), 3.0, ("a", "b")])
def test_a_bad_domain_is_refused(domain: object) -> None:
    with pytest.raises(InvalidValueError, match="domain"):
        chebyshev.nodes(3, domain)  # type: ignore[arg-type]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="degree"):
        chebyshev.nodes(-1)
    with pytest.raises(InvalidValueError, match="x holds 1"):
        chebyshev.vandermonde(np.array([0.0, np.nan]), 2)
    with pytest.raises(ShapeError, match="expected \\(n,\\)"):
        chebyshev.vandermonde(np.zeros((2, 2)), 2)
    with pytest.raises(ShapeError, match="at least one entry"):
        chebyshev.values_to_coefficients(np.zeros((0, 3)))
    with pytest.raises(InvalidValueError, match="eps"):
        chebyshev.gaussian_degree(1.0, 0.0)
    with pytest.raises(InvalidValueError, match="t is"):
        chebyshev.gaussian_degree(-1.0, 1e-3)
