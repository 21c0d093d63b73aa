"""What lies around charges: volumes that they fill, and lengths that plans are kept for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mesh_cases import CELL, ionic
from systems import relative

from sci.errors import InvalidValueError
from sci.potentials import Exclusions, ParticleMesh, Particles, PeriodicPotential
from sci.potentials.mesh.surroundings import Alone, Cell, filled_volume, surroundings_of


def test_charges_fill_their_box_or_a_part_of_it():
    rng, edges = np.random.default_rng(0), np.array([20.0, 30.0, 25.0])
    even = rng.random((5000, 3)) * edges
    assert filled_volume(even, np.zeros(3), edges) == pytest.approx(edges.prod(), rel=0.05)
    ball = rng.normal(size=(5000, 3))
    ball *= 12 * rng.random((5000, 1)) ** (1 / 3) / np.linalg.norm(ball, axis=1)[:, None]
    found = filled_volume(ball, np.full(3, -12.0), np.full(3, 24.0))
    assert found == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.25)
    assert filled_volume(even[:1], np.zeros(3), edges) == edges.prod()


def test_a_box_holds_its_charges_and_hardly_changes():
    particles = Particles(np.random.default_rng(1).random((50, 3)) * 17 - 40, np.ones(50))
    found = surroundings_of(particles, 1e-6, False)
    assert isinstance(found, Alone)
    places, edges = found.places(), np.reshape(found.key, (3, 3)).diagonal()
    assert (places > 0).all()
    assert (places < edges).all()
    assert (edges < 1.02 * np.ptp(particles.positions, axis=0)).all()


@pytest.mark.parametrize("cell", [14 * np.eye(3), CELL])
def test_cells_that_differ_little_have_one_key(cell):
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    keys = {Cell(ionic(5, cell * (1 + 1e-4 * k) @ turn)).key for k in range(6)}
    assert len(keys) <= 2
    for key in keys:
        larger = np.linalg.norm(np.reshape(key, (3, 3)), axis=1) / np.linalg.norm(cell, axis=1)
        assert (larger > 0.999).all()
        assert (larger < 1.02).all()


def test_samples_are_exact_and_weighted():
    particles = ionic(700, 20 * np.eye(3), charge=2.0)
    for p in (particles, Particles(particles.positions, particles.charges)):
        sample = surroundings_of(p, 1e-6, False).sample()
        assert len(sample.rows) > 200
        assert sample.weights.sum() == pytest.approx(700)
        assert (sample.sizes >= np.abs(p.charges[sample.rows] * sample.potentials) * (1 - 1e-12)).all()


@pytest.mark.parametrize(("tol", "charge"), [(1e-3, 2.0), (1e-6, 0.0)])
def test_slabs_are_those_of_another_method(tol: float, charge: float) -> None:
    rng, n = np.random.default_rng(7), 80
    cell = np.array([[13.0, 0.5, 0.0], [-4.0, 12.0, 0.0], [0.0, 0.0, 1.0]]) @ turned(3)
    fractions = rng.random((n, 3)) * [1.0, 1.0, 8.0]
    q = rng.normal(size=n)
    q += (charge - q.sum()) / n
    positions = fractions @ cell
    positions[1] = positions[0] + 0.6
    particles = Particles(positions, q, cell=cell, exclusions=Exclusions(np.array([[0, 1]]), n))
    flat = Particles([[0.0, 0, 0], [1.0, 0, 0]], [1.0, -1.0], cell=2 * np.eye(3))
    plane = PeriodicPotential(flat, 1e-9, slab=True).energy()
    assert ParticleMesh(flat, tol, slab=True).energy() == pytest.approx(plane, rel=10 * tol)
    mesh, exact = ParticleMesh(particles, tol, slab=True), PeriodicPotential(particles, 1e-10, slab=True)
    energy, forces = exact.energy_and_forces()
    assert relative(mesh.forces(), forces) < tol
    assert abs(mesh.energy() - energy) < 10 * tol * np.abs(q * exact.charge_gradient()).sum()
    np.testing.assert_allclose(mesh.virial(), exact.virial(), atol=30 * tol * np.abs(exact.virial()).max())
    assert mesh.measured_error("forces").relative < tol
    with pytest.raises(InvalidValueError, match="no stress"):
        mesh.stress()
    for shift, height in ((0.2, 1.0), (0.1, 1.5)):  # the second needs more room
        places = (fractions * [1, 1, height] + shift) @ cell
        places[1] = places[0] + 0.6
        other = PeriodicPotential(dataclasses.replace(particles, positions=places), 1e-9, slab=True)
        assert relative(mesh.moved(places)[1], other.forces()) < 3 * tol
    with pytest.raises(InvalidValueError, match="no cell"):
        ParticleMesh(Particles(positions, q), tol, slab=True)


def turned(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
