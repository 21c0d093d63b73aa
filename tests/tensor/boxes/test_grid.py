"""Grids of boxes: every point lies in its box, and tiles visit each point once."""

from __future__ import annotations

import numpy as np
import pytest
from box_systems import GRID, points_in_grid
from hypothesis import given
from hypothesis import strategies as st

from sci.kernels import block_size
from sci.tensor.boxes.grid import Tiles, local_coordinates


@given(st.integers(0, 200), st.integers(0, 10**6))
def test_a_point_lies_between_the_edges_of_its_cell(n: int, seed: int) -> None:
    points = points_in_grid(n, seed)
    cells, local = local_coordinates(points, GRID)
    for axis in range(3):
        edges, x = GRID.edges(axis), points[:, axis]
        assert (edges[cells[axis]] <= x + 1e-12).all()
        assert (x <= edges[cells[axis] + 1] + 1e-12).all()
        back = edges[cells[axis]] + (local[axis] + 1) / 2 * np.diff(edges)[cells[axis]]
        np.testing.assert_allclose(back, x, atol=1e-12)


@given(st.integers(0, 200), st.integers(0, 10**6))
def test_sorting_groups_the_points_by_boxes(n: int, seed: int) -> None:
    points = points_in_grid(n, seed)
    order, offsets = GRID.sort(points)
    c1, c2, c3 = GRID.cells(points[order])
    box = (c1 * GRID.counts[1] + c2) * GRID.counts[2] + c3
    assert sorted(order) == list(range(n))
    for b in range(GRID.size):
        assert (box[offsets[b] : offsets[b + 1]] == b).all()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 5000])
def test_tiles_visit_each_point_once_and_stay_in_one_box(n: int) -> None:
    points = points_in_grid(n)
    tiles = Tiles.of(points, GRID)
    assert sorted(tiles.order) == list(range(n))
    assert (tiles.start[0], tiles.start[-1]) == (0, n)
    assert (np.diff(tiles.start) <= block_size(points)).all()
    c1, c2, c3 = GRID.cells(points)
    box = (c1 * GRID.counts[1] + c2) * GRID.counts[2] + c3
    for tile, expected in enumerate(tiles.box):
        assert (box[tiles.order[tiles.start[tile] : tiles.start[tile + 1]]] == expected).all()
    assert repr(tiles) == f"Tiles({n} points in {len(tiles.box)} tiles)"
