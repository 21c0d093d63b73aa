"""The choice of a process grid, against the best of all factorizations by brute force."""

from __future__ import annotations

import itertools
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.distributed.grids.process_grids import best_proc_shape
from sci.errors import DecompositionError


def volume(grid: tuple[int, ...], procs: tuple[int, ...]) -> int:
    return prod(-(-n // p) for n, p in zip(grid, procs))


@given(st.tuples(*[st.integers(1, 40)] * 3), st.integers(1, 24))
def test_no_other_grid_has_a_smaller_largest_box(grid: tuple[int, ...], n_ranks: int) -> None:
    found = best_proc_shape(grid, n_ranks, (0, 0, 0))
    divisors = [d for d in range(1, n_ranks + 1) if n_ranks % d == 0]
    others = [p for p in itertools.product(divisors, repeat=3) if prod(p) == n_ranks]
    assert prod(found) == n_ranks
    assert volume(grid, found) == min(volume(grid, p) for p in others)


def test_an_axis_stays_whole() -> None:
    assert best_proc_shape((8, 8, 8), 4, (0, 0, 0), whole=0) == (1, 2, 2)
    assert best_proc_shape((8,), 1, (0,), whole=0) == (1,)
    with pytest.raises(DecompositionError, match="stay whole"):
        best_proc_shape((8,), 2, (0,), whole=0)


def test_a_halo_that_is_wider_than_a_box_decides() -> None:
    assert best_proc_shape((16, 4), 4, (0, 3)) == (4, 1)
