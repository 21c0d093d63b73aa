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
    assert level.inverse.nbytes == 4 * d.nbytes
    assert level.nbytes == 5 * d.nbytes
    assert level.whole.tolist() == [0, 0, 0, 4, 4, 4, 4]
