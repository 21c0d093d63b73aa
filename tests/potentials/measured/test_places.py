"""Places of measurement: in the domain or around the cell, near and far, and the particles that stand for all."""

from __future__ import annotations

import numpy as np
from systems import cloud

from sci.potentials.measured.places import Scene, neighbor_distances, particle_sample, sample_places

BOX = ((-1.0, 21.0), (-1.0, 15.0), (-1.0, 10.0))


def scene() -> Scene:
    particles = cloud(20)
    return Scene(particles.positions, particles.charges, particles.positions, domain=BOX)


def test_places_lie_in_the_domain():
    samples = sample_places(scene(), 50, 200)
    assert [s.name for s in samples] == ["near", "between", "far", "faces"]
    for sample in samples:
        assert sample.points.shape == (200, 3)
        assert sample.compared == 50
        assert (sample.points >= -1.0).all()
        assert (sample.points <= [21.0, 15.0, 10.0]).all()
    faces = samples[3].points
    assert ((faces == -1.0) | (faces == [21.0, 15.0, 10.0])).any(axis=1).all()


def test_near_places_are_nearer_than_the_neighbors():
    where = scene()
    near = sample_places(where, 50, 200)[0].points
    nearest = np.linalg.norm(near[:, None] - where.positions, axis=2).min(axis=1)
    assert nearest.max() <= neighbor_distances(where.positions, 1000).max()


def test_places_in_a_cell_have_no_faces():
    cell = np.array([[9.0, 0.5, -0.3], [-3.0, 10.0, 0.4], [2.0, 3.5, 8.0]])
    one = np.array([[1.0, 2.0, 3.0]])
    where = Scene(one, np.ones(1), np.concatenate([one, one + cell[0]]), cell=cell)
    samples = sample_places(where, 10, 30)
    assert [s.name for s in samples] == ["near", "between", "far"]
    assert (np.linalg.norm(samples[0].points - one, axis=1) <= np.linalg.norm(cell[0]) / 1).all()
    fractions = samples[2].points @ np.linalg.inv(cell)
    assert ((fractions >= 0) & (fractions <= 1)).all()


def test_an_empty_domain_has_far_places_alone():
    empty = np.empty((0, 3))
    names = [s.name for s in sample_places(Scene(empty, np.empty(0), empty, domain=BOX), 5, 5)]
    assert names == ["far", "faces"]


def test_particles_of_a_sample_are_the_largest_and_clusters():
    rng = np.random.default_rng(0)
    positions, charges = rng.random((2000, 3)) * 30, rng.normal(size=2000)
    chosen, weights, clusters = particle_sample(positions, charges, 400)
    assert len(np.unique(chosen)) == len(chosen) <= 400
    assert set(np.argsort(-np.abs(charges))[:100]) <= set(chosen.tolist())
    assert abs(weights.sum() - 2000) < 1e-9
    assert len(np.unique(clusters[weights > 1])) < 60
    everyone, ones, _ = particle_sample(positions, charges, 5000)
    assert len(everyone) == ones.sum() == 2000


def test_neighbors_of_a_lone_particle_are_infinitely_far():
    assert np.isinf(neighbor_distances(np.zeros((1, 3)), 3)).all()
