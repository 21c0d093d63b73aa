"""Reductions over pairs on any number of ranks, on packed points, and with bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError
from sci.linalg import PackedPoints, log_sum_exp, nearest, nearest_k, steepest, weighted_sum

RNG = np.random.default_rng(5)


def test_packed_points_give_the_same_answer() -> None:
    x, y = RNG.normal(size=(41, 3)), RNG.normal(size=(23, 3))
    packed = PackedPoints(x)
    assert repr(packed) == "PackedPoints(41 points of dimension 3, float64)"
    for ours, plain in ((nearest(packed, y), nearest(x, y)), (nearest_k(packed, 4), nearest_k(x, 4))):
        np.testing.assert_array_equal(ours, plain)


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
    "fine labels": (
        lambda: steepest(np.ones((2, 1), "f4"), np.array([2.0**24, 2.0**24 + 1])),
        InvalidValueError,
        "labels hold numbers that float32",
    ),
    "large": (lambda: nearest(np.full((2, 3), 1e19, "f4"), np.ones((1, 3), "f4")), InvalidValueError, "another unit"),
    "small": (lambda: nearest(np.ones((1, 3)), np.full((2, 3), 1e-160)), InvalidValueError, "y holds numbers up to"),
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
