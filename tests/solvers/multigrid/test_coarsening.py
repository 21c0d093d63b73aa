"""Coarse operators against what they are in one dimension and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers import PoissonOperator
from sci.solvers.multigrid.coarsening import (
    average,
    body_factor,
    coarse_fraction,
    coarse_kind,
    transfer_weights,
    wall_factors,
    wall_ratio,
)
from sci.solvers.multigrid.level import Level
from sci.solvers.poisson.faces import DIRICHLET, FLUID, NEUMANN


def _finest(mask, boundary="dirichlet", neumann_body=False) -> tuple[PoissonOperator, Level]:
    A = PoissonOperator(mask, 1.0, boundary, neumann_body=neumann_body)
    return A, Level(A.grid, A.stencil.d, None, np.float64, kind=A.kind)


def test_the_zero_comes_nearer_from_level_to_level():
    assert wall_factors(16, 0) == (1.0, 1.0)
    for level, distance in ((1, 3 / 4), (2, 5 / 8), (3, 9 / 16)):
        assert wall_factors(16, level) == pytest.approx((1 / distance,) * 2)
        assert body_factor(level) == pytest.approx(1 / distance)
        assert wall_ratio(level) == pytest.approx(body_factor(level) / body_factor(level - 1))
    low, high = wall_factors(7, 1)
    assert (low, high) == pytest.approx((4 / 3, 2.0))  # the last cell is half outside


def test_kinds_follow_what_fills_a_cell():
    mask = np.ones((4, 4), bool)
    mask[:2, :2] = False
    mask[2:, 2:] = False
    body = np.zeros((4, 4), bool)
    body[:2, :2] = True
    A, fine = _finest(mask, neumann_body=body)
    kind = coarse_kind(fine.layout, A.grid.coarser, A.kind, A.wall_kinds, 0.1)
    assert kind[A.grid.coarser.layout.key].tolist() == [[NEUMANN, FLUID], [FLUID, DIRICHLET]]
    fraction = coarse_fraction(fine.layout, (A.kind == FLUID).astype(np.float32))
    assert fraction[A.grid.coarser.layout.key].tolist() == [[0, 1], [1, 0]]


def test_averaged_links_of_a_full_box():
    A, fine = _finest(np.ones((8, 8, 8), bool))
    grid = A.grid.coarser
    kind = coarse_kind(fine.layout, grid, A.kind, A.wall_kinds, 0.1)
    coarse = average(fine, grid, kind, wall_ratio(1), np.float64)
    inner = coarse.offdiag[0][grid.layout.box_key]
    assert (inner[1:] == 1).all()
    assert not inner[0].any()
    d = coarse.d[grid.layout.box_key]
    assert d[1, 1, 1] == 6
    assert d[0, 1, 1] == pytest.approx(5 + 4 / 3)


def test_half_blocked_faces_count_half():
    mask = np.ones((4, 4, 4), bool)
    mask[1:3, :2, :2] = False  # a quarter of the faces between the two halves along the first axis
    A, fine = _finest(mask, "neumann", True)
    grid = A.grid.coarser
    kind = coarse_kind(fine.layout, grid, A.kind, A.wall_kinds, 0.1)
    coarse = average(fine, grid, kind, 1.0, np.float64)
    link = coarse.offdiag[0][grid.layout.box_key][1]
    np.testing.assert_allclose(link, [[0, 1], [1, 1]])
    assert (kind[grid.layout.box_key] == FLUID).all()


def test_interpolation_keeps_constants_beside_neumann_walls():
    A, fine = _finest(np.ones((6, 8), bool), ["neumann", ("neumann", "dirichlet")])
    coarse = coarse_kind(fine.layout, A.grid.coarser, A.kind, A.wall_kinds, 0.1)
    weights = transfer_weights(fine.layout, A.kind, coarse, np.float64)[fine.layout.key]
    np.testing.assert_allclose(weights[0, 0], 1 / 0.75**2)
    np.testing.assert_allclose(weights[2:4, 2:4], 1.0)
    np.testing.assert_allclose(weights[2, -1], 1.0)
    B, level = _finest(np.ones((6, 8), bool))
    kind = coarse_kind(level.layout, B.grid.coarser, B.kind, B.wall_kinds, 0.1)
    assert transfer_weights(level.layout, B.kind, kind, np.float64) is None
