"""Kinds of cells and weights of faces against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.faces import (
    DIRICHLET,
    FLUID,
    NEUMANN,
    assemble,
    count_faces,
    face_weights,
    padded_kind,
    wall_kinds,
)


def _kind(cells, boundary):
    cells = np.array(cells, np.int8)
    periodic = tuple(low == "periodic" for low, _ in boundary)
    grid = Grid.whole(cells.shape, periodic)
    return grid, padded_kind(grid, cells.reshape(grid.layout.lengths), wall_kinds(boundary))


def test_walls_surround_the_cells():
    grid, kind = _kind([[FLUID, FLUID, DIRICHLET]], [("neumann", "dirichlet"), ("periodic", "periodic")])
    around = kind[grid.layout.halo_view]
    assert around[1].tolist() == [DIRICHLET, FLUID, FLUID, DIRICHLET, FLUID]
    assert around[0, 1:4].tolist() == [NEUMANN] * 3
    assert around[2, 1:4].tolist() == [DIRICHLET] * 3


def test_neumann_faces_do_not_count():
    grid, kind = _kind([[FLUID, FLUID, NEUMANN], [FLUID, DIRICHLET, FLUID]], [("dirichlet", "dirichlet")] * 2)
    counts = grid.layout.cells(count_faces(grid.layout, kind))
    assert counts.tolist() == [[4, 3, 0], [4, 0, 3]]
    assert counts.dtype == np.int8


@pytest.mark.parametrize("mean", ["harmonic", "arithmetic"])
def test_weights_are_those_of_the_two_cells(mean):
    grid, kind = _kind([[FLUID, FLUID, FLUID]], [("neumann", "neumann"), ("dirichlet", "neumann")])
    coefficient = grid.layout.spread(np.array([[1.0, 3.0, 2.0]]))
    faces = list(face_weights(grid.layout, kind, coefficient, (1.0, 0.5), mean))
    offdiag = {(axis, side): link.ravel().tolist() for axis, side, link, _ in faces}
    walls = {(axis, side): wall.ravel().tolist() for axis, side, _, wall in faces}
    first, second = (6.0, 9.6) if mean == "harmonic" else (8.0, 10.0)
    assert offdiag[1, 1] == pytest.approx([first, second, 0.0])
    assert offdiag[1, -1] == pytest.approx([0.0, first, second])
    assert walls[1, -1] == [4.0, 0.0, 0.0]
    assert offdiag[0, 1] == walls[0, 1] == [0.0] * 3
    offdiag, diagonal = assemble(grid.layout, iter(faces))
    np.testing.assert_allclose(grid.layout.cells(diagonal), [[4 + first, first + second, second]])
    np.testing.assert_allclose(offdiag[2][1, 1, 1:5], [0, first, second, 0])
    assert not offdiag[:2].any()
