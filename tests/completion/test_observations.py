"""Observed entries: merged, standardized, refused by name, and the same on any number of ranks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.completion import Observations, observe
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError

RNG = np.random.default_rng(3)
SHAPE = (5, 7, 4)
INDEX = RNG.integers(0, SHAPE, size=(300, 3))
VALUES = np.round(RNG.normal(size=300), 1)
INDEX[250:], VALUES[240:] = INDEX[:50], VALUES[:60]


def test_equal_entries_are_merged_and_none_is_lost() -> None:
    found = observe(INDEX, VALUES, shape=SHAPE)
    rows = np.column_stack([INDEX, VALUES])
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    np.testing.assert_array_equal(np.column_stack([found.index, found.values]), distinct)
    np.testing.assert_array_equal(found.weights, counts)
    assert found.weights.max() > 1
    assert found.n_entries == 300
    np.testing.assert_allclose([found.offset, found.scale], [VALUES.mean(), VALUES.std()], rtol=1e-14)
    assert abs((found.weights * found.standardized).sum()) < 1e-12


def test_scattered_coordinates_and_categories_become_places() -> None:
    x, site = RNG.normal(size=40), np.array(list("cabd" * 10))
    found = observe({"x": x, "site": site}, np.arange(40.0))
    assert found.shape == (40, 4)
    np.testing.assert_array_equal(found.axes[0].places, np.sort(x))
    order = np.argsort(x)
    np.testing.assert_array_equal(found.values, order)
    np.testing.assert_array_equal(found.axes[1].places[found.index[:, 1]], site[order])


@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_a_scale_does_not_overflow(factor: float) -> None:
    found = observe(INDEX, VALUES * factor, shape=SHAPE)
    np.testing.assert_allclose(found.scale / factor, VALUES.std(), rtol=1e-12)


REFUSED: list[tuple[Any, Any, Any, type[SciError], str]] = [
    (INDEX, VALUES, (5, 6, 4), InvalidValueError, "axis axis_1: index 6 in row .* from 0 to 5"),
    (INDEX - 1, VALUES, SHAPE, InvalidValueError, "axis axis_0: index -1"),
    (INDEX + 0.5, VALUES, SHAPE, InvalidValueError, "index .*.5 in row 0"),
    (INDEX, VALUES, (5, 7), InvalidValueError, "expected 3 positive numbers"),
    (INDEX, VALUES, (5, 7, 0), InvalidValueError, "expected 3 positive numbers"),
    (INDEX * [1, 0, 1], VALUES, None, InvalidValueError, "axis axis_1: all entries lie at 0.0"),
    (INDEX, np.full(300, 0.1), SHAPE, InvalidValueError, "all values equal 0.1"),
    (INDEX, 1e9 + np.zeros(300), SHAPE, InvalidValueError, "all values equal 1000000000"),
    (INDEX, np.where(np.arange(300) == 7, np.nan, VALUES), SHAPE, InvalidValueError, r"values .* at index \(7,\)"),
    (np.where(INDEX == 3, np.inf, INDEX), VALUES, None, InvalidValueError, "axis axis_0"),
    (INDEX[:5], VALUES[:5], SHAPE, InvalidValueError, "5 entries of 3 axes; expected at least 6"),
    (INDEX[:50], VALUES, SHAPE, ShapeError, "axis axis_0 has 50 entries; expected 300"),
    (INDEX[:, :1], VALUES, None, ShapeError, "1 axes .* expected 2 to 6"),
    (INDEX[:, 0], VALUES, None, ShapeError, r"expected \(n, K\)"),
    ({"a": ["x"] * 6, "b": range(6)}, VALUES[:6], (2, 6), DTypeError, "axis a holds names"),
]


@pytest.mark.parametrize(("x", "y", "shape", "error", "text"), REFUSED)
def test_what_cannot_be_right_is_refused_by_name(x: Any, y: Any, shape: Any, error: type[SciError], text: str) -> None:
    with pytest.raises(error, match=text):
        observe(x, y, shape=shape)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_hold_the_entries_of_one_process_each_cell_once(size: int) -> None:
    def body(comm: ThreadComm) -> Observations:
        mine = slice(comm.Get_rank(), None, size - 1) if comm.Get_rank() < size - 1 else slice(0, 0)
        return observe(INDEX[mine], VALUES[mine], shape=SHAPE, comm=comm)

    parts, whole = on_ranks(size, body), observe(INDEX, VALUES, shape=SHAPE)
    joined = np.concatenate([np.column_stack([p.index, p.values, p.weights]) for p in parts])
    order = np.lexsort(joined[:, :4].T[::-1])
    np.testing.assert_array_equal(joined[order], np.column_stack([whole.index, whole.values, whole.weights]))
    assert min(len(p.values) for p in parts) > 0.5 * len(whole.values) / size
    for part in parts:
        np.testing.assert_allclose([part.offset, part.scale], [whole.offset, whole.scale], rtol=1e-13)
        assert part.n_entries == 300
    cells = [set(map(tuple, part.index.tolist())) for part in parts]
    assert sum(map(len, cells)) == len(set.union(*cells))


def test_axes_in_another_order_on_a_rank_are_refused_on_all() -> None:
    def body(comm: ThreadComm) -> str:
        names = ("a", "b") if comm.Get_rank() == 0 else ("b", "a")
        with pytest.raises(InvalidValueError) as caught:
            observe({name: INDEX[:, "ab".index(name)] for name in names}, VALUES, comm=comm)
        return str(caught.value)

    assert all(re.search("axes differs between ranks", text) for text in on_ranks(3, body))


def test_a_range_that_overflows_is_refused_by_name() -> None:
    x = np.array([-1e308, 0.0, 5e307, 1e308])
    with pytest.raises(InvalidValueError, match=r"axis a: the range from -1e\+308 to 1e\+308 overflows"):
        observe({"a": x, "b": np.arange(4)}, np.arange(4.0))
    assert observe({"a": x / 2, "b": np.arange(4)}, np.arange(4.0)).shape == (4, 4)


def test_a_fault_on_one_rank_is_an_error_on_all() -> None:
    def body(comm: ThreadComm) -> str:
        values = VALUES if comm.Get_rank() else VALUES * np.nan
        with pytest.raises(InvalidValueError) as caught:
            observe(INDEX, values, shape=SHAPE, comm=comm)
        return str(caught.value)

    assert all(re.search("values holds 300 values that are NaN", text) for text in on_ranks(3, body))
