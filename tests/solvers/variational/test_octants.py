"""Gradients in the corners of cells: the slopes of plane functions, and the cells of which a corner counts."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers import PoissonOperator
from sci.solvers.variational.octants import Corners, view_around


def test_a_plane_has_its_slope_in_every_corner():
    A = PoissonOperator(np.ones((4, 5, 3), bool), (0.5, 1.0, 2.0))
    corners = Corners(A)
    axes = [h * np.arange(-1, n + 1) for h, n in zip(A.spacing, A.grid_shape)]
    plane = np.add.outer(np.add.outer(2 * axes[0], -axes[1]), 0.5 * axes[2])
    here = corners.padded(plane[A.interior], plane)
    faces = corners.faces(here, data=True)
    assert len(corners.corners) == 8
    for corner in corners.corners:
        p = corners.gradient(faces, corner)[:, corners.counted[corner]]
        np.testing.assert_allclose(p, np.broadcast_to([[2.0], [-1.0], [0.5]], p.shape), atol=1e-13)


def test_half_a_cell_beyond_a_wall_counts():
    """Each Dirichlet wall adds half a layer of cells; Neumann and periodic ones add none."""
    mask = np.ones((6, 4), bool)
    for walls, layers in (
        ("dirichlet", (1, 1)),
        ("neumann", (0, 0)),
        (["periodic", ("dirichlet", "neumann")], (0, 0.5)),
    ):
        corners = Corners(PoissonOperator(mask, 1.0, walls))
        volume = sum(counted.sum() for counted in corners.counted.values()) / 4
        assert volume == 24 + layers[0] * 4 + layers[1] * 6


@pytest.mark.parametrize("neumann", [True, False])
def test_a_body_counts_where_its_value_matters(neumann):
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    corners = Corners(PoissonOperator(mask, 1.0, "neumann", neumann_body=neumann))
    volume = sum(counted.sum() for counted in corners.counted.values()) / 4
    assert volume == (24 if neumann else 25)
    assert corners.kind.shape == (7, 7)


def test_assembly_is_the_transpose_of_the_gradient():
    rng = np.random.default_rng(1)
    A = PoissonOperator(rng.random((6, 5, 4)) > 0.2, (0.5, 0.7, 1.0), ["periodic", "dirichlet", "neumann"])
    corners = Corners(A)
    v = rng.normal(size=A.grid_shape) * A.mask
    there = corners.padded(v, None)
    faces = corners.faces(there, data=False)
    fluxes = {c: (rng.normal(size=corners.shape), rng.normal(size=(3, *corners.shape))) for c in corners.corners}
    work = 0.0
    for corner, (by_u, by_p) in fluxes.items():
        value = by_u * there + (by_p * corners.gradient(faces, corner)).sum(axis=0)
        work += corners.only(corner, value).sum() / 8
    total = corners.assemble(corners.collect((c, *parts) for c, parts in fluxes.items()))
    assert (total * v).sum() == pytest.approx(work, rel=1e-12)
    mean = corners.mean((c, by_u) for c, (by_u, _) in fluxes.items())
    np.testing.assert_allclose(mean, A.mask * sum(by_u for by_u, _ in fluxes.values())[A.interior] / 8, atol=1e-13)


def test_the_view_has_one_layer_around_the_block():
    for shape in ((3, 4), (3, 4, 5)):
        A = PoissonOperator(np.ones(shape, bool))
        assert A.kind[view_around(A)].shape == tuple(n + 2 for n in shape)
