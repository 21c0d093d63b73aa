"""Padded arrays: where cells lie, halos, and grids cut out again."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers.poisson.grid import Layout, box_key, rows_per_block


@pytest.mark.parametrize("shape", [(3, 4), (2, 5, 7), (1, 1, 1), (4, 4, 4)])
def test_a_grid_comes_back(shape):
    layout, grid = Layout(shape, (False,) * len(shape)), np.random.default_rng(0).random(shape)
    padded = layout.spread(grid)
    assert padded.shape == layout.padded_shape
    assert padded.sum() == pytest.approx(grid.sum())
    assert all((n - 2) % 2 == 0 for n in padded.shape[3 - len(shape) :])
    np.testing.assert_array_equal(layout.cells(padded), grid)
    np.testing.assert_array_equal(padded[layout.halo_view][(slice(1, -1),) * len(shape)], grid)
    result = layout.unpadded(padded)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, grid)


def test_periodic_axes_are_wrapped_and_halos_cleared():
    layout = Layout((3, 4, 5), (True, False, True))
    grid = np.random.default_rng(1).random((3, 4, 5))
    padded = layout.wrap(layout.spread(grid))
    around = np.pad(np.pad(grid, ((1, 1), (0, 0), (1, 1)), mode="wrap"), ((0, 0), (1, 1), (0, 0)))
    np.testing.assert_array_equal(padded[layout.halo_view], around)
    layout.clear_halo(padded)
    np.testing.assert_array_equal(padded[layout.halo_view], np.pad(grid, 1))


def test_a_box_may_extend_the_grid():
    layout = Layout((5, 3, 4), (False,) * 3, (8, 4, 4))
    assert layout.lengths == (8, 4, 4)
    assert layout.halved == Layout((3, 2, 2), (False,) * 3, (4, 2, 2))
    grid = np.ones((5, 3, 4))
    padded = layout.spread(grid)
    assert padded[layout.box_view].sum() == 60
    assert layout.unpadded(padded).shape == (5, 3, 4)


def test_boxes_and_blocks():
    layout = Layout((6, 5, 4), (False,) * 3)
    array = layout.box_array(np, ((1, 2, 0), (2, 3, 4)))
    assert box_key(array) == (slice(2, 4), slice(3, 6), slice(1, 5))
    chunk, blocks = rows_per_block(layout.whole(), np.zeros(1))
    assert chunk * blocks >= 30 > chunk * (blocks - 1)
