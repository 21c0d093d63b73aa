"""Virials with exclusions and screening are differences of energies by strain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import exact, molecules
from periodic_cells import TRICLINIC

from sci.potentials import (
    Exclusions,
    Particles,
    PeriodicPotential,
    RangeSeparatedPotential,
    Yukawa,
    periodic_stress,
)


def _potential(particles: Particles, kappa: float) -> PeriodicPotential | RangeSeparatedPotential:
    kernel = Yukawa(kappa) if kappa else None
    if particles.cell is not None:
        return PeriodicPotential(particles, 1e-11, kernel=kernel)
    return RangeSeparatedPotential(particles, 1e-10, kernel=kernel, accuracy="forces", expected_targets=100)


def _difference(particles: Particles, kappa: float) -> np.ndarray:
    step, found = 1e-4, np.zeros((3, 3))
    for a in range(3):
        for b in range(a + 1):
            strain = np.zeros((3, 3))
            strain[a, b] += step / 2
            strain[b, a] += step / 2
            energies = []
            for sign in (1, -1):
                turn = np.eye(3) + sign * strain
                cell = None if particles.cell is None else particles.cell @ turn
                moved = replace(particles, positions=particles.positions @ turn, cell=cell)
                energies.append(exact(moved, kappa)[0] if cell is None else _potential(moved, kappa).energy())
            found[a, b] = found[b, a] = (energies[1] - energies[0]) / (2 * step)
    return found


@pytest.mark.parametrize("kappa", [0.0, 0.4])
@pytest.mark.parametrize("cell", [None, 1.3 * TRICLINIC], ids=["isolated", "periodic"])
def test_the_virial_is_the_derivative_by_strain(cell: np.ndarray | None, kappa: float) -> None:
    particles = molecules(2, cell)
    particles = replace(particles, charges=particles.charges + 0.05)
    phi = _potential(particles, kappa)
    expected = _difference(particles, kappa)
    np.testing.assert_allclose(phi.virial(), expected, atol=1e-6 * np.abs(expected).max())
    if isinstance(phi, PeriodicPotential):
        np.testing.assert_allclose(periodic_stress(phi), -phi.virial() / phi.volume)
    else:
        assert kappa or np.trace(phi.virial()) == pytest.approx(phi.energy(), rel=1e-7)


@pytest.mark.parametrize("distance", [0.0, 1e-4, 0.1])
def test_shells_on_their_cores_have_a_virial(distance: float) -> None:
    positions = np.array([[1.0, 1, 1], [4.0, 2, 3], [1 + distance, 1, 1], [4.0, 2, 3 + 0.6 * distance]])
    exclusions = Exclusions([[0, 2], [1, 3]], 4, [0.0, 0.0])
    particles = Particles(positions, [1.0, -0.5, -0.8, 0.3], cell=np.diag([6.0, 7, 8]), exclusions=exclusions)
    phi = PeriodicPotential(particles, 1e-10)
    assert np.trace(phi.virial()) == pytest.approx(phi.energy(), rel=1e-8)
    expected = _difference(particles, 0.0)
    np.testing.assert_allclose(phi.virial(), expected, atol=1e-6 * np.abs(expected).max())
