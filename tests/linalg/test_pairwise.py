"""Reductions over pairs against trees, dense matrices and closed forms, and over any number of ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError
from sci.linalg import log_sum_exp, nearest, nearest_k, steepest, weighted_sum

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("d", [1, 3, 30])
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


@pytest.mark.parametrize("rate", [1e-6, 1.0, 1e6])
def test_log_sum_exp_is_that_of_the_matrix(rate: float) -> None:
    x, y, h = RNG.normal(size=(50, 3)), RNG.normal(size=(70, 3)), RNG.normal(size=70)
    h[3] = -np.inf
    expected = logsumexp(h - rate * cdist(x, y, "sqeuclidean"), axis=1)
    found = log_sum_exp(x, y, h, rate)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    weights = np.exp(h - rate * cdist(x, y, "sqeuclidean") - expected[:, None])
    values = RNG.normal(size=(70, 6))
    np.testing.assert_allclose(weighted_sum(x, y, values, h, rate, found), weights @ values, rtol=0, atol=2e-9)
    ones = weighted_sum(x, y, np.ones((70, 1)), h, rate, found)
    np.testing.assert_allclose(ones, 1, rtol=2e-9)


def test_a_sum_over_nothing_is_minus_infinity() -> None:
    with np.errstate(all="raise"):
        found = log_sum_exp([[0.0]], [[1.0], [2.0]], [-np.inf, -np.inf], 1.0)
    assert found[0] == -np.inf


def test_the_steepest_pair_is_that_of_brute_force() -> None:
    x, labels = RNG.normal(size=(90, 5)), RNG.integers(0, 4, 90)
    slopes = np.abs(labels[:, None] - labels) / np.where((d := cdist(x, x)) > 0, d, np.inf)
    slope, index = steepest(x, labels)
    np.testing.assert_allclose(slope, slopes.max(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(index, slopes.argmax(axis=1))
    classes = (labels[:, None] != labels) / np.where(d > 0, d, np.inf)
    np.testing.assert_allclose(steepest(x, labels, classes=True)[0], classes.max(axis=1), rtol=1e-14)


def test_equal_labels_have_no_slope_and_coincident_points_an_infinite_one() -> None:
    slope, index = steepest(np.zeros((3, 2)), [1, 1, 1])
    np.testing.assert_array_equal((slope, index), ([0, 0, 0], [-1, -1, -1]))
    slope, index = steepest(np.zeros((3, 2)), [1, 1, 2])
    np.testing.assert_array_equal(slope, [np.inf] * 3)
    np.testing.assert_array_equal(index, [2, 2, 0])


def _all(x: Any, y: Any, comm: ThreadComm | None = None) -> list[np.ndarray]:
    h, labels = np.cos(y[:, 0]), np.round(x[:, 0])
    soft = log_sum_exp(x, y, h, 2.0, comm=comm)
    pairs = [*nearest(x, y, comm=comm), *nearest_k(x, 3, comm=comm), *nearest_k(x, 2, y, comm=comm)]
    return [*pairs, soft, weighted_sum(x, y, y, h, 2.0, soft, comm=comm), *steepest(x, labels, comm=comm)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ranks_give_the_serial_answer(size: int) -> None:
    """One rank of several has no point at all; ties go to the lower number on any number of ranks."""
    x, y = (RNG.integers(0, 5, (n, 2)) / 2 for n in (41, 23))
    serial = _all(x, y)
    cuts = [0, *sorted(RNG.integers(0, 42, max(size - 2, 0))), *[41] * min(size, 2)]
    cuts_y = [0] * (size > 1) + [*np.linspace(0, 23, size + (size == 1)).astype(int)]

    def body(comm: ThreadComm) -> list[np.ndarray]:
        r = comm.rank
        return _all(x[cuts[r] : cuts[r + 1]], y[cuts_y[r] : cuts_y[r + 1]], comm)

    parts = on_ranks(size, body)
    for k, expected in enumerate(serial):
        np.testing.assert_allclose(np.concatenate([p[k] for p in parts]), expected, rtol=1e-13, atol=1e-15)


BAD: dict[str, tuple[Callable[[], Any], type[SciError], str]] = {
    "nan": (lambda: nearest([[np.nan]], [[0.0]]), InvalidValueError, "x holds 1 values"),
    "no y": (lambda: nearest(np.ones((2, 2)), np.ones((0, 2))), InvalidValueError, "at least one point in y"),
    "d": (lambda: nearest(np.ones((2, 2)), np.ones((2, 3))), ShapeError, "y has shape"),
    "flat": (lambda: nearest(np.ones(3), np.ones(3)), ShapeError, "x has shape"),
    "no coordinates": (lambda: nearest(np.ones((3, 0)), np.ones((3, 0))), ShapeError, "no coordinates"),
    "dtypes": (lambda: nearest(np.ones((2, 2), "f4"), np.ones((2, 2))), DTypeError, "x is float32 and y is float64"),
    "text": (lambda: nearest([["a"]], [[0.0]]), DTypeError, "x"),
    "k = n": (lambda: nearest_k(np.ones((3, 2)), 3), InvalidValueError, "expected an integer from 1 to 2"),
    "k = 0": (lambda: nearest_k(np.ones((3, 2)), 0), InvalidValueError, "k is 0"),
    "k = 1.5": (lambda: nearest_k(np.ones((3, 2)), 1.5), InvalidValueError, "k is 1.5"),  # type: ignore[arg-type]
    "rate": (lambda: log_sum_exp([[0.0]], [[0.0]], [0.0], 0.0), InvalidValueError, "rate is 0.0"),
    "heights": (lambda: log_sum_exp([[0.0]], [[0.0]], [np.nan], 1.0), InvalidValueError, "heights holds 1"),
    "short": (lambda: log_sum_exp([[0.0]], [[0.0]], [0.0, 1.0], 1.0), ShapeError, "heights has shape"),
    "overflow": (
        lambda: weighted_sum([[0.0]], [[0.0]], [[1e300]], [700.0], 1.0, [0.0]),
        InvalidValueError,
        "pass the result of log_sum_exp",
    ),
    "labels": (lambda: steepest(np.ones((2, 2)), [1.0]), ShapeError, "labels has shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_ranks_that_disagree_are_told() -> None:
    def body(comm: ThreadComm) -> str:
        with pytest.raises(SciError, match="rate differs between ranks") as caught:
            log_sum_exp(np.ones((2, 1)), np.ones((2, 1)), np.zeros(2), 1.0 + comm.rank, comm=comm)
        return str(caught.value)

    assert len(set(on_ranks(2, body))) == 1
