"""Slabs of a cell on ranks: the same sums, whatever the cutoff is beside the slabs."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_cases import CELL, ionic
from systems import relative
from thread_ranks import on_ranks

from sci.potentials import Exclusions, ParticleMesh, Particles

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
