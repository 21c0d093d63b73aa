"""Axes: ascending places, categories, and entries that are none of them."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.completion import Axis
from sci.completion.axes import as_column, axis_of
from sci.errors import InvalidValueError, SciError, ShapeError

SITES = ("Bern", "Üetliberg", "a", "Basel")


def test_an_entry_that_is_no_place_is_named() -> None:
    axis = Axis("time", np.array([0.0, 1.0, 2.5]))
    np.testing.assert_array_equal(axis.index_of([2.5, 0.0]), [2, 0])
    for bad in (0.5, -1.0, 3.0):
        with pytest.raises(InvalidValueError, match=f"axis time: {bad} in row 1 is none of its 3 places"):
            axis.index_of([0.0, bad])
    with pytest.raises(InvalidValueError, match="axis time holds names; expected numbers"):
        axis.index_of(["a"])
    with pytest.raises(InvalidValueError, match="axis site holds numbers; expected names"):
        Axis("site", np.array(["a"])).index_of([1.0])


@pytest.mark.parametrize("places", [[1.0, 1.0], [2.0, 1.0], [0.0, np.nan], [], [[1.0]], ["b", "a"]])
def test_places_ascend(places: list) -> None:
    with pytest.raises(SciError, match="axis x"):
        Axis("x", np.array(places))


def test_the_two_zeros_are_one_place() -> None:
    axis, index = axis_of("x", as_column([-0.0, 0.0, 1.0], "x"), None, None)
    assert len(axis) == 2
    np.testing.assert_array_equal(index, [0, 0, 1])
    assert not np.signbit(axis.places).any()


def test_a_column_of_objects_is_read_as_names() -> None:
    assert as_column(np.array(["a", "bb"], dtype=object), "x").dtype.kind == "U"
    with pytest.raises(ShapeError, match="axis x"):
        as_column([["a"]], "x")


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ranks_have_one_axis(size: int) -> None:
    """Names of different lengths, the last rank without entries."""

    def body(comm: ThreadComm) -> tuple[Axis, np.ndarray, np.ndarray]:
        mine = slice(comm.Get_rank(), None, max(1, size - 1)) if comm.Get_rank() < max(1, size - 1) else slice(0, 0)
        column = as_column(np.array(SITES)[mine], "site") if len(SITES[mine]) else np.zeros(0, "U1")
        return *axis_of("site", column, None, comm), np.array(SITES)[mine]

    for axis, index, names in on_ranks(size, body):
        np.testing.assert_array_equal(axis.places, sorted(SITES))
        np.testing.assert_array_equal(axis.places[index], names)


def test_regular_places_are_those_of_an_equally_spaced_axis() -> None:
    np.testing.assert_array_equal(Axis("x", np.arange(5) * 0.1).regular(2), np.arange(5) * 0.1)
    np.testing.assert_allclose(Axis("x", np.array([0.0, 0.1, 1.0])).regular(9), [0.0, 0.5, 1.0])
    assert Axis("x", np.array(["a", "b"])).regular(2).tolist() == ["a", "b"]
    with pytest.raises(InvalidValueError, match="most is 1"):
        Axis("x", np.arange(3.0)).regular(1)
