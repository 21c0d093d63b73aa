"""What potentials ask of a device, counted on the stand-in for CuPy: a launch costs microseconds whatever it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest

from sci.potentials import ParticleMesh, Particles, PeriodicPotential, RangeSeparatedPotential

BUILD, EVALUATION, AT_CHARGES, MESH = 600, 40, 40, 40
"""Launches at most: of a build, of an evaluation at points, and of one at the charges, whose pairs are sorted anew; of
a mesh, planned and evaluated from nothing."""
WAITS = 8
"""Times at most that the host waits for the device in an evaluation at the charges."""


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def launches(action: Callable[[], Any]) -> tuple[int, Any]:
    with fake_cupy.counting() as work:
        result = action()
    return work["launches"], result


@pytest.mark.parametrize("periodic", [False, True], ids=["isolated", "periodic"])
def test_builds_and_evaluations_take_few_launches(cupy, periodic):
    rng, n = np.random.default_rng(0), 500
    positions, charges = 30 * rng.random((n, 3)), rng.normal(size=n)
    cell = cupy.asarray(30 * np.eye(3)) if periodic else None
    particles = Particles(cupy.asarray(positions), cupy.asarray(charges), cell=cell)
    build, phi = launches(lambda: (PeriodicPotential if periodic else RangeSeparatedPotential)(particles, 1e-6))
    assert 50 < build <= BUILD
    targets = cupy.asarray(30 * rng.random((1000, 3)))
    phi(targets)
    phi.forces()  # the first of either makes what the others use
    for action in (lambda: phi(targets), lambda: phi.field(targets)):
        assert 5 < launches(action)[0] <= EVALUATION
    for action in (phi.forces, phi.energy_and_forces):
        assert 5 < launches(action)[0] <= AT_CHARGES
        with fake_cupy.counting() as work:
            action()
        assert work["waits"] <= WAITS
    ParticleMesh(particles, 1e-5).forces()
    assert 5 < launches(lambda: ParticleMesh(particles, 1e-5).energy_and_forces())[0] <= MESH


def test_the_stand_in_counts_what_computes(cupy):
    a = cupy.asarray(np.arange(12.0).reshape(3, 4))
    for action, expected in (
        (lambda: a + 1, 1),
        (lambda: a.T.reshape(4, 3)[1:], 0),
        (lambda: cupy.ascontiguousarray(a), 0),
        (lambda: cupy.ascontiguousarray(a.T), 1),
        (lambda: cupy.matmul(a, a.T, out=cupy.empty((3, 3))), 1),
        (lambda: a[cupy.asarray(np.array([0, 2]))], 1),
        (lambda: a.sum(axis=0), 1),
        (lambda: a.__setitem__(0, 1.0), 1),
        (lambda: cupy.empty((3, 3)), 0),
    ):
        assert launches(action)[0] == expected
    with fake_cupy.counting() as work:
        assert float(a.sum()) == 64.0
        cupy.asnumpy(a)
        cupy.asarray(np.ones(3))
    assert work == {"launches": 1, "waits": 2, "copies": 1}
