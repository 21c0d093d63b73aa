"""The derivative of the energy of a periodic cell by strain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from sci.backend import namespace, to_host
from sci.potentials.ewald import short_slope
from sci.potentials.forcefield.corrections import CLOSE, close_pairs_of, listed_pairs, pair_virial
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import GaussianSum, RadialKernel

__all__ = ["exclusion_strain", "strain_derivative"]

BLOCK = 256
"""Particles whose neighbors are looked for at once."""


def strain_derivative(phi: Any) -> np.ndarray:
    """Return dE / d strain of the sum over three periods of a `PeriodicPotential`, (3, 3), at fixed fractions."""
    listed = listed_pairs(phi.particles)
    close = close_pairs_of(phi.particles, listed) is not None
    # Coincident particles count as one that does not act on itself.
    short = _short_range(phi, CLOSE if close else 1e-8 * max(1.0, phi.split.cutoff))
    background = 0.5 * phi.particles.total_charge * phi.background
    left_out = exclusion_strain(phi.particles, phi.kernel, phi.split.gaussians)
    found: np.ndarray = _long_range(phi) + short + left_out - background * np.eye(3)
    return found


def exclusion_strain(particles: Particles, kernel: RadialKernel, smooth: GaussianSum | None) -> np.ndarray:
    """Return the contribution of exclusions to dE / d strain, (3, 3).

    Pairs nearer than `CLOSE`, if one of them is listed, are taken as missing in the sum, but for their part `smooth`.
    """
    listed = listed_pairs(particles)
    if listed is None:
        return np.zeros((3, 3))
    close, charges = close_pairs_of(particles, listed), particles.charges
    total = np.zeros((3, 3))
    if close is not None:
        xp = namespace(charges)
        r = xp.where(close.scales > 0, close.distances, 1.0)
        factor = -close.scales * xp.exp(-kernel.kappa * r) * (1 / r + kernel.kappa) / (r * r)
        if smooth is not None:
            r2 = close.distances**2
            for t, w in zip(smooth.exponents.tolist(), smooth.weights.tolist()):
                factor += 2 * w * t * t * xp.exp(-t * t * r2)
        total += pair_virial(close, charges, factor)
        listed = listed.where(listed.distances >= CLOSE)
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


def _short_range(phi: Any, least: float) -> np.ndarray:
    """Return the sum over pairs of the cell with all others within the cutoff and not nearer than `least`."""
    total = np.zeros((3, 3))
    for left, vectors, right in _pairs(phi, least):
        r = np.sqrt((vectors**2).sum(axis=1))
        slope = short_slope(r, phi.alpha, phi.kernel.kappa)
        total += np.einsum("n,na,nb->ab", 0.5 * left * right * slope / r, vectors, vectors)
    return total


def _pairs(phi: Any, least: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield charges of particles of the cell, vectors to others within the cutoff, and their charges, in blocks."""
    cell, charges = to_host(phi.particles.cell), to_host(phi.particles.charges)
    inverse, cutoff = np.linalg.inv(cell), phi.split.cutoff
    fractions = to_host(phi.particles.positions) @ inverse
    fractions -= np.floor(fractions)
    margin = cutoff * np.linalg.norm(inverse, axis=0)  # in fractions: the cutoff over the heights of the cell
    shells = np.ceil(margin).astype(int)
    places, owners = [], []
    for shift in np.ndindex(*(2 * shells + 1)):
        moved = fractions + (np.array(shift) - shells)
        near = np.flatnonzero(((moved >= -margin) & (moved <= 1 + margin)).all(axis=1))
        places.append(moved[near] @ cell)
        owners.append(near)
    others, numbers = np.concatenate(places), np.concatenate(owners)
    tree, home = cKDTree(others), fractions @ cell
    for start in range(0, len(home), BLOCK):
        block = home[start : start + BLOCK]
        found = tree.query_ball_point(block, cutoff)
        left = np.repeat(np.arange(len(block)), [len(f) for f in found])
        right = np.concatenate([np.asarray(f, dtype=np.int64) for f in found])
        vectors = others[right] - block[left]
        apart = (vectors**2).sum(axis=1) > least**2  # a particle is among its own neighbors
        left, right = left[apart], right[apart]
        yield charges[start + left], vectors[apart], charges[numbers[right]]
