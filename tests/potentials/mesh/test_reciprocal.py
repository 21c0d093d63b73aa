"""The long range on a mesh against sums over modes; charges that are shared over ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mesh_cases import CELL, ionic
from thread_ranks import on_ranks

from sci.potentials.ewald import mode_orders, structure_factors
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.prolate import ProlateSplit
from sci.potentials.mesh.reciprocal import mesh_influence, mesh_long_range, mesh_virial


def by_modes(particles, split, counts=(12, 12, 12)):
    """Return potential, gradient and virial of the long range, mode by mode."""
    inverse = np.linalg.inv(particles.cell)
    volume = abs(np.linalg.det(particles.cell))
    factors = structure_factors(particles.positions @ inverse, particles.charges, counts)
    k = 2 * math.pi * np.stack(np.meshgrid(*mode_orders(counts), indexing="ij"), axis=-1) @ inverse.T
    k2 = (k * k).sum(axis=-1)
    inside = (k2 > 0) & (k2 <= split.k_max**2)
    k, k2, factors = k[inside], k2[inside], factors[inside]
    twice = np.where(np.broadcast_to(mode_orders(counts)[2], inside.shape)[inside] > 0, 2.0, 1.0)
    size = np.sqrt(k2)
    g = split.transform(size)
    weights = twice * 4 * math.pi / volume * g / k2
    waves = np.exp(1j * particles.positions @ k.T) * (weights * factors)
    energies = 0.5 * weights * np.abs(factors) ** 2
    along = (size * split.transform_slope(size) / g - 2) / k2
    virial = energies.sum() * np.eye(3) + np.einsum("n,na,nb->ab", energies * along, k, k)
    return waves.real.sum(axis=1), (1j * waves).real @ k, virial


@pytest.mark.parametrize("split", [ProlateSplit(14.0, 8.0), GaussianSplit(0.4, 8.0, 1.9)], ids=["prolate", "gaussian"])
@pytest.mark.parametrize("grid", [(40, 40, 40), (36, 40, 45)], ids=str)
def test_against_the_sum_over_modes(split, grid):
    particles = ionic(50, CELL, charge=1.5)
    value, slope, virial = by_modes(particles, split)
    found = mesh_long_range(particles.positions, particles.charges, CELL, split, grid, 8, np.float64)
    np.testing.assert_allclose(found.fields[:, 0], value, atol=2e-8)
    np.testing.assert_allclose(found.fields[:, 1:], slope, atol=2e-7)
    np.testing.assert_allclose(mesh_virial(found.modes, CELL, split, grid, 8), virial, atol=3e-7)
    single = mesh_long_range(particles.positions, particles.charges, CELL, split, grid, 8, np.float32)
    np.testing.assert_allclose(single.fields, found.fields, atol=2e-5)
    np.testing.assert_allclose(mesh_virial(single.modes, CELL, split, grid, 8), virial, atol=1e-4)


def test_charges_are_shared_over_ranks():
    particles = ionic(61, CELL)
    settings = CELL, ProlateSplit(12.0, 6.0), (16, 18, 16), 6, np.float64
    whole = mesh_long_range(particles.positions, particles.charges, *settings)

    def part(comm):
        rows = slice(61 * comm.Get_rank() // comm.Get_size(), 61 * (comm.Get_rank() + 1) // comm.Get_size())
        own = np.ascontiguousarray(particles.positions[rows]), np.ascontiguousarray(particles.charges[rows])
        return mesh_long_range(*own, *settings, comm=comm)

    found = on_ranks(3, part)
    np.testing.assert_allclose(np.concatenate([f.fields for f in found]), whole.fields, atol=1e-13)
    for each in found:
        np.testing.assert_allclose(each.modes, whole.modes, atol=1e-12)


def test_modes_of_a_cell_are_kept():
    key = tuple(CELL.ravel().tolist())
    first = mesh_influence(ProlateSplit(12.0, 6.0), key, (16, 16, 16), 6, "float32")
    assert mesh_influence(ProlateSplit(12.0, 6.0), key, (16, 16, 16), 6, "float32") is first
    assert not first.flags.writeable
    assert first[0, 0, 0] == 0.0
