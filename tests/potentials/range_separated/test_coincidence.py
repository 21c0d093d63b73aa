"""Points on particles are found among many others."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest

from sci.potentials.range_separated.coincidence import Coincidences, grid_coincidences


@pytest.mark.parametrize("n", [1, 7, 5000])
def test_only_points_on_particles_are_found(n):
    rng = np.random.default_rng(n)
    positions = rng.random((n, 3)) * 50 - 20
    points = rng.random((40_000, 3)) * 50 - 20
    rows = rng.choice(len(points), size=n, replace=False)
    points[rows] = positions
    points[rows[0]] += 5e-9  # still on it
    away = points.copy()
    away[rows] += [0.0, 2e-8, 0.0]  # no longer
    table = Coincidences.of(positions)
    hits, particles = table.find(points)
    assert dict(zip(hits.tolist(), particles.tolist())) == dict(zip(rows.tolist(), range(n)))
    assert len(table.find(away)[0]) == 0
    assert len(table.find(points[:0])[0]) == 0
    assert f"{n} particles" in repr(table)


@pytest.mark.parametrize("shared", [False, True])
def test_a_device_finds_the_same(shared, monkeypatch):
    cupy = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    rng = np.random.default_rng(3)
    positions = rng.random((300, 3)) * 20 - 10
    if shared:
        positions[200:] = positions[:100]  # as pairs that are left out may lie
    points = np.concatenate([rng.random((500, 3)) * 20 - 10, positions[::-1], positions[50:60] + 4e-9])
    found = Coincidences.of(cupy.asarray(positions)).find(cupy.asarray(points))
    expected = Coincidences.of(positions).find(points)
    pairs, wanted = (sorted(zip(a.tolist(), b.tolist())) for a, b in ([cupy.asnumpy(v) for v in found], expected))
    assert pairs == wanted
    assert len(pairs) == (520 if shared else 310)


def test_planes_of_a_lattice_are_told_apart():
    line = np.arange(12.0)
    positions = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    hits, particles = Coincidences.of(positions).find(positions + np.array([0.0, 0.0, 0.5]))
    assert len(hits) == len(particles) == 0
    hits, particles = Coincidences.of(positions).find(positions[::-1])
    assert np.array_equal(hits, len(positions) - 1 - particles)
    assert len(hits) == len(positions)


def test_nodes_of_a_grid_on_particles():
    positions = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.5], [0.5, 2.0, 3.0]])
    nodes, particles = grid_coincidences([np.array([0.0, 1.0]), np.array([2.0]), np.array([1.0, 2.0, 3.0])], positions)
    assert particles.tolist() == [0]
    assert [index.tolist() for index in nodes] == [[1], [0], [2]]
