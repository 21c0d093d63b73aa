"""A cavity on a grid: its place, its operator, and what its source is made of."""

from __future__ import annotations

import numpy as np
import pytest

from sci.applications.solvation.cavity import (
    cavity_on_grid,
    charge_depths,
    checked_radii,
    coverings,
    interpolate,
    require_inside,
    surrounding_box,
)
from sci.errors import InvalidValueError
from sci.potentials import Particles

PAIR = Particles([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [1.0, -0.5], [2.0, 1.5])


def test_depths_and_coverings():
    depths, around = coverings(PAIR, PAIR.radii)
    np.testing.assert_allclose(depths, [2.0, 1.5])
    np.testing.assert_allclose(around, [2.0, 1.5])
    np.testing.assert_allclose(charge_depths(PAIR, np.array([2.0, 0.0])), [2.0, 1.0])
    with pytest.raises(InvalidValueError, match=r"charge 1 .* 0\.5 angstrom outside"):
        require_inside(PAIR, charge_depths(PAIR, np.array([0.5, 0.0])))
    with pytest.raises(InvalidValueError, match="no radii"):
        checked_radii(Particles([[0.0, 0.0, 0.0]], [1.0]), None)


def test_the_grid_covers_the_box_and_shifts_by_cells():
    box = surrounding_box(PAIR, PAIR.radii, 3.0)
    np.testing.assert_allclose(box, [[-5, -5, -5], [5.5, 5, 5]])
    cavity = cavity_on_grid(PAIR, PAIR.radii, box, 0.5, (0.0, 0.0, 0.0), 2.0, 80.0)
    assert cavity.counts == (21, 20, 20)
    np.testing.assert_allclose(cavity.origin, [-4.75] * 3)
    moved = cavity_on_grid(PAIR, PAIR.radii, box, 0.5, (0.5, 0.0, 0.0), 2.0, 80.0)
    np.testing.assert_allclose(moved.origin - cavity.origin, [0.25, 0, 0])


def test_permittivities_and_the_source_of_a_uniform_medium():
    box = surrounding_box(PAIR, PAIR.radii, 3.0)
    cavity = cavity_on_grid(PAIR, PAIR.radii, box, 0.5, (0.0, 0.0, 0.0), 2.0, 80.0)
    assert cavity.A.coefficient.min() == pytest.approx(2.0)
    assert cavity.A.coefficient.max() == pytest.approx(80.0)
    uniform = cavity_on_grid(PAIR, PAIR.radii, box, 0.5, (0.0, 0.0, 0.0), 3.0, 3.0)
    assert not uniform.source(np.zeros(tuple(n + 2 for n in uniform.counts))).any()


def test_interpolation_is_exact_for_planes():
    grid = np.add.outer(np.add.outer(np.arange(4.0), 2 * np.arange(5.0)), -np.arange(3.0))
    places = np.array([[0.5, 1.25, 1.0], [2.9, 3.0, 0.1]])
    np.testing.assert_allclose(interpolate(grid, places), places @ [1.0, 2.0, -1.0])
