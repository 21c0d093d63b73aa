"""Chunks fill arrays, and their tolerances add up to that of the whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.compression.chunks.plans import CHUNK_VALUES, blocks_of, chunk_edges, folded, plan_chunks
from sci.errors import DTypeError, InvalidValueError, ShapeError


@pytest.mark.parametrize(
    ("shape", "chunk"),
    [((10,), 3), ((10, 7), (4, 2)), ((5, 6, 7), None), ((3, 4), 100), ((2, 3, 4, 5, 6), (1, 1, 2)), ((1,), None)],
)
def test_blocks_cover_every_place_once(shape: tuple[int, ...], chunk: Any) -> None:
    counts = np.zeros(shape, int)
    for place in blocks_of(shape, chunk_edges(shape, chunk)):
        counts[place] += 1
    assert (counts == 1).all()


@pytest.mark.parametrize("shape", [(128, 128, 128), (1024, 1024, 1024), (9000, 9000), (10**7,), (500, 2, 256, 256)])
def test_chunks_of_large_arrays_are_large_and_thick(shape: tuple[int, ...]) -> None:
    sizes = [math.prod(s.stop - s.start for s in place) for place in blocks_of(shape, chunk_edges(shape))]
    assert max(sizes) <= CHUNK_VALUES
    assert len(sizes) <= 4 * math.prod(shape) / CHUNK_VALUES + 1
    for axis in chunk_edges(shape):
        assert min(np.diff(axis)) >= min(31, axis[-1])


def test_more_than_four_axes_become_four() -> None:
    assert folded((2, 3, 4, 5)) == (2, 3, 4, 5)
    assert folded((2, 3, 4, 5, 6, 7)) == (24, 5, 6, 7)


@pytest.mark.parametrize("chunk", [0, (1, 2, 3), (), "x", 2.5])
def test_wrong_chunks_are_refused(chunk: Any) -> None:
    with pytest.raises((InvalidValueError, ShapeError), match="chunk"):
        chunk_edges((4, 4), chunk)


def test_an_axis_of_no_length_is_named() -> None:
    for chunk in (None, 2):
        with pytest.raises(ShapeError, match="at least one number"):
            chunk_edges((0, 3), chunk)


def test_squared_tolerances_add_up() -> None:
    field = np.ones((4, 5)) * [[10.0], [8.0], [0.001], [0.0]]
    plan = plan_chunks(field, 0.1, chunk=1)
    assert plan.l2_norm == pytest.approx(np.linalg.norm(field))
    assert plan.value_range == 10.0
    assert math.hypot(*plan.tolerances) == pytest.approx(0.1 * plan.l2_norm, rel=1e-8)
    assert plan.tolerances[3] == 0.0


@pytest.mark.parametrize("scale", [1e-200, 1e-40, 1e150])
def test_plans_do_not_depend_on_units(scale: float) -> None:
    field = np.random.default_rng(1).normal(size=(9, 6))
    one, other = plan_chunks(field, 0.1, chunk=2), plan_chunks(scale * field, 0.1, chunk=2)
    np.testing.assert_allclose(other.tolerances / scale, one.tolerances, rtol=1e-6)
    with pytest.raises(InvalidValueError, match="exceeds float64"):
        plan_chunks(np.full((9, 9), 1e308), 0.1)


def test_the_maximum_is_relative_to_the_range_of_the_whole() -> None:
    field = np.array([[0.0, 1.0], [5.0, 9.0]])
    np.testing.assert_allclose(plan_chunks(field, 0.1, bound="maximum", chunk=1).tolerances, [0.9, 0.9])
    absolute = plan_chunks(field, 0.1, bound="maximum", relative=False, chunk=1)
    np.testing.assert_allclose(absolute.tolerances, [0.1, 0.1])


def test_integers_are_noticed() -> None:
    assert plan_chunks(np.arange(6.0), 0.1, chunk=2).integral
    assert not plan_chunks(np.arange(6.0) + 0.5 * (np.arange(6) == 5), 0.1, chunk=2).integral


@pytest.mark.parametrize(
    ("field", "settings", "error", "words"),
    [
        (np.array([1.0, 2.0, np.nan]), {"chunk": 2}, InvalidValueError, r"NaN or Inf at \(2,\)"),
        (np.array([[1.0, -np.inf]]), {}, InvalidValueError, r"NaN or Inf at \(0, 1\)"),
        (np.arange(3), {}, DTypeError, "int64; expected float32"),
        (np.zeros((0, 3)), {}, ShapeError, "at least one number"),
        (np.float64(1), {}, ShapeError, "one number"),
        (np.ones(3), {"bound": "l1"}, InvalidValueError, "bound is 'l1'"),
        (np.ones(3), {"tol": 0.0}, InvalidValueError, "tol is 0.0"),
        (np.ones(3), {"tol": math.nan}, InvalidValueError, "tol is nan"),
    ],
)
def test_bad_fields_and_settings_are_named(field: Any, settings: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        plan_chunks(field, **{"tol": 0.1, **settings})


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_plans_are_those_of_one_process(ranks: int) -> None:
    field = np.random.default_rng(0).normal(size=(13, 6))
    one = plan_chunks(field, 0.01, chunk=3)
    for other in on_ranks(ranks, lambda comm: plan_chunks(field, 0.01, chunk=3, comm=comm)):
        assert other.tolerances.tobytes() == one.tolerances.tobytes()
        assert (other.l2_norm, other.value_range) == (one.l2_norm, one.value_range)
