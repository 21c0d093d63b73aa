"""Slabs against a sum over two periods that is written out, with and without a net charge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import left_out, slab_molecules
from plane_sums import plane_ewald, screened_images

from sci.errors import InvalidValueError
from sci.potentials import ParticleMesh, Particles, PeriodicPotential, Yukawa, periodic_stress

RNG = np.random.default_rng(0)
PLANES = {
    "rectangle": np.array([[5.0, 0, 0], [0, 6.5, 0]]),
    "turned": np.array([[5.0, 0.3, -0.2], [1, 6, 0.4]]),
    "skew": np.array([[4.0, 0, 0], [11.0, 5, 0]]),
}
FRACTIONS = RNG.random((6, 3))
CHARGES = np.array([1.0, -1.0, 0.5, -0.7, 0.4, -0.2])


def _slab(name: str, net: float = 0.0, thickness: float = 6.0) -> Particles:
    rows = PLANES[name]
    normal = np.cross(*rows) / np.linalg.norm(np.cross(*rows))
    positions = FRACTIONS @ np.concatenate([rows, thickness * normal[None]]) - 40 * normal
    return Particles(positions, CHARGES + net / 6, cell=np.concatenate([rows, [[0.1, 0.2, 1.0]]]))


@pytest.mark.parametrize("net", [0.0, 1.3], ids=["neutral", "charged"])
@pytest.mark.parametrize("name", PLANES)
def test_potentials_are_those_of_the_sum_over_two_periods(name: str, net: float) -> None:
    particles = _slab(name, net)
    points = np.concatenate([particles.positions, particles.positions[:3] + np.array([1.0, -2.0, 0.7])])
    expected = plane_ewald(PLANES[name], particles.positions, particles.charges, points, 0.5)
    phi = PeriodicPotential(particles, 1e-9, slab=True)
    np.testing.assert_allclose(phi(points), expected, atol=1e-9 * np.abs(expected).max())
    energy = 0.5 * particles.charges @ expected[:6]
    assert phi.energy() == pytest.approx(energy, abs=1e-9)
    step = 1e-4
    for atom, axis in ((0, 2), (3, 0)):
        moved = particles.positions.copy()
        moved[atom, axis] += step
        ahead = 0.5 * particles.charges @ plane_ewald(PLANES[name], moved, particles.charges, moved, 0.5)
        moved[atom, axis] -= 2 * step
        back = 0.5 * particles.charges @ plane_ewald(PLANES[name], moved, particles.charges, moved, 0.5)
        assert phi.forces()[atom, axis] == pytest.approx((back - ahead) / (2 * step), abs=3e-8)


def test_points_far_along_the_normal_are_right_too_and_grids_agree() -> None:
    particles = _slab("turned", 0.4)
    phi = PeriodicPotential(particles, 1e-9, slab=True)
    far = particles.positions[:2] + np.array([[0, 0, 60.0], [3.0, 2.0, -45.0]])
    expected = plane_ewald(PLANES["turned"], particles.positions, particles.charges, far, 0.5)
    np.testing.assert_allclose(phi(far), expected, rtol=1e-9)
    axes = [np.linspace(-4, 5, 4), np.linspace(1, 9, 3), np.linspace(-50, -30, 5)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(phi.on_grid(*axes).ravel(), phi(points), atol=1e-8)
    assert phi.measured_error("forces").relative < 1e-9


@pytest.mark.parametrize("name", ["rectangle", "turned"])
def test_the_virial_is_a_difference_of_energies(name: str) -> None:
    particles = _slab(name, 0.8)
    found = PeriodicPotential(particles, 1e-10, slab=True).virial()
    step, expected = 1e-4, np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] += step / 2
            strain[b, a] += step / 2
            energies = []
            for sign in (1, -1):
                turn = np.eye(3) + sign * strain
                moved = replace(particles, positions=particles.positions @ turn, cell=particles.cell @ turn)
                energies.append(PeriodicPotential(moved, 1e-10, slab=True).energy())
            expected[a, b] = (energies[1] - energies[0]) / (2 * step)
    np.testing.assert_allclose(found, expected, atol=3e-7 * np.abs(expected).max())


def test_screened_slabs_are_sums_over_images() -> None:
    particles = _slab("turned", 0.7)
    found = PeriodicPotential(particles, 1e-9, slab=True, kernel=Yukawa(0.9)).evaluate(particles.positions, True)
    expected = screened_images(
        particles.cell, particles.positions, particles.charges, particles.positions, 0.9, periods=2
    )
    np.testing.assert_allclose(found[:, 0], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[:, 1:], expected[1], atol=1e-8)


def test_exclusions_hold_in_slabs() -> None:
    bonded = slab_molecules(2)
    phi, bare = (PeriodicPotential(p, 1e-9, slab=True) for p in (bonded, replace(bonded, exclusions=None)))
    energy, forces, _, _ = left_out(replace(bonded, cell=np.asarray(phi.particles.cell)))
    assert phi.energy() == pytest.approx(bare.energy() - energy, rel=1e-9)
    np.testing.assert_allclose(phi.forces(), bare.forces() - forces, atol=1e-8)


def test_a_slab_has_no_stress_but_a_virial() -> None:
    phi = PeriodicPotential(_slab("rectangle"), 1e-6, slab=True)
    assert "in a slab" in repr(phi)
    with pytest.raises(InvalidValueError, match="no volume"):
        periodic_stress(phi)
    assert np.trace(phi.virial()) == pytest.approx(phi.energy(), rel=1e-6)


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
@pytest.mark.parametrize("evaluated", [PeriodicPotential, ParticleMesh])
def test_measured_errors_hold_what_images_across_the_room_add(evaluated: type, tol: float) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        rows, n = np.diag(rng.uniform(2.0, 4.0, 3))[:2], 1 + seed
        particles = Particles(
            rng.uniform(0.0, 3.0, (n, 3)), rng.normal(size=n), cell=np.concatenate([rows, [[0, 0, 1.0]]])
        )
        exact = plane_ewald(rows, particles.positions, particles.charges, particles.positions, 0.8)
        phi, terms = evaluated(particles, tol, slab=True), particles.charges * exact
        error = abs(2 * phi.energy() - terms.sum()) / np.abs(terms).sum()
        assert error <= 1.2 * phi.measured_error("energy").relative + 1e-12


def test_a_mesh_of_many_charges_is_compared_with_one_of_more_room() -> None:
    rng = np.random.default_rng(1)
    particles = Particles(rng.uniform(0.0, 8.0, (300, 3)), np.resize([1.0, -1.0], 300), cell=8.0 * np.eye(3))
    mesh = ParticleMesh(particles, 1e-3, slab=True)
    exact = PeriodicPotential(particles, 1e-9, slab=True).forces()
    error = np.linalg.norm(mesh.forces() - exact) / np.linalg.norm(exact)
    assert mesh.measured_error().relative == pytest.approx(error, rel=0.1)
