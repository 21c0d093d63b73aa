"""Grids of the learned cycle: operators, transfers and surfaces on coarse cells."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers import PoissonOperator
from sci.solvers.learned import levels as cycle_levels
from sci.solvers.learned.levels import (
    apply_stencil,
    diagonal_of,
    first_level,
    hierarchy,
    restrict,
    upsample,
)
from sci.solvers.learned.parameters import (
    initial_parameters,
)
from sci.solvers.learned.reference import cycle_of

WALLS = [(True, True), (True, False), (False, True)]


@pytest.fixture(autouse=True)
def _three_levels(monkeypatch):
    monkeypatch.setattr(cycle_levels, "COARSEST", 12)


def test_the_first_level_is_the_operator():
    rng = np.random.default_rng(1)
    fluid = rng.random((5, 6, 4)) > 0.3
    neumann_body = ~fluid & (rng.random(fluid.shape) > 0.5)
    boundary = ["dirichlet", ("dirichlet", "neumann"), ("neumann", "dirichlet")]
    A = PoissonOperator(fluid, boundary=boundary, neumann_body=neumann_body)
    level = first_level(fluid, neumann_body, WALLS, np.float64)
    x = rng.normal(size=fluid.shape) * fluid
    np.testing.assert_allclose(
        apply_stencil(level.offdiag, diagonal_of(level.offdiag, level.dirichlet), x), A @ x, atol=1e-14
    )


def test_coarse_links_carry_the_flux_of_a_linear_field():
    """In an empty box every link is 1 on every level, and a Dirichlet wall half a fine cell away."""
    levels = hierarchy(first_level(np.ones((16, 16, 16), bool), np.zeros((16,) * 3, bool), [(True, True)] * 3, float))
    assert [level.shape for level in levels] == [(16,) * 3, (8,) * 3, (4,) * 3, (2,) * 3]
    for level in levels:
        assert all((link == 1).all() for link in level.offdiag)
        corner = level.dirichlet[0, 0, 0]
        assert corner == pytest.approx(3 * 2 / (1 + 0.5**level.depth))
        assert (level.fraction == 1).all()


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_restriction_is_the_transpose_of_interpolation(n):
    rng = np.random.default_rng(n)
    for axis in (-3, -2, -1):
        shape = [3, 4, 2]
        shape[axis] = (n + 1) // 2
        coarse = rng.normal(size=(2, *shape))
        shape[axis] = n
        fine = rng.normal(size=(2, *shape))
        left, right = np.vdot(upsample(coarse, axis, n, 0.2), fine), np.vdot(coarse, restrict(fine, axis, 0.2))
        assert left == pytest.approx(right, rel=1e-13)


@pytest.mark.parametrize("n", [9, 16])
def test_interpolation_keeps_constants_beside_neumann_surfaces(n):
    """With the linear tap everywhere but beside Dirichlet walls."""
    fluid, neumann_body = np.ones((n, 12, 12), bool), np.zeros((n, 12, 12), bool)
    fluid[4:8, :6, :4] = False
    neumann_body[4:8, :6, :4] = True
    levels = hierarchy(first_level(fluid, neumann_body, [(False, True), (False, False), (False, False)], np.float64))
    stage = cycle_of(levels, initial_parameters()).stages[0]
    ones = stage.transfer * stage.interpolate((levels[1].fraction > 0).astype(float))
    inner = np.s_[:-2]
    np.testing.assert_allclose(ones[inner], fluid[inner], atol=1e-14)
