"""Charges and dipoles: plain sums, dipoles made of charges, and differences of the energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import exact, molecules
from periodic_cells import TRICLINIC, ewald, filled

from sci.errors import InvalidValueError, ShapeError
from sci.potentials import (
    DipoleResult,
    Exclusions,
    Particles,
    Yukawa,
    dipole_energy_and_forces,
    dipole_field,
    direct_sum,
    ewald_sum,
)

STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
"""Weights of a first derivative of order 8."""


def _dipoles(n: int, seed: int = 3) -> np.ndarray:
    return 0.4 * np.random.default_rng(seed).normal(size=(n, 3))


def _of_charges(particles: Particles, dipoles: np.ndarray, step: float = 0.02) -> Particles:
    """Charges of which those of each dipole are the derivative of a charge, to order 8."""
    positions, charges = [particles.positions], [particles.charges]
    for axis in range(3):
        for k, weight in STENCIL.items():
            for sign in (1, -1):
                positions.append(particles.positions + sign * k * step * np.eye(3)[axis])
                charges.append(sign * weight / step * dipoles[:, axis])
    return Particles(np.concatenate(positions), np.concatenate(charges), cell=particles.cell)


def test_potential_and_field_of_a_dipole_are_the_textbook_ones() -> None:
    mu, x = np.array([0.3, -0.2, 0.5]), np.array([[1.0, 2.0, -0.5], [0.3, 0.1, 4.0]])
    potential, field = dipole_field(Particles(np.zeros((1, 3)), [0.0]), mu[None], x)
    r = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(potential, x @ mu / r**3, rtol=1e-14)
    np.testing.assert_allclose(field, 3 * (x @ mu / r**5)[:, None] * x - mu / r[:, None] ** 3, rtol=1e-13)


@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_isolated_dipoles_are_limits_of_charges(kappa: float) -> None:
    particles = replace(molecules(1), exclusions=None)
    dipoles = _dipoles(7)
    points = np.array([[4.0, 4.0, 4.0], [-3.0, 2.0, 5.0]])
    kernel = Yukawa(kappa) if kappa else None
    found = dipole_field(particles, dipoles, points, kernel=kernel)
    value, slope = direct_sum(_of_charges(particles, dipoles), points, kernel=kernel, gradient=True)
    np.testing.assert_allclose(found[0], value, atol=1e-10)
    np.testing.assert_allclose(found[1], -slope, atol=1e-10)


@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_periodic_dipoles_are_limits_of_charges(kappa: float) -> None:
    particles, points = filled(TRICLINIC, 6, neutral=False), np.array([[4.0, 4.0, 4.0], [-3.0, 2.0, 5.0]])
    dipoles = _dipoles(6)
    made = _of_charges(particles, dipoles)
    found = dipole_field(particles, dipoles, points, kernel=Yukawa(kappa) if kappa else None)
    if kappa:
        value, slope = ewald_sum(made, points, kernel=Yukawa(kappa), gradient=True)
        value, field = value, -slope
    else:
        value, field = ewald(made, points, 0.8)
    np.testing.assert_allclose(found[0], value, atol=3e-9)
    np.testing.assert_allclose(found[1], field, atol=3e-8)


SYSTEMS = {
    "isolated": molecules(1),
    "screened": molecules(1),
    "periodic": molecules(2, 1.4 * TRICLINIC),
    "screened cell": molecules(2, 1.4 * TRICLINIC),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_forces_torques_fields_and_potentials_are_derivatives_of_the_energy(name: str) -> None:
    """With exclusions, and a net charge with its background."""
    particles, kernel = SYSTEMS[name], Yukawa(0.4) if "screened" in name else None
    particles = replace(particles, charges=particles.charges + 0.05)
    dipoles, step = _dipoles(particles.n), 1e-4

    def energy(p: Particles, mu: np.ndarray) -> float:
        return dipole_energy_and_forces(p, mu, tol=1e-12, kernel=kernel).energy

    found = dipole_energy_and_forces(particles, dipoles, tol=1e-12, kernel=kernel)
    for atom, axis in ((0, 0), (4, 2)):
        direction = np.zeros((particles.n, 3))
        direction[atom, axis] = 1.0
        pairs = {
            "forces": lambda s, d=direction: energy(replace(particles, positions=particles.positions + s * d), dipoles),
            "fields": lambda s, d=direction: energy(particles, dipoles + s * d),
            "torques": lambda s, d=direction: energy(particles, dipoles + np.cross(s * d, dipoles)),
        }
        for quantity, along in pairs.items():
            difference = (along(-step) - along(step)) / (2 * step)
            assert getattr(found, quantity)[atom, axis] == pytest.approx(difference, abs=1e-6), quantity
        ahead, back = (
            energy(replace(particles, charges=particles.charges + s * direction[:, axis]), dipoles) for s in (0.5, -0.5)
        )
        assert found.potentials[atom] == pytest.approx(ahead - back, abs=1e-9)


@pytest.mark.parametrize("cell", [None, TRICLINIC], ids=["isolated", "periodic"])
def test_without_dipoles_the_charges_are_left(cell: np.ndarray | None) -> None:
    particles = molecules(1, None if cell is None else 1.4 * cell)
    found = dipole_energy_and_forces(particles, np.zeros((7, 3)))
    energy, forces, potentials = exact(particles)
    assert found.energy == pytest.approx(energy, rel=1e-9)
    np.testing.assert_allclose(found.forces, forces, atol=1e-9)
    np.testing.assert_allclose(found.potentials, potentials, atol=1e-9)


@pytest.mark.parametrize("cell", [None, np.diag([9.0, 10.0, 11.0])], ids=["isolated", "periodic"])
def test_a_pair_that_is_left_out_may_share_a_place(cell: np.ndarray | None) -> None:
    dipoles, exclusions, step = _dipoles(3), Exclusions([[0, 1]], 3), 2e-4

    def found(offset: float) -> DipoleResult:
        positions = np.array([[1.0, 1, 1], [1.0 + offset, 1, 1], [3.0, 2.0, 1.5]])
        particles = Particles(positions, [1.0, -0.4, 0.7], cell=cell, exclusions=exclusions)
        return dipole_energy_and_forces(particles, dipoles, tol=1e-12)

    for offset in (0.0, 1e-3, 0.19995):  # the last difference is across the distance where pairs are summed anew
        difference = (found(offset - step).energy - found(offset + step).energy) / (2 * step)
        assert found(offset).forces[1, 0] == pytest.approx(difference, abs=1e-7)
    np.testing.assert_allclose(found(0.0).forces.sum(axis=0), 0.0, atol=1e-10)


def test_what_does_not_fit_is_refused() -> None:
    particles = molecules(1)
    with pytest.raises(ShapeError):
        dipole_energy_and_forces(particles, np.zeros((6, 3)))
    with pytest.raises(InvalidValueError, match="tol is 1"):
        dipole_energy_and_forces(particles, np.zeros((7, 3)), tol=1.0)
    with pytest.raises(InvalidValueError, match="overflow"), np.errstate(all="ignore"):
        dipole_energy_and_forces(particles, np.full((7, 3), 1e200))
    assert repr(dipole_energy_and_forces(particles, np.zeros((7, 3)))).startswith("DipoleResult(energy=")


@pytest.mark.parametrize("kind", ["isolated", "cell", "screened"])
def test_errors_are_measured(kind: str) -> None:
    rng, n = np.random.default_rng(5), 100
    cell = None if kind == "isolated" else 10 * np.eye(3)
    exclusions = Exclusions(np.array([[0, 1], [2, 3]]), n, np.array([0.0, 0.5]))
    positions = 10 * rng.random((n, 3))
    positions[1:4:2] = positions[0:4:2] + np.array([[0.5, 0.4, 0.3], [0.05, 0.02, 0.0]])
    particles = Particles(positions, rng.normal(size=n), cell=cell, exclusions=exclusions)
    dipoles, kernel = 0.4 * rng.normal(size=(n, 3)), Yukawa(0.4) if kind == "screened" else None
    best = dipole_energy_and_forces(particles, dipoles, tol=1e-12, kernel=kernel)
    for tol in (1e-5,):
        found = dipole_energy_and_forces(particles, dipoles, tol=tol, kernel=kernel)
        parts = {"forces": (found.forces, best.forces), "torques": (found.torques, best.torques)}
        parts["field"] = found.fields, best.fields
        for name, (have, want) in parts.items():
            true = np.linalg.norm(have - want) / np.linalg.norm(want)
            error = found.measured_error(name).relative
            assert error <= tol
            if kind != "isolated":
                assert true / 2 < error < 2 * true
        assert found.measured_error("energy").relative <= tol
        assert found.measured_error("potential").relative <= tol
    wrong = replace(found, forces=found.forces + 0.01 * best.forces[::-1])
    assert wrong.measured_error("forces").relative > 5e-3
    with pytest.raises(InvalidValueError, match="expected one of energy"):
        found.measured_error("virial")
    with pytest.raises(InvalidValueError, match="what it is of"):
        replace(found, job=None).measured_error()
