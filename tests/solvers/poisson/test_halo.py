"""The cells of a box that need no halo, and the others."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.solvers.poisson.blocks import Blocks
from sci.solvers.poisson.halo import interior_and_shell


@pytest.mark.parametrize("lengths", [(1, 1, 1), (2, 5, 5), (3, 3, 3), (5, 4, 7), (1, 9, 9)])
def test_interior_and_shell_are_a_partition(lengths):
    inner, shell = interior_and_shell(lengths)
    seen = np.zeros(lengths, int)
    for start, shape in [*shell, *([] if inner is None else [inner])]:
        seen[tuple(slice(a, a + n) for a, n in zip(start, shape))] += 1
    assert (seen == 1).all()
    assert (inner is None) == (min(lengths) < 3)


@pytest.mark.parametrize("boundary", ["dirichlet", "periodic"])
@pytest.mark.parametrize("shape", [(8, 8, 12), (12, 16)])
def test_an_exchange_brings_the_neighbors(shape, boundary):
    whole = np.random.default_rng(0).random(shape)
    mode = "wrap" if boundary == "periodic" else "constant"
    around = np.pad(whole, 1, mode=mode)

    def body(comm):
        blocks = Blocks(shape, comm, boundary=boundary, levels=1)
        grid = blocks.grids[0]
        padded = grid.fill(grid.layout.spread(whole[blocks.slices]))
        own = tuple(slice(s.start, s.stop + 2) for s in blocks.slices)
        found = padded[grid.layout.halo_view][tuple(slice(0, n + 2) for n in grid.layout.grid_shape)]
        np.testing.assert_array_equal(found, around[own])

    for size in (1, 2, 4):
        on_ranks(size, body)
