"""Steps of a mesh: on the host, and on the stand-in for CuPy, where each is one launch of a graph."""

from __future__ import annotations

import sys
from types import ModuleType

import fake_cupy
import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.potentials import Exclusions, ParticleMesh, Particles

CELL = 25 * np.array([[1.0, 0.0, 0.0], [0.3, 0.9, 0.0], [-0.2, 0.1, 1.1]])


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    cupy = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupyx.scipy.fft", fake_cupy.transforms())
    return cupy


@pytest.mark.parametrize("periodic", [False, True], ids=["isolated", "periodic"])
@pytest.mark.parametrize("tol", [1e-3, 1e-5])
def test_steps_of_a_mesh_are_one_launch_of_a_graph(planned, periodic, tol):
    rng, n = np.random.default_rng(0), 300
    first, charges = rng.random((n, 3)) @ CELL, rng.normal(size=n)
    given = {"cell": planned.asarray(CELL)} if periodic else {}
    mesh = ParticleMesh(Particles(planned.asarray(first), planned.asarray(charges), **given), tol)
    for step in range(4):
        places = first + 0.1 * step * (np.mean(first, axis=0) - first) / 25
        at = planned.asarray(places)
        with fake_cupy.counting() as work:
            energy, forces = mesh.moved(at)
        if step > 1:  # recorded by the second
            assert work == {"launches": 3, "waits": 1}  # positions in, the graph, forces out
            assert mesh._steps._graph.refused is None
        host = ParticleMesh(
            Particles(places, charges, cell=CELL if periodic else None), force_error=mesh.plan.force_error
        )
        found = planned.asnumpy(forces)
        limit = 2 * mesh.plan.force_error
        assert np.sqrt(((found - host.forces()) ** 2).sum(axis=1).mean()) <= limit
        assert abs(energy - host.energy()) <= 1e-4 * np.abs(charges * host.potentials()).sum() * tol / 1e-5


def test_steps_tell_what_is_wrong_with_positions(planned):
    rng, n = np.random.default_rng(1), 100
    first, charges = 20 * rng.random((n, 3)), rng.normal(size=n)
    for cell in (None, planned.asarray(20 * np.eye(3))):
        mesh = ParticleMesh(Particles(planned.asarray(first), planned.asarray(charges), cell=cell), 1e-4)
        mesh.moved(planned.asarray(first))
        for row, value, message in ((3, np.nan, "NaN"), (4, first[9], "are both at")):
            places = first.copy()
            places[row] = value
            for _ in range(2):
                with pytest.raises(InvalidValueError, match=message):
                    mesh.moved(planned.asarray(places))
        with pytest.raises(ShapeError, match="positions"):
            mesh.moved(planned.asarray(first[1:]))
        energy, forces = mesh.moved(planned.asarray(first))
        np.testing.assert_allclose(energy, mesh.energy(), rtol=1e-5)
    away = first.copy()
    away[0] = 60.0
    alone = ParticleMesh(Particles(planned.asarray(first), planned.asarray(charges)), 1e-4)
    expected = ParticleMesh(Particles(away, charges), 1e-5)
    for _ in range(3):  # out of the box: planned anew, and kept
        energy, forces = alone.moved(planned.asarray(away))
        difference = planned.asnumpy(forces) - expected.forces()
        assert np.linalg.norm(difference) < 3e-4 * np.linalg.norm(expected.forces())


@pytest.mark.parametrize("device", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("periodic", [False, True], ids=["isolated", "periodic"])
def test_steps_leave_pairs_out(planned, device, periodic):
    rng, n = np.random.default_rng(2), 90
    first, charges = rng.random((n, 3)) @ CELL, rng.normal(size=n)
    first[1::2] = first[::2] + rng.uniform(0.6, 1.0, (n // 2, 3))  # bonds
    cell, out = CELL if periodic else None, Exclusions(np.arange(n).reshape(-1, 2), n)
    there = planned.asarray if device else np.asarray
    on = Particles(there(first), there(charges), cell=None if cell is None else there(cell), exclusions=out)
    mesh = ParticleMesh(on, 1e-6)
    for step in range(3):
        places = 2 + 0.9 * first + 0.01 * step * rng.random((n, 3))
        energy, forces = mesh.moved(there(places))
        plain = ParticleMesh(Particles(places, charges, cell=cell, exclusions=out), 1e-8)
        difference = (planned.asnumpy(forces) if device else forces) - plain.forces()
        assert np.linalg.norm(difference) < 2e-6 * np.linalg.norm(plain.forces())
        assert abs(energy - plain.energy()) < 1e-4 * abs(plain.energy())


@pytest.mark.parametrize("periodic", [False, True], ids=["isolated", "periodic"])
def test_steps_of_the_host_are_those_of_a_new_mesh(periodic):
    rng, n = np.random.default_rng(3), 80
    first, charges = rng.random((n, 3)) @ CELL, rng.normal(size=n)
    cell = CELL if periodic else None
    mesh = ParticleMesh(Particles(first, charges, cell=cell), 1e-6)
    for shift in (0.0, 0.03, 40.0):  # the last one leaves the box
        energy, forces = mesh.moved(first[::-1] + shift)
        other = ParticleMesh(Particles(first[::-1] + shift, charges, cell=cell), 1e-8)
        assert np.linalg.norm(forces - other.forces()) < 3e-6 * np.linalg.norm(other.forces())
        np.testing.assert_allclose(energy, other.energy(), rtol=1e-4)
