"""The derivative of the energy of a periodic cell by strain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.potentials.ewald import mode_influence
from sci.potentials.forcefield.corrections import close_pairs_of, listed_pairs, pair_virial, radial_terms
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import pair_sums
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import COINCIDENT

__all__ = ["exclusion_strain", "strain_derivative"]


def strain_derivative(phi: Any) -> np.ndarray:
    """Return dE / d strain of the sum over three periods of a `PeriodicPotential`, (3, 3), at fixed fractions."""
    left_out, apart = exclusion_strain(phi.particles, phi.kernel)
    background = 0.5 * phi.particles.total_charge * phi.background
    found: np.ndarray = _long_range(phi) + _short_range(phi, apart) + left_out - background * np.eye(3)
    return found


def exclusion_strain(particles: Particles, kernel: RadialKernel) -> tuple[np.ndarray, float]:
    """Return the contribution of exclusions to dE / d strain, (3, 3), and the distance of pairs a sum is to lack.

    All pairs within that distance are taken as missing in the sum; it is that of `close_pairs_of`, if one of them is
    listed, and `COINCIDENT` otherwise.
    """
    listed = listed_pairs(particles)
    if listed is None:
        return np.zeros((3, 3)), COINCIDENT
    close, charges = close_pairs_of(particles, listed), particles.charges
    far = listed if close is None else close.far
    total = pair_virial(far, charges, radial_terms(far, kernel, far.scales - 1)[1])
    if close is None:
        return total, COINCIDENT
    near = close.near
    return total + pair_virial(near, charges, radial_terms(near, kernel, near.scales)[1]), close.reach


def _long_range(phi: Any) -> np.ndarray:
    """Return the sum over modes: |mode|^2 over its influence is twice the energy, with both signs of n3 in one."""
    modes = to_host(phi.modes)
    influence, k = mode_influence(np.linalg.inv(to_host(phi.particles.cell)), phi.n_modes, phi.split, math.inf)
    chosen = np.abs(modes) > 0
    k = k[chosen]
    energies = 0.5 * np.abs(modes[chosen]) ** 2 / influence[chosen]
    weights = 2 * energies * (1 / ((k * k).sum(axis=-1) + phi.kernel.kappa**2) + 1 / (4 * phi.alpha**2))
    found: np.ndarray = np.einsum("n,na,nb->ab", weights, k, k) - energies.sum() * np.eye(3)
    return found


def _short_range(phi: Any, apart: float) -> np.ndarray:
    """Return the sum over pairs of the cell with all others within the cutoff; nearer than `apart`, their -L alone."""
    particles, kernel = phi.particles, PairKernel.of(phi.split)
    found = pair_sums(particles.positions, particles.charges, kernel, lattice=to_host(particles.cell), apart=apart)
    return np.zeros((3, 3)) if found.virial is None else -found.virial
