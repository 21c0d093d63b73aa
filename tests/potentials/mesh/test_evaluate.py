"""Slabs of a cell on ranks: the same sums, whatever the cutoff is beside the slabs. Polynomials of the pairs."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_cases import CELL, ionic
from systems import relative
from thread_ranks import on_ranks

from sci.potentials import Exclusions, ParticleMesh, Particles
from sci.potentials.mesh.evaluate import pair_kernel
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.prolate import ProlateSplit

LONG = np.diag([9.0, 40.0, 10.0])


@pytest.mark.parametrize(
    ("n", "cell", "ranks"), [(300, 2.2 * CELL, 3), (200, LONG, 4), (2, CELL, 3)], ids=["skewed", "long", "few"]
)
def test_ranks_share_pairs_and_grid(n, cell, ranks):
    particles = ionic(n, cell, charge=1.0)
    if n > 100:
        exclusions = Exclusions(np.stack([np.arange(0, 20, 2), np.arange(1, 20, 2)], axis=1), n)
        places = particles.positions.copy()
        places[1:20:2] = places[0:20:2] + 0.6
        particles = Particles(places, particles.charges, cell=particles.cell, exclusions=exclusions)
    alone = ParticleMesh(particles, 1e-7)
    for found in on_ranks(ranks, lambda comm: ParticleMesh(particles, 1e-7, comm=comm)):
        assert relative(found.forces(), alone.forces()) < 1e-11
        np.testing.assert_allclose(found.potentials(), alone.potentials(), atol=1e-10)
        assert found.energy() == pytest.approx(alone.energy(), rel=1e-11)
        np.testing.assert_allclose(found.stress(), alone.stress(), atol=1e-11)
        assert found.measured_error("forces").relative < 1e-7


@pytest.mark.parametrize("split", [ProlateSplit(12.0, 6.0), GaussianSplit(0.5, 6.0, 3.0)], ids=["prolate", "gaussian"])
def test_the_degree_follows_the_error(split):
    degrees = []
    for error in (1e-3, 1e-6, 1e-9):
        kernel = pair_kernel(split, error, 0.1)
        r = np.linspace(0.5, 5.999, 200)
        u = 2 * (r / 6.0) ** 2 - 1
        _, g = split.polynomials(60)
        exact = np.polynomial.chebyshev.chebval(u, g)
        missed = np.polynomial.polynomial.polyval(u, kernel.g) - exact
        weight = 0.1 * np.sqrt(4 * np.pi * np.trapezoid(missed**2 * r**4, r))
        assert weight < 0.15 * error
        degrees.append(len(kernel.b) - 1)
    assert degrees == sorted(degrees)
    assert degrees[0] < degrees[-1]
