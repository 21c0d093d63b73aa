"""One level: what it caches and holds."""

from __future__ import annotations

import numpy as np

from sci.solvers.multigrid.level import Level, inverse_diagonal
from sci.solvers.poisson.blocks import Grid


def test_the_inverse_is_zero_where_the_diagonal_is():
    d = np.array([0, 2, 4], np.int8)
    found = inverse_diagonal(d, np.float32)
    assert found.dtype == np.float32
    assert found.tolist() == [0.0, 0.5, 0.25]


def test_bytes_are_those_of_its_arrays():
    grid = Grid.whole((4, 4, 4), (False,) * 3)
    d = grid.layout.spread(np.full((4, 4, 4), 6, np.int8))
    level = Level(grid, d, None, np.float32)
    assert level.nbytes == d.nbytes
    assert level.split_inverse.nbytes == 16 * 32
    assert level.nbytes == d.nbytes + 16 * 32
    assert level.whole.tolist() == [0, 0, 0, 4, 4, 4, 4]


def test_halves_of_rows_follow_each_other():
    cells = np.arange(1.0, 2 * 3 * 5 + 1).reshape(2, 3, 5)
    grid = Grid.whole((2, 3, 5), (False,) * 3)
    level = Level(grid, grid.layout.spread(cells), None, np.float64)
    halves = level.split_inverse.reshape(2, 3, 2, 16)
    np.testing.assert_array_equal(halves[:, :, 0, :3], 1 / cells[..., ::2])
    np.testing.assert_array_equal(halves[:, :, 1, :2], 1 / cells[..., 1::2])
    assert not halves[:, :, 0, 3:].any()
    assert not halves[:, :, 1, 2:].any()
