"""The long range of a charge at its own place, against the tensor that holds it."""

from __future__ import annotations

import numpy as np
import pytest
from systems import cloud

from sci.potentials import Particles, RangeSeparatedPotential
from sci.potentials.range_separated.build import CHEBYSHEV_SHARE
from sci.potentials.range_separated.self_terms import long_range_self_terms
from sci.tensor.boxes.grid import BoxGrid, Tiles


def self_terms(phi: RangeSeparatedPotential, grid: BoxGrid, degree: int) -> np.ndarray:
    """Return the terms of all charges of `phi`."""
    positions = phi.particles.positions
    return long_range_self_terms(
        *(positions, phi.split.gaussians, phi.long_range.factors, phi.domain),
        *(CHEBYSHEV_SHARE * phi.build_tol, len(positions), grid, degree),
    )


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_a_lone_charge_among_zeros_is_what_the_tensor_holds(tol):
    """The whole tensor is that of one charge, so value and gradient at its place are its self terms."""
    positions = cloud(200).positions
    charges = np.zeros(200)
    charges[17] = -3.0
    phi = RangeSeparatedPotential(Particles(positions, charges), tol)
    grid, degree = phi._layout
    found = np.empty((1, 4))
    phi._expansion.evaluate_into(found, positions[17:18], Tiles.of(positions[17:18], grid))
    terms = self_terms(phi, grid, degree)
    np.testing.assert_allclose(-3.0 * terms[17], found[0], atol=1e-12)
    exact = self_terms(phi, BoxGrid(phi.domain, (1, 1, 1)), max(phi.long_range.degree))
    value = phi.long_range.value_and_gradient(positions[17:18])[0]
    np.testing.assert_allclose(-3.0 * exact[17], value, atol=1e-12)


def test_terms_are_those_of_the_gaussians_but_for_the_tolerance():
    phi = RangeSeparatedPotential(cloud(300), 1e-7)
    terms = self_terms(phi, *phi._layout)
    np.testing.assert_allclose(terms[:, 0], phi.split.gaussians.at_zero, rtol=1e-4)
    assert np.abs(terms[:, 1:]).max() < 1e-4


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_a_charge_among_zeros_feels_nothing(tol):
    """At tol 1e-4 the middle one was pushed by 6.4 e^2/angstrom^2."""
    particles = Particles([[0.0, 0.0, 0.0], [37.0, 21.0, 11.0], [80.0, 60.0, 50.0]], [0.0, 1000.0, 0.0])
    phi = RangeSeparatedPotential(particles, tol)
    assert np.abs(phi.forces()).max() < 1e-7
    assert abs(phi.energy()) < 1e-7
    assert abs(phi(particles.positions)[1]) < 1e-10
    assert np.abs(phi.field(particles.positions)[1]).max() < 1e-10
    x, y, z = ([c - 1.0, c, c + 1.0] for c in (37.0, 21.0, 11.0))
    assert abs(phi.on_grid(x, y, z)[1, 1, 1]) < 1e-10


ANGLE = np.arange(6) * np.pi / 3
RING = np.stack([np.cos(ANGLE), np.sin(ANGLE), 0 * ANGLE], axis=1)
LATTICE = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
HALF = np.random.default_rng(3).random((100, 3)) * 15 + [1, 0, 0]
SYMMETRIC = {
    "dipole": Particles([[0, 0, 0], [2, 0, 0]], [1, -1]),
    "water": Particles([[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]], [-0.834, 0.417, 0.417]),
    "benzene": Particles(np.concatenate([1.39 * RING, 2.48 * RING]), [-0.115] * 6 + [0.115] * 6),
    "NaCl": Particles(2.82 * LATTICE, (-1.0) ** LATTICE.sum(axis=1)),
    "mirror": Particles(np.concatenate([HALF, HALF * [-1, 1, 1]]), np.tile(np.cos(np.arange(100)), 2)),
    "one of 1e6": Particles(HALF, np.where(np.arange(100) == 7, 1e6, np.cos(np.arange(100)))),
}


@pytest.mark.parametrize("accuracy", ["potential", "forces"])
@pytest.mark.parametrize("tol", [pytest.param(1e-4, marks=pytest.mark.nightly), 1e-6])
@pytest.mark.parametrize("name", SYMMETRIC)
def test_charges_that_share_factors_by_symmetry_keep_their_energy(name: str, tol: float, accuracy: str) -> None:
    """The tensor holds the sum well and no single charge; with q L(0) alone a charge of 1e6 spoils all forces."""
    particles = SYMMETRIC[name]
    phi = RangeSeparatedPotential(particles, tol, accuracy=accuracy)
    energy, forces = phi.energy_and_forces()
    d = particles.positions[:, None] - particles.positions
    r = np.sqrt((d**2).sum(axis=-1))
    np.fill_diagonal(r, np.inf)
    pairs = 0.5 * particles.charges[:, None] * particles.charges / r
    assert abs(energy - pairs.sum()) < 5 * tol * np.abs(pairs).sum()
    if accuracy == "forces":
        exact = (2 * pairs[..., None] * d / r[..., None] ** 2).sum(axis=1)
        assert np.linalg.norm(forces - exact) < 1.5 * tol * np.linalg.norm(exact)
