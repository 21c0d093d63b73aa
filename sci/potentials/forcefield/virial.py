"""The derivative of the energy of a periodic cell by strain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import namespace, to_host
from sci.potentials.forcefield.corrections import close_pairs_of, listed_pairs, pair_virial
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import pair_sums
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import COINCIDENT

__all__ = ["exclusion_strain", "strain_derivative"]


def strain_derivative(phi: Any) -> np.ndarray:
    """Return dE / d strain of the sum over three periods of a `PeriodicPotential`, (3, 3), at fixed fractions."""
    listed = listed_pairs(phi.particles)
    close = close_pairs_of(phi.particles, listed)
    short = _short_range(phi, COINCIDENT if close is None else close.reach)
    background = 0.5 * phi.particles.total_charge * phi.background
    left_out = exclusion_strain(phi.particles, phi.kernel)
    found: np.ndarray = _long_range(phi) + short + left_out - background * np.eye(3)
    return found


def exclusion_strain(particles: Particles, kernel: RadialKernel) -> np.ndarray:
    """Return the contribution of exclusions to dE / d strain, (3, 3).

    Pairs of `close_pairs_of`, if one of them is listed, are taken as missing in the sum.
    """
    listed = listed_pairs(particles)
    if listed is None:
        return np.zeros((3, 3))
    close, charges = close_pairs_of(particles, listed), particles.charges
    total = np.zeros((3, 3))
    if close is not None:
        xp = namespace(charges)
        near = close.near
        r = xp.where(near.scales > 0, near.distances, 1.0)
        factor = -near.scales * xp.exp(-kernel.kappa * r) * (1 / r + kernel.kappa) / (r * r)
        total += pair_virial(near, charges, factor)
        listed = close.far
    r = listed.distances
    factor = (1 - listed.scales) * namespace(charges).exp(-kernel.kappa * r) * (1 / r + kernel.kappa) / (r * r)
    total += pair_virial(listed, charges, factor)
    return total


def _long_range(phi: Any) -> np.ndarray:
    """Return the sum over modes: |mode|^2 over its influence is twice the energy, with both signs of n3 in one."""
    modes = to_host(phi.modes)
    m1, m2, m3 = phi.n_modes
    orders = np.meshgrid(np.arange(-m1, m1 + 1), np.arange(-m2, m2 + 1), np.arange(m3 + 1), indexing="ij")
    k = 2 * math.pi * np.stack(orders, axis=-1) @ np.linalg.inv(to_host(phi.particles.cell)).T
    k2 = (k * k).sum(axis=-1)
    chosen = np.abs(modes) > 0
    k, k2 = k[chosen], k2[chosen]
    k2 = k2 + phi.kernel.kappa**2
    influence = np.exp(-k2 / (4 * phi.alpha**2)) / k2 * (4 * math.pi / phi.volume)
    influence *= np.where(orders[2][chosen] > 0, 2.0, 1.0)
    energies = 0.5 * np.abs(modes[chosen]) ** 2 / influence
    weights = 2 * energies * (1 / k2 + 1 / (4 * phi.alpha**2))
    found: np.ndarray = np.einsum("n,na,nb->ab", weights, k, k) - energies.sum() * np.eye(3)
    return found


def _short_range(phi: Any, apart: float) -> np.ndarray:
    """Return the sum over pairs of the cell with all others within the cutoff; nearer than `apart`, their -L alone."""
    particles, kernel = phi.particles, PairKernel.of(phi.split)
    found = pair_sums(particles.positions, particles.charges, kernel, lattice=to_host(particles.cell), apart=apart)
    return np.zeros((3, 3)) if found.virial is None else -found.virial
