"""Grids of potentials, and the text of every class that holds arrays."""

from __future__ import annotations

import numpy as np
import pytest
from systems import cloud

from sci.potentials import (
    LatticePotential,
    Particles,
    PeriodicPotential,
    PotentialGrid,
    RangeSeparatedPotential,
    Trajectory,
)
from sci.potentials.grid import box_axes


def test_axes_of_a_box():
    x, y, z = box_axes(((0.0, 4.0), (0.0, 2.0), (1.0, 3.0)), 5)
    assert np.allclose(x, [0, 1, 2, 3, 4])
    assert len(y) == len(z) == 3
    assert [len(v) for v in box_axes(((0.0, 4.0),) * 3, (2, 3, 4))] == [2, 3, 4]


def test_units_scale_the_values():
    grid = PotentialGrid(np.ones((2, 2, 2)), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert grid.in_units("V").values[0, 0, 0] == pytest.approx(14.39964548)


def test_no_text_shows_arrays():
    particles, ion = cloud(50), Particles([[0.0, 0.0, 0.0]], [1.0], cell=4.0 * np.eye(3))
    phi = RangeSeparatedPotential(particles, 1e-3)
    phi(particles.positions)
    lattice = LatticePotential(ion, (3, 3, 3), 1e-3)
    parts = [phi.split, phi.split.gaussians, phi._short, phi._expansion, phi._coincidences]
    tensors = [phi.long_range, phi.long_range.coefficients, phi.long_range.to_cp(1e-3)]
    rest = [lattice._sites, lattice._sites.axes[0], PeriodicPotential(ion, 1e-3)]
    grid = PotentialGrid(np.ones((2, 3, 4)), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    frames = Trajectory(np.arange(3), np.zeros(3), np.zeros((3, 50, 3)), 7)
    for item in (particles, phi, lattice, *parts, *tensors, *rest, grid, frames):
        assert type(item).__name__ in repr(item)
        assert "array" not in repr(item)
        assert len(repr(item)) < 400
    assert "3 of 7 frames" in repr(frames)
    assert f"tucker_ranks={phi.long_range.tucker_ranks}" in repr(phi)
