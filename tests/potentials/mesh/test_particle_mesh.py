"""Energy, forces and stress on a mesh: any cell, any charge, promised and measured errors."""

from __future__ import annotations

import numpy as np
import pytest
from crystals import MADELUNG
from mesh_cases import CELL, ionic
from systems import relative

from sci.errors import InvalidValueError, ToleranceWarning
from sci.potentials import (
    Exclusions,
    ParticleMesh,
    Particles,
    PeriodicPotential,
    energy_and_forces,
    ewald_sum,
    periodic_stress,
)
from sci.potentials.mesh import particle_mesh
from sci.potentials.mesh.plan import MeshPlan
from sci.potentials.mesh.prolate import ProlateSplit

CUBE = 14.0 * np.eye(3)


def exact(particles):
    """Return energy, potentials and forces by Ewald's sum."""
    value, slope = ewald_sum(particles, particles.positions, tol=1e-13, gradient=True)
    return 0.5 * particles.charges @ value, value, -particles.charges[:, None] * slope


@pytest.mark.parametrize("cell", [CUBE, 1.4 * CELL], ids=["cube", "triclinic"])
@pytest.mark.parametrize("charge", [0.0, 7.0])
@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-8])
def test_against_ewalds_sum(cell, charge, tol):
    particles = ionic(250, cell, charge=charge)
    mesh = ParticleMesh(particles, tol)
    energy, potentials, forces = exact(particles)
    assert relative(mesh.forces(), forces) < tol
    assert mesh.predicted_error == pytest.approx(relative(mesh.forces(), forces), rel=0.5)
    assert mesh.predicted_error < tol
    sizes = np.abs(particles.charges * potentials).sum()
    assert abs(mesh.energy() - energy) < 10 * tol * 0.5 * sizes
    assert relative(mesh.potentials(), potentials) < 10 * tol
    trace = float(np.trace(mesh.stress())) * mesh.volume
    assert abs(trace + mesh.energy()) < 10 * tol * sizes


def test_the_measured_error_is_the_error():
    particles = ionic(200, CUBE, seed=2)
    mesh = ParticleMesh(particles, 1e-5)
    energy, potentials, forces = exact(particles)
    found = mesh.measured_error("forces")
    assert found.relative == pytest.approx(relative(mesh.forces(), forces), rel=0.1)
    assert found.places == 200
    said = mesh.measured_error("energy").relative * np.abs(particles.charges * potentials).sum()
    assert said == pytest.approx(2 * abs(mesh.energy() - energy), rel=0.4)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 300])
def test_the_measured_error_of_the_energy_where_errors_cancel(n):
    for seed in range(12 if n < 300 else 3):
        rng = np.random.default_rng(seed)
        cell = np.diag(rng.uniform(3, 9, 3)) * (n / 5 if n > 5 else 1) ** (1 / 3)
        particles = Particles(rng.random((n, 3)) @ cell, rng.normal(size=n), cell=cell)
        mesh = ParticleMesh(particles, 1e-3)
        energy, potentials, _ = exact(particles)
        missed = 2 * abs(mesh.energy() - energy) / np.abs(particles.charges * potentials).sum()
        found = mesh.measured_error("energy").relative
        if n <= 256:
            assert found == pytest.approx(missed, rel=1e-3, abs=1e-12)
        else:
            assert 0.5 * missed < found < 3 * missed + 1e-5


def test_stress_is_that_of_the_modes():
    particles = ionic(120, 1.2 * CELL, charge=2.0)
    expected = periodic_stress(PeriodicPotential(particles, 1e-11))
    np.testing.assert_allclose(ParticleMesh(particles, 1e-8).stress(), expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("name", MADELUNG)
def test_madelung_constants_where_all_forces_cancel(name):
    cell, distance, accepted = MADELUNG[name]
    mesh = ParticleMesh(cell, 1e-6)
    assert -2 * mesh.energy() * distance / cell.n == pytest.approx(accepted, abs=2e-6 * accepted)
    assert mesh.measured_error("energy").relative < 1e-5


def test_one_charge_in_a_neutralizing_background():
    mesh = ParticleMesh(Particles([[0.2, 0.7, 0.1]], [1.0], cell=np.eye(3)), 1e-5)
    assert mesh.energy() == pytest.approx(-2.8372974794806 / 2, abs=1e-6)
    assert np.abs(mesh.forces()).max() < 1e-4


def test_units_scale():
    particles = ionic(100, CUBE)
    energy, forces = ParticleMesh(particles, 1e-4).energy_and_forces()
    for length, charge in ((1e-3, 1.0), (1e5, 1.0), (1.0, 1e30), (1.0, 1e-30), (2.0, 3.0)):
        scaled = Particles(particles.positions * length, particles.charges * charge, cell=CUBE * length)
        found = ParticleMesh(scaled, 1e-4)
        factor = charge**2 / length
        assert found.energy() == pytest.approx(energy * factor, rel=1e-3)
        assert relative(found.forces() / (factor / length), forces) < 2e-4


def test_charges_of_zero_have_no_energy():
    mesh = ParticleMesh(Particles(np.eye(3), np.zeros(3), cell=CUBE), 1e-4)
    assert mesh.energy() == 0.0
    assert not mesh.forces().any()
    assert not mesh.stress().any()


def test_float32_where_it_is_exact_enough():
    particles = ionic(150, CUBE)
    assert ParticleMesh(particles, 1e-3).plan.dtype == "float32"
    assert ParticleMesh(particles, 1e-8).plan.dtype == "float64"
    single = ParticleMesh(particles, 1e-4)
    plan = single.plan
    double = ParticleMesh(particles, 1e-4)
    double._first = MeshPlan(plan.split, plan.grid, plan.order, "float64", plan.force_error, plan.seconds)
    assert single.plan.dtype == "float32"
    assert 0 < relative(single.forces(), double.forces()) < 3e-6


@pytest.mark.parametrize("first", ["stress", "energy", "predicted_error", "plan", "measured_error", "common_force"])
def test_results_do_not_depend_on_what_is_asked_first(first):
    """Forces that cancel change the plan: all results are of the last one."""
    particles = Particles([[0.3, 0.4, 0.5]], [1.5], cell=3 * np.eye(3))
    mesh, other = ParticleMesh(particles, 1e-4), ParticleMesh(particles, 1e-4)
    assert mesh.plan is not mesh._first
    asked = getattr(other, first)
    asked = asked() if callable(asked) else asked
    if first in ("stress", "common_force", "predicted_error"):
        again = getattr(other, first)
        np.testing.assert_array_equal(asked, again() if callable(again) else again)
    np.testing.assert_array_equal(other.stress(), mesh.stress())
    pressure = -mesh.energy() / 3 / mesh.volume
    np.testing.assert_allclose(other.stress(), pressure * np.eye(3), atol=1e-5 * abs(pressure))
    assert other.plan is mesh.plan


@pytest.mark.parametrize("shift", [0.0, 2e-8, 1e-7, 1e-5])
def test_the_stress_of_shells_on_their_atoms(shift):
    """Shells that lie on their atoms, and do not feel them, act as one charge each."""
    rng = np.random.default_rng(4)
    places, charges, shells = rng.random((6, 3)) @ CELL, rng.normal(size=6), rng.normal(size=6)
    away = rng.normal(size=(6, 3))
    moved = places + shift * away / np.linalg.norm(away, axis=1)[:, None] + CELL[0]
    exclusions = Exclusions([[k, 6 + k] for k in range(6)], 12)
    particles = Particles(
        np.concatenate([places, moved]), np.concatenate([charges, shells]), cell=CELL, exclusions=exclusions
    )
    whole = Particles(places, charges + shells, cell=CELL)
    expected = periodic_stress(PeriodicPotential(whole, 1e-10))
    found = ParticleMesh(particles, 1e-7).stress()
    np.testing.assert_allclose(found, expected, atol=(1e-5 + 10 * shift) * np.abs(expected).max())


def test_a_given_error_keeps_the_plan():
    particles = ionic(150, CUBE)
    mesh = ParticleMesh(particles, 1e-4, force_error=1e-4)
    moved = Particles(particles.positions + 0.01, particles.charges, cell=CUBE)
    assert ParticleMesh(moved, 1e-4, force_error=1e-4).plan is mesh.plan
    np.testing.assert_allclose(ParticleMesh(moved, 1e-4, force_error=1e-4).forces(), mesh.forces(), atol=1e-3)


@pytest.mark.parametrize("shift", [0.4, 0.01, 1e-3], ids=["bonds", "shells", "close"])
def test_exclusions_are_left_out(shift):
    cores = ionic(60, CUBE, seed=3)
    places = np.concatenate([cores.positions, cores.positions + shift / 3**0.5])
    charges = np.concatenate([cores.charges, 0.5 - cores.charges])
    pairs = np.stack([np.arange(60), np.arange(60) + 60], axis=1)
    exclusions = Exclusions(pairs, 120, np.repeat([0.0, 0.5], 30) * (shift > 0.1))
    particles = Particles(places, charges, cell=CUBE, exclusions=exclusions)
    exact = PeriodicPotential(particles, 1e-10)
    mesh = ParticleMesh(particles, 1e-6)
    energy, forces = exact.energy_and_forces()
    assert relative(mesh.forces(), forces) < 1e-6
    assert mesh.energy() == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(mesh.potentials(), exact.charge_gradient(), atol=1e-4)
    assert mesh.measured_error("forces").relative == pytest.approx(relative(mesh.forces(), forces), rel=0.5)
    assert float(np.trace(mesh.stress())) * mesh.volume == pytest.approx(-mesh.energy(), rel=1e-4)


def test_forces_are_the_derivative_of_the_energy():
    particles = ionic(40, CUBE)
    mesh = ParticleMesh(particles, 1e-5, force_error=1e-9)
    step = 1e-4
    for atom, axis in ((0, 0), (7, 1), (30, 2)):
        energies = []
        for sign in (1, -1):
            places = particles.positions.copy()
            places[atom, axis] += sign * step
            moved = Particles(places, particles.charges, cell=CUBE)
            energies.append(ParticleMesh(moved, 1e-5, force_error=1e-9).energy())
        assert mesh.forces()[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), rel=1e-5, abs=1e-6)


def test_one_call_chooses():
    particles = ionic(100, CUBE)
    energy, _, forces = exact(particles)
    for tol in (1e-3, 1e-6, 1e-11):  # the last by `PeriodicPotential`
        found = energy_and_forces(particles, tol=tol)
        assert relative(found[1], forces) < tol
    assert found[0] == pytest.approx(energy, rel=1e-9)


def test_a_missed_tolerance_warns(monkeypatch):
    coarse = MeshPlan(ProlateSplit(4.0, 5.0), (10, 10, 10), 5, "float64", 1e-9, 0.0)
    monkeypatch.setattr(particle_mesh, "plan_mesh", lambda *_: coarse)
    mesh = ParticleMesh(ionic(60, CUBE), 1e-5)
    with pytest.warns(ToleranceWarning, match="of the forces is above the tolerance 1e-05"):
        mesh.measured_error("forces")


def test_refusals():
    particles = ionic(20, CUBE)
    with pytest.raises(InvalidValueError, match="tol is 1"):
        ParticleMesh(particles, 1.0)
    with pytest.raises(InvalidValueError, match="force_error is 0"):
        ParticleMesh(particles, force_error=0.0)
    with pytest.raises(InvalidValueError, match="no mesh reaches an error"):
        ParticleMesh(particles, force_error=1e-20)
    with pytest.raises(InvalidValueError, match="quantity is 'field'"):
        ParticleMesh(particles).measured_error("field")
    huge = Particles(particles.positions, particles.charges * 1e160, cell=CUBE)
    with pytest.raises(InvalidValueError, match="overflow float64"):
        ParticleMesh(huge).energy()
