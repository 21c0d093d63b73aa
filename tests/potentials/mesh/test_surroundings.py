"""What lies around charges: volumes that they fill, and lengths that plans are kept for."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_cases import CELL, ionic

from sci.potentials import Particles
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
    found = surroundings_of(particles)
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
        sample = surroundings_of(p).sample()
        assert len(sample.rows) > 200
        assert sample.weights.sum() == pytest.approx(700)
        assert (sample.sizes >= np.abs(p.charges[sample.rows] * sample.potentials) * (1 - 1e-12)).all()
