"""Polar coordinates and Haar samples: factors, exact integrals over the group, invariance, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation
from scipy.special import k0, multigammaln

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import GroupSamples, LinearGroup
from sci.nn.groups.linear_group import left_polar


def random_elements(count: int, n: int, seed: int = 0) -> np.ndarray:
    g = np.random.default_rng(seed).normal(size=(2 * count + 20, n, n))
    return g[np.linalg.det(g) > 0.1][:count]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_element_is_a_stretch_times_a_rotation(n):
    g = random_elements(200, n)
    stretch, rotation = left_polar(g)
    np.testing.assert_allclose(stretch @ rotation, g, atol=4e-15 * np.abs(g).max())
    np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), np.eye(n) + 0 * g, atol=4e-15)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, rtol=1e-14)
    assert (np.linalg.eigvalsh(stretch) > 0).all()
    np.testing.assert_allclose(stretch @ stretch, g @ g.swapaxes(1, 2), rtol=1e-12, atol=1e-13)


def test_elements_that_the_exponential_misses_have_coordinates():
    g = np.diag([-2.0, -0.5])
    assert np.abs(np.imag(logm(g))).max() > 3
    found = LinearGroup(2, special=True).coordinates(g)
    np.testing.assert_allclose(found, [np.log(2), 0, -np.log(2), np.pi], atol=1e-15)


def test_coordinates_are_logarithms_of_both_factors():
    for n in (2, 3):
        g, group = random_elements(50, n), LinearGroup(n)
        found = group.coordinates(g)
        assert found.shape == (len(g), n * n)
        rows, columns = np.triu_indices(n)
        logs = np.zeros_like(g)
        values = found[:, : len(rows)] / np.where(rows == columns, 1, np.sqrt(2))
        logs[:, rows, columns] = logs[:, columns, rows] = values
        turns = found[:, len(rows) :]
        rotations = np.array(
            [[[np.cos(t[0]), -np.sin(t[0])], [np.sin(t[0]), np.cos(t[0])]] for t in turns]
            if n == 2
            else Rotation.from_rotvec(turns).as_matrix()
        )
        np.testing.assert_allclose(np.array([expm(a) for a in logs]) @ rotations, g, atol=1e-13)


def test_rotation_vectors_near_nothing_and_near_half_turns():
    group = LinearGroup(3)
    for size in (0.0, 1e-12, 1e-6, 1.0, np.pi - 1e-6, np.pi - 1e-12, np.pi):
        axis = np.array([2.0, -1.0, 2.0]) / 3
        found = group.coordinates(Rotation.from_rotvec(size * axis).as_matrix())[6:]
        sign = np.sign(found @ axis) if size == np.pi else 1.0
        np.testing.assert_allclose(found, sign * size * axis, atol=3e-15)


def test_features_have_no_seam():
    group = LinearGroup(2)
    angles = np.array([np.pi - 1e-7, -np.pi + 1e-7])
    turned = np.array([[[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]] for t in angles])
    assert np.abs(np.subtract(*group.coordinates(turned))).max() > 6
    assert np.abs(np.subtract(*group.features(turned))).max() < 1e-6
    for n in (1, 2, 3):
        found = LinearGroup(n).features(np.eye(n))
        np.testing.assert_allclose(found, np.zeros(LinearGroup(n).n_features), atol=1e-15)


def test_integrals_over_scalings_and_stretches_are_exact():
    """n = 1: the integral of exp(-2 (s + 1/s)) with s = g^2 is K_0(4). n > 1: det(S)^a exp(-tr S) by Gamma_n(a)."""
    samples = LinearGroup(1).sample(20_000, seed=1, spread=0.4)
    s = samples.elements[:, 0, 0] ** 2
    found, error = estimate(np.exp(-2 * (s + 1 / s)), samples)
    assert abs(found - k0(4.0)) < 4 * error < 0.05 * found
    for n, a in ((2, 1.2), (3, 1.6)):
        samples = LinearGroup(n).sample(40_000, seed=n, spread=0.7)
        s = samples.elements @ samples.elements.swapaxes(1, 2)
        values = np.linalg.det(s) ** a * np.exp(-np.trace(s, axis1=1, axis2=2))
        found, error = estimate(values, samples)
        expected = np.exp(multigammaln(a, n)) * 2 ** (n * (n - 1) / 4 - n * (n + 1) / 2)
        assert abs(found - expected) < 4 * error, (n, found, expected)
        assert error < 0.05 * expected
        # Without the density of the measure the integral is another one.
        x = np.log(np.linalg.eigvalsh(s)) / 2
        gaps = np.stack([x[:, j] - x[:, i] for i in range(n) for j in range(i + 1, n)], axis=1)
        found, error = estimate(values * (gaps / np.sinh(gaps)).prod(axis=1), samples)
        assert abs(found - expected) > 8 * error


def estimate(values: np.ndarray, samples: GroupSamples) -> tuple[float, float]:
    terms = len(samples) * samples.weights * values
    return float(terms.mean()), float(terms.std() / len(samples) ** 0.5)


@pytest.mark.parametrize(("n", "special"), [(2, False), (2, True), (3, True)])
def test_integrals_are_invariant(n, special):
    """The integral of f(h g) and of f(g h) is that of f: the measure is the same from both sides."""
    group = LinearGroup(n, special)
    samples = group.sample(30_000, seed=5, spread=0.5)
    h = np.eye(n) + 0.3 * np.triu(np.ones((n, n)), 1)
    if not special:
        h[0, 0] = 1.25

    def f(g):
        s = g @ g.swapaxes(1, 2)
        offset = g - np.diag([1.0, 0.8, 1.2])[:n, :n]
        return np.exp(-np.trace(s + np.linalg.inv(s), axis1=1, axis2=2) - (offset**2).sum(axis=(1, 2)))

    whole, error = estimate(f(samples.elements), samples)
    for moved in (h @ samples.elements, samples.elements @ h):
        found, other = estimate(f(moved), samples)
        assert abs(found - whole) < 4 * (error + other)
        assert other < 0.07 * whole


def test_samples_are_in_the_group_and_print():
    samples = LinearGroup(3, special=True).sample(50, seed=2)
    np.testing.assert_allclose(np.linalg.det(samples.elements), 1, rtol=1e-12)
    assert repr(samples).startswith("GroupSamples(50 elements of order 3, effective number")
    single = LinearGroup(2).sample(5, dtype=np.float32)
    assert single.elements.dtype == single.weights.dtype == np.float32
    again = LinearGroup(2).sample(5, np.random.default_rng(0), dtype=np.float32)
    np.testing.assert_array_equal(again.elements, single.elements)
    assert LinearGroup(2, special=True).dimension == 3


def test_refusals():
    group = LinearGroup(2)
    for bad in ({"n": 4}, {"n": 0}, {"n": 1, "special": True}):
        with pytest.raises(InvalidValueError, match="n of 1 to 3"):
            LinearGroup(**bad)
    flip, singular = np.diag([1.0, -1.0]), np.array([[1.0, 2.0], [2.0, 4.0]])
    for call in (group.coordinates, group.features):
        with pytest.raises(InvalidValueError, match="negative determinant"):
            call(np.stack([np.eye(2), flip]))
        with pytest.raises(InvalidValueError, match="not unique"):
            call(singular)
        with pytest.raises(InvalidValueError):
            call(np.full((2, 2), np.nan))
        with pytest.raises(ShapeError, match=r"\(\.\.\., 2, 2\)"):
            call(np.eye(3))
    with pytest.raises(InvalidValueError, match="differ from 1"):
        LinearGroup(2, special=True).features(2 * np.eye(2))
    for options in ({"count": 0}, {"count": 3, "spread": 0.0}):
        with pytest.raises(InvalidValueError, match="expected at least 1"):
            group.sample(**options)
    with pytest.raises(DTypeError):
        group.sample(3, dtype=np.int64)
    with pytest.raises(InvalidValueError, match="smaller spread"):
        group.sample(3, spread=400.0)
    with pytest.raises(ShapeError):
        GroupSamples(np.eye(2), np.ones(2))
    with pytest.raises(InvalidValueError, match="positive"):
        GroupSamples(np.eye(2)[None], np.zeros(1))
