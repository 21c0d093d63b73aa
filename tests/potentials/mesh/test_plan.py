"""The choice of cutoff, bandwidth, grid and window."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mesh_cases import CELL

from sci.potentials.mesh.errors import ChargeSizes, mesh_force_error
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.plan import check_plan, plan_mesh
from sci.potentials.mesh.prolate import ProlateSplit

WATER = tuple((62.23 * np.eye(3)).ravel().tolist())
STRENGTH = 0.35 * math.sqrt(23_558 / 62.23**3)
SIZES = ChargeSizes(23_558, STRENGTH, 0.4)


@pytest.mark.parametrize("error", [1e-3, 1.5e-5, 1e-8, 1e-10])
def test_a_plan_meets_its_error_closely(error):
    plan = plan_mesh(WATER, SIZES, error, True)
    mesh = mesh_force_error(plan.split, np.reshape(WATER, (3, 3)), plan.grid, plan.order, SIZES)
    assert plan.force_error == pytest.approx(math.hypot(plan.split.force_error(STRENGTH), mesh))
    assert 0.3 * error < plan.force_error < 1.1 * error
    assert all(n % 2 == 0 and n >= 8 for n in plan.grid)


def test_water_takes_what_was_measured_to_be_fast():
    plan = plan_mesh(WATER, SIZES, 1.5e-5, True)
    assert 5.0 < plan.split.cutoff < 8.5
    assert 10 < plan.split.c < 13
    assert 36 <= plan.grid[0] <= 64


def test_smaller_errors_cost_more_and_float64_too():
    plans = [plan_mesh(WATER, SIZES, error, True).seconds for error in (1e-3, 1e-5, 1e-7)]
    assert plans == sorted(plans)
    assert plan_mesh(WATER, SIZES, 1e-5, False).seconds > plans[1]


def test_long_and_skewed_cells_take_more_points_along_longer_periods():
    cell = CELL * np.array([[1.0], [2.0], [4.0]])
    plan = plan_mesh(tuple(cell.ravel().tolist()), ChargeSizes(500, 0.3, 1.0), 1e-5, False)
    counts, lengths = np.array(plan.grid), np.linalg.norm(cell, axis=1)
    assert np.ptp(counts / lengths) < 0.25 * (counts / lengths).mean()


def test_what_no_mesh_reaches():
    assert plan_mesh(WATER, SIZES, 1e-18, False) is None
    assert check_plan(WATER, SIZES, 1e-18) is None


def test_the_mesh_to_compare_with_is_another_one():
    plan = check_plan(WATER, SIZES, 1e-6)
    assert isinstance(plan.split, GaussianSplit)
    assert isinstance(plan_mesh(WATER, SIZES, 1e-6, False).split, ProlateSplit)
    assert (plan.dtype, plan.order) == ("float64", 8)
    assert plan.force_error < 1.05e-6
