"""Chunks of a device, on the stand-in for CuPy: bounded in number, all charges in one lane each, the same sums."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest
from pair_cases import LATTICES, apart

from sci.potentials.pairs.cell import Frame
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.on_device import device_chunks
from sci.potentials.pairs.pair_sum import pair_sums

CUTOFF = 2.5
KERNEL = PairKernel(CUTOFF, 0.6 ** np.arange(15) / CUTOFF)


@pytest.fixture
def cupy(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def system(name, n):
    places = apart(np.random.default_rng(n), n)
    if name == "far":
        return np.concatenate([places, places + np.array([4e4, 0.0, 3e5])]), None
    side = int(np.ceil(n ** (1 / 3)))
    lattice = LATTICES[name]
    return (places, None) if lattice is None else (places / side @ (side * lattice), side * lattice)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*LATTICES, "far"])
def test_each_charge_has_one_lane_of_a_chunk_that_holds_it(cupy, name, dtype):
    for n in (1, 30, 300):
        places, lattice = system(name, n)
        frame = Frame.of(cupy.asarray(places), CUTOFF, lattice)
        found = device_chunks(frame, cupy.asarray(np.ones(len(places))), np.dtype(dtype))
        members, starts = cupy.asnumpy(found.members), cupy.asnumpy(found.column_start)
        real = int(starts[-1])
        assert sorted(members[members >= 0].tolist()) == list(range(len(places)))
        assert (members[:real] >= 0).any(axis=1).all()
        assert (members[real:] < 0).all()
        centers, halves, data = (cupy.asnumpy(a) for a in (found.centers, found.halves, found.data))
        inside = np.abs(np.where(members[:, None] >= 0, data[:, :3], 0.0)) <= halves[:, :, None] * (1 + 1e-6) + 1e-9
        assert inside.all()
        lane = members >= 0
        here = cupy.asnumpy(found.frame.positions)[members[lane]]
        back = (centers[:, :, None] + data[:, :3]).transpose(0, 2, 1)[lane]
        np.testing.assert_allclose(back, here, atol=1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("rounding", [0.0, np.inf])
@pytest.mark.parametrize("name", [*LATTICES, "far"])
def test_sums_are_those_of_the_host(cupy, name, rounding):
    places, lattice = system(name, 150)
    charges = np.random.default_rng(1).normal(size=len(places))
    expected = pair_sums(places, charges, KERNEL, lattice=lattice)
    found = pair_sums(cupy.asarray(places), cupy.asarray(charges), KERNEL, lattice=lattice, rounding=rounding)
    tol = 3e-6 if rounding else 1e-11
    for one, other in ((found.potentials, expected.potentials), (found.forces, expected.forces)):
        np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=0, atol=tol * np.abs(other).max())
    np.testing.assert_allclose(found.virial, expected.virial, atol=10 * tol * np.abs(expected.virial).max())
    assert (found.rounding > 0) == (rounding > 0)
