"""Exclusions in every way to compute energies and forces, against plain sums with the pairs taken out one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import exact, left_out, molecules
from periodic_cells import ORTHOGONAL, TRICLINIC, ewald

from sci.errors import InvalidValueError
from sci.potentials import (
    Exclusions,
    ParticleMesh,
    Particles,
    PeriodicPotential,
    RangeSeparatedPotential,
    Yukawa,
    compute_frame,
    dipole_energy_and_forces,
    energy_and_forces,
    periodic_stress,
    plan_frames,
)
from sci.potentials.forcefield.corrections import CLOSE, close_pairs_of, listed_pairs, pair_virial

CELLS = {"orthogonal": 1.4 * ORTHOGONAL, "triclinic": 1.4 * TRICLINIC}


def _assert_forces(found: np.ndarray, expected: np.ndarray, tol: float) -> None:
    assert np.linalg.norm(found - expected) < tol * np.linalg.norm(expected)


@pytest.mark.parametrize("kappa", [0.0, 0.3])
@pytest.mark.parametrize("method", ["direct", "format"])
def test_isolated_frames_leave_the_pairs_out(method: str, kappa: float) -> None:
    particles = molecules()
    energy, forces, _ = exact(particles, kappa)
    kernel = Yukawa(kappa) if kappa else None
    plan = plan_frames(particles, 1e-9, kernel=kernel, accuracy="forces", method=method)
    found = energy_and_forces(particles, plan)
    assert found[0] == pytest.approx(energy, rel=1e-8)
    _assert_forces(found[1], forces, 1e-12 if method == "direct" else 1e-8)
    result = compute_frame(particles, plan)
    assert result.energy == pytest.approx(energy, rel=1e-8)
    assert result.errors[1, 0] <= 1e-8


@pytest.mark.parametrize("cell", CELLS)
def test_periodic_cells_leave_the_nearest_images_out(cell: str) -> None:
    particles = molecules(4, CELLS[cell])
    energy, forces, potentials = exact(particles)
    phi = PeriodicPotential(particles, 1e-10)
    assert phi.energy() == pytest.approx(energy, rel=1e-8)
    _assert_forces(phi.forces(), forces, 1e-8)
    np.testing.assert_allclose(phi.charge_gradient(), potentials, atol=1e-8)
    found = energy_and_forces(particles, plan_frames(particles, 1e-10))
    assert found[0] == pytest.approx(energy, rel=1e-8)
    _assert_forces(found[1], forces, 1e-8)


def test_errors_are_relative_to_what_is_left() -> None:
    """The forces of bonds are larger by far: a tolerance that counted them would promise too much."""
    particles = molecules(4, CELLS["orthogonal"])
    bare = replace(particles, exclusions=None)
    assert np.linalg.norm(exact(particles)[1]) < 0.6 * np.linalg.norm(ewald(bare, bare.positions, 0.9)[1])
    for phi in (PeriodicPotential(particles, 1e-4), RangeSeparatedPotential(replace(particles, cell=None), 1e-4)):
        forces = exact(phi.particles)[1]
        missed = np.linalg.norm(phi.forces() - forces) / np.linalg.norm(forces)
        assert phi.measured_error("forces").relative == pytest.approx(missed, rel=0.02)


STEPS = np.random.default_rng(6).normal(size=(5, 3))
STEPS /= np.linalg.norm(STEPS, axis=1, keepdims=True)


def _with_shells(cell: np.ndarray | None, distance: float) -> Particles:
    """Five charged cores, each with a shell at some distance whose interaction with it is left out."""
    cores = np.array([[1.0, 1, 1], [4, 1.2, 0.7], [1.1, 4.3, 1], [4.2, 4, 4.1], [0.02, 5.2, 6.1]])
    positions = np.concatenate([cores, cores + distance * STEPS])
    charges = np.random.default_rng(5).normal(size=10)
    return Particles(positions, charges, cell=cell, exclusions=Exclusions([[k, k + 5] for k in range(5)], 10))


def _of_images(cell: np.ndarray, d: np.ndarray) -> tuple[float, np.ndarray]:
    """Return potential and field of a unit charge's images but itself, at `d` from it: even and odd in `d`."""
    length = float(np.linalg.norm(d))
    origin = Particles(np.zeros((1, 3)), [1.0], cell=cell)
    at_zero = ewald(origin, np.zeros((1, 3)), 0.9)[0][0]
    if length == 0.0:
        return at_zero, np.zeros(3)
    part = min(length / 0.03, 1.0)  # nearer, the charge itself would cancel all digits: leading terms, scaled
    x = d / part
    value, field = ewald(origin, x[None], 0.9)
    value, field = value[0] - 1 / np.linalg.norm(x), field[0] - x / np.linalg.norm(x) ** 3
    return at_zero + part**2 * (value - at_zero), part * field


@pytest.mark.parametrize("distance", [0.0, 1e-7, 1e-4, 1e-2, 0.15])
@pytest.mark.parametrize("method", ["direct", "format", "periodic"])
def test_shells_at_any_distance_do_not_feel_their_core(method: str, distance: float) -> None:
    """A pair of 1e-4 angstrom subtracted from a sum over all would leave forces of 1e8 times the rounding of a sum."""
    cell = np.diag([8.0, 9.0, 10.0]) if method == "periodic" else None
    particles = _with_shells(cell, distance)
    if cell is None:
        plan = plan_frames(particles, 1e-9, accuracy="forces", method=method)
        energy, forces = energy_and_forces(particles, plan)
    else:
        phi = PeriodicPotential(particles, 1e-10)
        energy, forces = phi.energy_and_forces()
    q, x = particles.charges, particles.positions
    potential, field, compared = np.zeros(10), np.zeros((10, 3)), list(range(10)) if cell is None else [4, 6]
    for k in compared:
        others = [j for j in range(10) if j % 5 != k % 5]
        if cell is None:
            d = x[k] - x[others]
            r = np.linalg.norm(d, axis=1)
            potential[k], field[k] = (q[others] / r).sum(), ((q[others] / r**3)[:, None] * d).sum(axis=0)
            continue
        around = Particles(x[others], q[others], cell=cell, exclusions=Exclusions([[j, j + 4] for j in range(4)], 8))
        value, gradient = ewald(around, x[k : k + 1], 0.9)
        potential[k], field[k] = value[0], gradient[0]
        for j in (k, (k + 5) % 10):
            value, gradient = _of_images(cell, x[k] - x[j])
            potential[k] += q[j] * value
            field[k] += q[j] * gradient
    if cell is None:
        assert energy == pytest.approx(0.5 * q @ potential, rel=1e-7)
    else:
        np.testing.assert_allclose(phi.charge_gradient()[compared], potential[compared], rtol=1e-8)
        assert energy == pytest.approx(0.5 * q @ phi.charge_gradient(), rel=1e-9)
    _assert_forces(forces[compared], (q[:, None] * field)[compared], 1e-7)


def test_near_atoms_that_are_not_listed_count_in_full() -> None:
    """An atom near a shell, and not its partner, is not lost with it."""
    positions = np.array([[0.0, 0, 0], [0.05, 0, 0], [0.0, 0.1, 0], [2.0, 0, 0], [0, 0, 0.19]])
    charges = np.array([1.0, -0.8, 0.5, -0.7, 0.3])
    exclusions = Exclusions([[0, 1], [0, 4]], 5, [0.0, 0.5])
    particles = Particles(positions, charges, exclusions=exclusions)
    energy, forces, potentials = exact(particles)
    found = energy_and_forces(particles, plan_frames(particles, method="direct"))
    assert found[0] == pytest.approx(energy, rel=1e-12)
    _assert_forces(found[1], forces, 1e-12)
    phi = RangeSeparatedPotential(particles, 1e-9, accuracy="forces")
    np.testing.assert_allclose(phi.charge_gradient(), potentials, atol=1e-7)
    _assert_forces(phi.forces(), forces, 1e-7)
    periodic = replace(particles, cell=9 * np.eye(3))
    _assert_forces(PeriodicPotential(periodic, 1e-10).forces(), exact(periodic)[1], 1e-8)
    assert np.linalg.norm(positions[4]) < CLOSE


@pytest.mark.parametrize("seed", range(4))
def test_pairs_at_the_distance_where_subtraction_ends(seed: int) -> None:
    """Pairs that one sum finds nearer, and another one farther, by rounding, are neither lost nor counted twice."""
    rng = np.random.default_rng(seed)
    cell = CELLS["triclinic"]
    atoms, away = rng.random((12, 3)) @ cell, rng.normal(size=(12, 3))
    distances = CLOSE * (1 + 2e-16 * rng.integers(-3, 4, size=12))
    away *= (distances / np.linalg.norm(away, axis=1))[:, None]
    positions = np.concatenate([atoms, atoms + away]) + rng.integers(-2, 3, size=(24, 3)) @ cell
    exclusions = Exclusions([[k, 12 + k] for k in range(12)], 24, np.repeat([0.0, 0.5], 6))
    particles = Particles(positions, rng.normal(size=24), cell=cell, exclusions=exclusions)
    energy, forces, _ = exact(particles)
    for phi in (PeriodicPotential(particles, 1e-9), ParticleMesh(particles, 1e-7)):
        assert phi.energy() == pytest.approx(energy, rel=1e-6)
        _assert_forces(phi.forces(), forces, 1e-6)
        stress = periodic_stress(phi) if isinstance(phi, PeriodicPotential) else phi.stress()
        assert np.trace(stress) * phi.volume == pytest.approx(-energy, rel=1e-5)
    dipoles = dipole_energy_and_forces(particles, np.zeros((24, 3)))
    assert dipoles.energy == pytest.approx(energy, rel=1e-8)
    _assert_forces(dipoles.forces, forces, 1e-8)


def test_close_pairs_in_skewed_and_in_small_cells() -> None:
    """What is left out depends on the lattice and not on the rows that span it, however small it is."""
    rng = np.random.default_rng(2)
    for size in (4.0, 0.3):
        cell = size * (np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
        skewed = np.array([[1, 0, 0], [40, 1, 0], [7, -30, 1]]) @ cell
        atoms, away = rng.random((5, 3)) @ cell, 0.01 * size * rng.normal(size=(5, 3))
        positions, charges = np.concatenate([atoms, atoms + away]), rng.normal(size=10)
        exclusions = Exclusions([[k, 5 + k] for k in range(5)], 10)
        particles = Particles(positions, charges, cell=cell, exclusions=exclusions)
        energy, forces, _ = exact(replace(particles, positions=4 / size * positions, cell=4 / size * cell))
        close, other = (close_pairs_of(p, listed_pairs(p)) for p in (particles, replace(particles, cell=skewed)))
        assert close is not None
        assert other is not None
        order = np.lexsort([close.near.second, close.near.first])
        np.testing.assert_array_equal(other.near.first, close.near.first[order])
        np.testing.assert_array_equal(other.near.second, close.near.second[order])
        phi = PeriodicPotential(particles, 1e-9)
        assert phi.energy() * size / 4 == pytest.approx(energy, rel=1e-7)
        _assert_forces(phi.forces() * (size / 4) ** 2, forces, 1e-7)


def test_the_virial_of_listed_pairs() -> None:
    particles = molecules(3, CELLS["triclinic"])
    pairs = listed_pairs(particles)
    assert pairs is not None
    r = pairs.distances
    found = pair_virial(pairs, particles.charges, (1 - pairs.scales) / r**3)
    np.testing.assert_allclose(found, left_out(particles)[3], rtol=1e-11)


def test_what_cannot_be_left_out_is_refused_with_the_atoms() -> None:
    small = Particles(
        [[0.0, 0, 0], [1.9, 1.9, 1.9]], [1.0, -1.0], cell=4 * np.eye(3), exclusions=Exclusions([[0, 1]], 2)
    )
    with pytest.raises(InvalidValueError, match=r"atoms 0 and 1 .* are 3.291 angstrom apart, more than half"):
        PeriodicPotential(small, 1e-6).energy()
    for scales in (0.5, 1.0):
        with pytest.raises(InvalidValueError, match="particles 0 and 1"):
            Particles([[0.0, 0, 0], [0.0, 0, 0]], [1.0, -1.0], exclusions=Exclusions([[0, 1]], 2, scales))
    pair = Exclusions([[0, 1]], 2)
    apart = Particles([[0.0, 0, 0], [4.0, 0, 0]], [1.0, -1.0], cell=4 * np.eye(3))
    with pytest.raises(InvalidValueError, match="images of particles 0 and 1"):
        PeriodicPotential(apart, 1e-6)
    PeriodicPotential(replace(apart, exclusions=pair), 1e-6).energy()
