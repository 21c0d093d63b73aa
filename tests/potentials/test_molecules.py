"""Accuracy on real molecules: potential, error estimate, energy and forces at three tolerances."""

from __future__ import annotations

import numpy as np
import pytest
from systems import relative, targets_in

from sci.datasets import dataset_path
from sci.io import read_structure
from sci.potentials import Particles, RangeSeparatedPotential, direct_sum

DEMO = dataset_path("ubiquitin")


def check(particles: Particles, tol: float) -> None:
    phi = RangeSeparatedPotential(particles, tol, expected_targets=100_000)
    points = targets_in(particles, 2000)
    error = relative(phi(points), direct_sum(particles, points))
    assert error < tol
    assert error / 5 < phi.error_estimate < 5 * error
    charges = particles.charges
    potential, gradient = direct_sum(particles, particles.positions, gradient=True)
    unsigned = Particles(particles.positions, np.abs(charges))
    scale = 0.5 * (np.abs(charges) * direct_sum(unsigned, particles.positions)).sum()
    assert abs(phi.energy() - 0.5 * (charges * potential).sum()) < 10 * tol * scale
    forces = -charges[:, None] * gradient
    assert np.sqrt(((phi.forces() - forces) ** 2).mean() / (forces**2).mean()) < 100 * tol


@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8])
def test_the_demo_protein(tol):
    check(read_structure(DEMO), tol)


@pytest.mark.parametrize("tol", [1e-4, pytest.param(1e-6, marks=pytest.mark.nightly), 1e-8])
@pytest.mark.parametrize("name", ["1ajj", "fas2", "mache", "1kx5"])
def test_larger_molecules(test_data, name, tol):
    check(read_structure(test_data / "structures" / f"{name}.pqr"), tol)
