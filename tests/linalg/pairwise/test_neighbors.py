"""Nearest points against trees and dense matrices, and the steepest pair against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

import sci
from sci.linalg import nearest, nearest_k, steepest

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("d", [1, 3, 30, 1100])
def test_neighbors_are_those_of_a_tree(d: int) -> None:
    x, y = RNG.normal(size=(211, d)), RNG.normal(size=(97, d))
    squared, index = nearest(x, y)
    distance, expected = cKDTree(y).query(x)
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(np.sqrt(squared), distance, rtol=1e-14)
    squared, index = nearest_k(x, 7)
    distance, expected = cKDTree(x).query(x, 8)
    np.testing.assert_array_equal(index, expected[:, 1:])
    np.testing.assert_allclose(np.sqrt(squared), distance[:, 1:], rtol=1e-14)


def test_distances_of_neighbors_keep_their_digits_far_from_the_origin() -> None:
    """The expansion |x|^2 + |y|^2 - 2 x'y would lose all of them: 1e16 against 1e-8."""
    y = 1e8 + np.array([[0.0], [1.0], [2.5]])
    squared, index = nearest(y + 2.0**-20, y)
    np.testing.assert_array_equal(squared, np.full(3, 2.0**-40))
    np.testing.assert_array_equal(index, [0, 1, 2])


@settings(max_examples=80, deadline=None)
@given(
    *(st.integers(1, 60), st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**31), st.sampled_from(["f4", "f8"])),
    *(st.sampled_from([0.0, 3.0, 1e3, 1e6]), st.integers(-12, 12), st.sampled_from([1.0, 1e-3, 1e-6])),
)
def test_the_nearest_is_that_of_squared_differences_bit_for_bit(n, m, d, seed, dtype, offset, exponent, spread):
    """`nearest` compares expanded squares, `nearest_k` squared differences: near ties, offsets, units, copies."""
    rng = np.random.default_rng(seed)
    y = offset + np.repeat(rng.normal(size=(-(-m // 3), d)), 3, axis=0)[:m] + spread * rng.normal(size=(m, d))
    x = np.concatenate([y[rng.integers(0, m, n)] + 0.1 * rng.normal(size=(n, d)), (y[:1] + y[-1:]) / 2])
    x, y = ((a * 10.0**exponent).astype(dtype) for a in (x, y))
    squared, index = nearest(x, y)
    expected, first = nearest_k(x, 1, y)
    np.testing.assert_array_equal(index, first[:, 0])
    assert squared.tobytes() == expected.tobytes()


def test_expanded_squares_alone_would_be_wrong() -> None:
    """Points halfway between two others, to a few units of the last place."""
    rng = np.random.default_rng(2)
    pairs, gap = (5 + rng.normal(size=(200, 30))).astype("f4"), rng.normal(size=(200, 30)).astype("f4")
    y = np.concatenate([pairs - gap, pairs + gap])
    x = pairs + (1e-7 * gap).astype("f4")
    squared, index = nearest(x, y)
    difference = ((x[:, None].astype(float) - y.astype(float)) ** 2).sum(axis=2)
    best = difference.min(axis=1)
    found = difference[np.arange(200), index]
    assert (found <= best * (1 + 32 * np.finfo("f4").eps)).all()
    np.testing.assert_array_equal(index, nearest_k(x, 1, y)[1][:, 0])
    expanded = (y * y).sum(axis=1) / 2 - x @ y.T
    assert (expanded.argmin(axis=1) != index).sum() > 20
    np.testing.assert_allclose(squared, best, rtol=4e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**31), st.sampled_from(["f4", "f8"]))
def test_ties_go_to_the_lower_number(n: int, m: int, d: int, seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 3, (k, d)).astype(dtype) for k in (n, m))
    squared = cdist(x, y, "sqeuclidean")
    order = np.argsort(squared, axis=1, kind="stable")
    k = int(rng.integers(1, m + 1))
    for mode in ("auto", "reference"):
        with sci.options(kernels=mode):
            found, index = nearest_k(x, k, y)
            one, first = nearest(x, y)
        np.testing.assert_array_equal(index, order[:, :k])
        np.testing.assert_array_equal(found, np.take_along_axis(squared, order[:, :k], axis=1))
        np.testing.assert_array_equal((one, first), (squared.min(axis=1), order[:, 0]))


def test_the_steepest_pair_is_that_of_brute_force() -> None:
    x, labels = RNG.normal(size=(90, 5)), RNG.integers(0, 4, 90)
    slopes = np.abs(labels[:, None] - labels) / np.where((d := cdist(x, x)) > 0, d, np.inf)
    slope, index = steepest(x, labels)
    np.testing.assert_allclose(slope, slopes.max(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(index, slopes.argmax(axis=1))
    classes = (labels[:, None] != labels) / np.where(d > 0, d, np.inf)
    np.testing.assert_allclose(steepest(x, labels, classes=True)[0], classes.max(axis=1), rtol=1e-14)


@pytest.mark.parametrize("mode", ["auto", "reference"])
def test_slopes_do_not_depend_on_the_unit_of_labels(mode: str) -> None:
    x, labels = RNG.normal(size=(50, 3)), RNG.normal(size=50)
    for dtype, units in ((np.float64, (1e-290, 1e-170, 1e170, 1e290)), (np.float32, (1e-35, 1e-25, 1e25, 1e34))):
        with sci.options(kernels=mode):
            slope, index = steepest(x.astype(dtype), labels.astype(dtype))
            for unit in units:
                found, other = steepest(x.astype(dtype), (unit * labels).astype(dtype))
                np.testing.assert_allclose(found.astype(float) / unit, slope, rtol=50 * np.finfo(dtype).eps)
                np.testing.assert_array_equal(other, index)
            # The first two labels are equal beside the third, and each point still finds its own steepest partner.
            tiny = np.array([0, 1e-24 if dtype == np.float32 else 1e-170, 1], dtype)
            slope, index = steepest(np.array([[0], [0], [2]], dtype), tiny)
            np.testing.assert_array_equal((slope, index), ([0.5, 0.5, 0.5], [2, 2, 0]))


def test_equal_labels_have_no_slope_and_coincident_points_an_infinite_one() -> None:
    slope, index = steepest(np.zeros((3, 2)), [1, 1, 1])
    np.testing.assert_array_equal((slope, index), ([0, 0, 0], [-1, -1, -1]))
    slope, index = steepest(np.zeros((3, 2)), [1, 1, 2])
    np.testing.assert_array_equal(slope, [np.inf] * 3)
    np.testing.assert_array_equal(index, [2, 2, 0])
