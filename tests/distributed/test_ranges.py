"""Balanced ranges: they partition 0..n, and a position finds its range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.distributed import split
from sci.distributed.ranges import part, part_of, per_axis, place, split_bounds
from sci.errors import DecompositionError


@given(st.integers(0, 10**12), st.integers(1, 1000))
def test_ranges_differ_by_at_most_one(n: int, parts: int) -> None:
    bounds = split_bounds(n, parts)
    lengths = np.diff(bounds)
    assert (bounds[0], bounds[-1]) == (0, n)
    assert lengths.max() - lengths.min() <= 1
    assert (np.diff(lengths) <= 0).all()


@given(st.integers(1, 10**12), st.integers(1, 1000), st.data())
def test_a_position_lies_in_its_range(n: int, parts: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, n - 1))
    start, length = part(n, parts, part_of(n, parts, position))
    assert start <= position < start + length


def test_rank_and_size_are_given_together() -> None:
    assert place(None, 2, 5) == (2, 5)
    assert place(None, None, None) == (0, 1)
    for rank, size in ((1, None), (None, 3), (3, 3), (-1, 3)):
        with pytest.raises(DecompositionError):
            place(None, rank, size)
    with pytest.raises(DecompositionError, match="length -1"):
        split(-1)


def test_one_value_serves_every_axis() -> None:
    assert per_axis(3, 2, "halo") == (3, 3)
    assert per_axis((1, 2), 2, "halo") == (1, 2)
    with pytest.raises(DecompositionError, match="halo has 3 values"):
        per_axis((1, 2, 3), 2, "halo")
