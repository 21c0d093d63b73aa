"""Distances, logarithms, exponentials and geodesics: identities of the geometry, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from bures_cases import definite, exact_log, tangent
from scipy.linalg import sqrtm

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg import BuresWasserstein, symmetric_function

PLAIN = BuresWasserstein()
GEOMETRIES = {
    "plain": PLAIN,
    "metric": BuresWasserstein(definite((3, 3), 20.0, 90)),
    "power": BuresWasserstein(power=0.5),
    "inverse": BuresWasserstein(power=-1.0),
    "both": BuresWasserstein(definite((3, 3), 20.0, 91), power=1.7),
}
each_geometry = pytest.mark.parametrize("name", GEOMETRIES)


def _size(a: np.ndarray) -> float:
    return float(np.linalg.norm(a))


@each_geometry
@pytest.mark.parametrize("condition", [3.0, 1e3])
def test_identities(name: str, condition: float) -> None:
    geometry = GEOMETRIES[name]
    p, q = definite((9, 3, 3), condition, 1), definite((9, 3, 3), condition, 2)
    error = 1e-13 * condition ** (2 * max(1, abs(geometry.power)))
    still = 1e-14 * condition ** max(1, abs(geometry.power))
    d, v = geometry.distance(p, q), geometry.log(p, q)
    np.testing.assert_allclose(geometry.distance(q, p), d, rtol=1e-12)
    np.testing.assert_allclose(geometry.inner(p, v, v), d * d, rtol=1e-10)
    np.testing.assert_array_equal(v, v.swapaxes(-1, -2))
    assert _size(geometry.exp(p, v) - q) < error * _size(q)
    for t in (0.0, 0.25, 1.0):
        there = geometry.geodesic(p, q, t)
        np.testing.assert_allclose(geometry.distance(p, there), t * d, rtol=1e-8, atol=still)
        np.testing.assert_allclose(geometry.distance(there, q), (1 - t) * d, rtol=1e-8, atol=still)
        assert _size(geometry.exp(p, t * v) - there) < error * _size(q)


def test_the_logarithm_in_many_digits() -> None:
    for condition, apart in ((10.0, 1.0), (10.0, 1e-9), (1e6, 1.0)):
        p, other = definite((3, 3), condition, 3), definite((3, 3), condition, 4)
        q = p + apart * (other - p)
        exact = exact_log(p, q)
        assert _size(PLAIN.log(p, q) - exact) < 1e-15 * condition * _size(exact)


@each_geometry
def test_a_small_step_has_the_length_of_its_vector(name: str) -> None:
    geometry, p, v = GEOMETRIES[name], definite((5, 3, 3), 10.0, 5), 1e-6 * tangent((5, 3, 3), 6)
    q = p + v
    exact = np.sqrt(geometry.inner(p, q - p, q - p))
    np.testing.assert_allclose(geometry.distance(p, q), exact, rtol=1e-4)
    np.testing.assert_allclose(geometry.exp(p, v), q, rtol=0, atol=1e-10)
    smallest = 1e-13 * np.eye(3)
    unit = np.sqrt(geometry.inner(p, (p + smallest) - p, (p + smallest) - p))
    np.testing.assert_allclose(geometry.distance(p, p + smallest), unit, rtol=1e-9)


def test_the_generalized_metric_by_its_formula_of_traces() -> None:
    m, p, q = definite((3, 3), 30.0, 7), definite((3, 3), 10.0, 8), definite((3, 3), 10.0, 9)
    first, second = np.linalg.solve(m, p), np.linalg.solve(m, q)
    exact = np.sqrt(np.trace(first + second) - 2 * np.trace(sqrtm(first @ second)).real)
    assert float(BuresWasserstein(m).distance(p, q)) == pytest.approx(exact, rel=1e-12)
    # A change of coordinates of all three changes nothing, and a larger metric shortens.
    a = np.random.default_rng(1).normal(size=(3, 3))
    turned = BuresWasserstein(a @ m @ a.T).distance(a @ p @ a.T, a @ q @ a.T)
    assert float(turned) == pytest.approx(exact, rel=1e-11)
    assert float(BuresWasserstein(4 * m).distance(p, q)) == pytest.approx(exact / 2, rel=1e-13)


def test_powers() -> None:
    p, q = definite((4, 3, 3), 10.0, 10), definite((4, 3, 3), 10.0, 11)
    for power in (0.5, 2.0, -1.0):
        images = [symmetric_function(a, "power", exponent=power) for a in (p, q)]
        exact = PLAIN.distance(*images) / abs(power)
        np.testing.assert_allclose(BuresWasserstein(power=power).distance(p, q), exact, rtol=1e-12)
    difference = symmetric_function(p, "log") - symmetric_function(q, "log")
    exact = np.linalg.norm(difference, axis=(1, 2)) / 2
    np.testing.assert_allclose(BuresWasserstein(power=1e-5).distance(p, q), exact, rtol=1e-4)


@each_geometry
def test_barycenters_variances_and_transport(name: str) -> None:
    geometry, sets = GEOMETRIES[name], definite((4, 7, 3, 3), 10.0, 12)
    weights = np.arange(1.0, 8.0)
    found = geometry.barycenter(sets, weights)
    logs = (weights[:, None, None] / 28 * geometry.log(found.mean[:, None], sets)).sum(axis=1)
    assert _size(logs) < 1e-11
    variance = (weights / 28 * geometry.distance(found.mean[:, None], sets) ** 2).sum(axis=1)
    np.testing.assert_allclose(geometry.variance(sets, weights), variance, rtol=1e-13)
    np.testing.assert_allclose(geometry.variance(sets, weights, found.mean), variance, rtol=1e-13)
    assert (geometry.variance(sets, weights, sets[:, 0]) > variance).all()
    p, q = sets[:, 0], sets[:, 1]
    v, w = tangent((4, 3, 3), 13), tangent((4, 3, 3), 14)
    carried = [geometry.transport(p, q, x).vectors for x in (v, w)]
    np.testing.assert_allclose(geometry.inner(q, *carried), geometry.inner(p, v, w), rtol=1e-8, atol=1e-10)
    velocity = geometry.transport(p, q, geometry.log(p, q)).vectors
    assert _size(velocity + geometry.log(q, p)) < 1e-9 * _size(velocity)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_repeated_eigenvalues(n: int) -> None:
    p, q = 2 * np.eye(n), 8 * np.eye(n)
    assert float(PLAIN.distance(p, q)) == pytest.approx((2 * n) ** 0.5, rel=1e-15)
    np.testing.assert_allclose(PLAIN.log(p, q), 4 * np.eye(n), rtol=0, atol=1e-14)
    np.testing.assert_allclose(PLAIN.exp(p, 4 * np.eye(n)), q, rtol=0, atol=1e-14)
    assert float(PLAIN.distance(p, p)) == 0
    assert not PLAIN.log(p, p).any()
    other = definite((n, n), 5.0, n)
    np.testing.assert_allclose(
        PLAIN.log(np.eye(n), other), 2 * (symmetric_function(other, "sqrt") - np.eye(n)), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(("dtype", "scales"), [(np.float64, (1e-200, 1e200)), (np.float32, (1e-30, 1e30))])
@pytest.mark.parametrize("power", [1.0, 0.5])
def test_units(dtype: type, scales: tuple[float, float], power: float) -> None:
    # Powers of units are exponentials, whose relative error is that of an exponent up to 460.
    geometry, eps = BuresWasserstein(power=power), np.finfo(dtype).eps * (1 if power == 1 else 20)
    p, q = definite((3, 3, 3), 10.0, 15, dtype), definite((3, 3, 3), 10.0, 16, dtype)
    d, v, half = geometry.distance(p, q), geometry.log(p, q), geometry.geodesic(p, q, 0.5)
    assert d.dtype == v.dtype == half.dtype == dtype
    for scale in map(dtype, scales):
        np.testing.assert_allclose(geometry.distance(scale * p, scale * q), scale ** (power / 2) * d, rtol=100 * eps)
        np.testing.assert_allclose(geometry.log(scale * p, scale * q) / scale, v, rtol=0, atol=200 * eps)
        np.testing.assert_allclose(geometry.geodesic(scale * p, scale * q, 0.5) / scale, half, rtol=0, atol=100 * eps)
        np.testing.assert_allclose(geometry.exp(scale * p, scale * v) / scale, q, rtol=0, atol=500 * eps)


def test_leading_axes_broadcast() -> None:
    p, q, t = definite((4, 1, 3, 3), 10.0, 17), definite((5, 3, 3), 10.0, 18), np.linspace(0, 1, 5)
    assert PLAIN.distance(p, q).shape == (4, 5)
    assert PLAIN.geodesic(p, q, t).shape == (4, 5, 3, 3)
    for geometry in GEOMETRIES.values():
        v = geometry.log(p, q)
        assert v.shape == (4, 5, 3, 3)
        np.testing.assert_allclose(v[2, 3], geometry.log(p[2, 0], q[3]), rtol=0, atol=1e-11)
        np.testing.assert_allclose(geometry.exp(p, v)[2, 3], q[3], rtol=0, atol=1e-10)
        carried = geometry.transport(p, q, v).vectors
        np.testing.assert_allclose(carried[2, 3], -geometry.log(q[3], p[2, 0]), rtol=0, atol=1e-9)


def test_vectors_that_leave_the_domain_are_refused() -> None:
    p = definite((2, 3, 3), 10.0, 19)
    with pytest.raises(
        InvalidValueError, match=r"exp: v leads matrix 1 out of the domain .* is -0.5.*factor below 0.66"
    ):
        PLAIN.exp(p, np.stack([0 * p[0], -3 * p[1]]))  # L = -3/2 I
    np.testing.assert_allclose(PLAIN.exp(p, -1.5 * p), p / 16, rtol=1e-13)
    q = definite((2, 3, 3), 10.0, 20)
    out = PLAIN.geodesic(p, q, 1.01)
    np.testing.assert_allclose(PLAIN.distance(p, out), 1.01 * PLAIN.distance(p, q), rtol=1e-12)
    for t in (50.0, -50.0):
        with pytest.raises(InvalidValueError, match=r"geodesic: t leads matrix 0 out .*choose t nearer to \[0, 1\]"):
            PLAIN.geodesic(p, q, t)


@pytest.mark.parametrize("name", ["plain", "both"])
def test_bad_matrices_are_named(name: str) -> None:
    geometry, good, v = GEOMETRIES[name], definite((4, 3, 3), 5.0, 21), tangent((4, 3, 3), 22)
    negative, nan, skew = good.copy(), good.copy(), good.copy()
    negative[2] = np.diag([1.0, 1.0, -1.0])
    nan[2, 0, 0] = np.nan
    skew[2, 0, 1] += 1
    singular = np.ones((3, 3))
    for bad, text in (
        (negative, "matrix 2 is not positive"),
        (nan, r"\(2, 0, 0\)"),
        (skew, "matrix 2 is not symmetric"),
    ):
        for call in (geometry.distance, geometry.log, lambda p, q: geometry.geodesic(p, q, 0.5)):
            with pytest.raises(InvalidValueError, match=f"q.* {text}" if text[0] != "m" else f"q: {text}"):
                call(good, bad)
            with pytest.raises(InvalidValueError, match=text):
                call(bad, good)
        with pytest.raises(InvalidValueError, match=text):
            geometry.exp(bad, v)
    with pytest.raises(InvalidValueError, match="the matrix is not positive definite beyond rounding"):
        geometry.distance(singular, good)
    with pytest.raises(ShapeError, match=r"p has shape \(4, 3, 3\) and q \(3, 3, 3\)"):
        geometry.distance(good, good[:3])
    with pytest.raises(DTypeError, match="p is float64 and q is float32"):
        geometry.distance(good, good.astype("f4"))
    with pytest.raises(ShapeError, match="expected square"):
        geometry.distance(good[..., :2], good)


def test_bad_geometries_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="power is 0"):
        BuresWasserstein(power=0.0)
    with pytest.raises(InvalidValueError, match="metric: the matrix is not positive definite"):
        BuresWasserstein(np.diag([1.0, -1.0]))
    with pytest.raises(ShapeError, match="expected one matrix"):
        BuresWasserstein(np.ones((2, 1, 1)))
    with pytest.raises(ShapeError, match="p are of order 2 and the metric of 3"):
        GEOMETRIES["metric"].distance(np.eye(2), np.eye(2))
    assert repr(GEOMETRIES["both"]) == "BuresWasserstein(metric of order 3, power=1.7)"
    assert repr(PLAIN) == "BuresWasserstein()"
