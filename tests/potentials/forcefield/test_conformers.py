"""Conformers in one call are the frames one by one, on any number of ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import exact, molecules
from periodic_cells import ORTHOGONAL
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.potentials import conformer_energies_and_forces, energy_and_forces, plan_frames


def _conformers(particles, n: int = 5) -> np.ndarray:
    rng = np.random.default_rng(4)
    return particles.positions + 0.05 * rng.normal(size=(n, particles.n, 3))


@pytest.mark.parametrize("cell", [None, 1.4 * ORTHOGONAL], ids=["isolated", "periodic"])
def test_each_conformer_is_the_frame_that_it_is(cell: np.ndarray | None) -> None:
    particles = molecules(2, cell)
    positions = _conformers(particles)
    energies, forces = conformer_energies_and_forces(particles, positions, tol=1e-9)
    plan = plan_frames(particles, 1e-9)
    for k in (0, 4):
        one = energy_and_forces(
            type(particles)(positions[k], particles.charges, cell=cell, exclusions=particles.exclusions), plan
        )
        assert energies[k] == pytest.approx(one[0], rel=1e-7)
        np.testing.assert_allclose(forces[k], one[1], atol=1e-7)
    if cell is None:
        assert energies[2] == pytest.approx(exact(replace(particles, positions=positions[2]))[0], rel=1e-10)


def test_ranks_share_the_conformers() -> None:
    particles = molecules(1)
    positions = _conformers(particles)
    alone = conformer_energies_and_forces(particles, positions)
    for found in on_ranks(3, lambda comm: conformer_energies_and_forces(particles, positions, comm=comm)):
        np.testing.assert_array_equal(found[0], alone[0])
        np.testing.assert_array_equal(found[1], alone[1])
    assert conformer_energies_and_forces(particles, positions[:0])[1].shape == (0, 7, 3)


def test_places_that_do_not_fit_name_the_conformer() -> None:
    particles = molecules(1)
    positions = _conformers(particles)
    positions[3, 1] = positions[3, 6]
    with pytest.raises(InvalidValueError, match=r"conformer 3: .* are both at"):
        conformer_energies_and_forces(particles, positions)
    with pytest.raises(ShapeError):
        conformer_energies_and_forces(particles, positions[:, :5])
