"""Energies and their derivatives by charges: differences of energies, with exclusions, images and backgrounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import exact, molecules
from periodic_cells import TRICLINIC

from sci.potentials import Particles, PeriodicPotential, RangeSeparatedPotential, Yukawa


def _potential(particles: Particles, kappa: float) -> PeriodicPotential | RangeSeparatedPotential:
    if particles.cell is not None:
        return PeriodicPotential(particles, 1e-11)
    return RangeSeparatedPotential(particles, 1e-9, kernel=Yukawa(kappa) if kappa else None, expected_targets=100)


@pytest.mark.parametrize(("cell", "kappa"), [(None, 0.0), (None, 0.2), (1.5 * TRICLINIC, 0.0)])
def test_the_derivative_by_a_charge_is_a_difference_of_energies(cell: np.ndarray | None, kappa: float) -> None:
    """The energy is quadratic in each charge, so that a central difference has no error but rounding."""
    particles = molecules(2, cell)
    particles = replace(particles, charges=particles.charges + 0.1)  # a net charge, with its background
    found = _potential(particles, kappa).charge_gradient()
    for atom in (0, 9):
        step = 0.5 * np.eye(particles.n)[atom]
        ahead, back = (
            _potential(replace(particles, charges=particles.charges + sign * step), kappa).energy() for sign in (1, -1)
        )
        assert found[atom] == pytest.approx(ahead - back, abs=2e-7)
    if cell is None:
        np.testing.assert_allclose(found, exact(particles, kappa)[2], atol=1e-7)


def test_energy_and_forces_are_those_of_their_own_methods() -> None:
    phi = _potential(molecules(2), 0.0)
    energy, forces = phi.energy_and_forces()
    assert energy == pytest.approx(phi.energy(), rel=1e-12)
    np.testing.assert_allclose(forces, phi.forces(), rtol=1e-12)
