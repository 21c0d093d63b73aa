"""Periodic cells of random charges, and a plain Ewald sum for them."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import erfc

from sci.potentials import Particles

ORTHOGONAL = np.diag([9.0, 11.0, 7.0])
TRICLINIC = np.array([[9.0, 0.5, -0.3], [-3.0, 10.0, 0.4], [2.0, 3.5, 8.0]])


def filled(cell: np.ndarray, n: int, seed: int = 0, neutral: bool = True) -> Particles:
    """Charges at random places of a cell, some of them outside of it."""
    rng = np.random.default_rng(seed)
    charges = rng.normal(size=n)
    if neutral:
        charges -= charges.mean()
    return Particles((2 * rng.random((n, 3)) - 0.5) @ cell, charges, cell=cell)


def ewald(particles: Particles, points: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Potential and field by the plain Ewald sum to about 1e-14, with another split than the library's."""
    cell, y, q = particles.cell, particles.positions, particles.charges
    inverse, volume = np.linalg.inv(cell), abs(np.linalg.det(cell))
    potential = np.full(len(points), -math.pi * q.sum() / (alpha**2 * volume))
    field = np.zeros((len(points), 3))
    shells = np.ceil(6.0 / alpha * np.linalg.norm(inverse, axis=0)).astype(int)
    base = points[:, None] - y
    base = base - np.rint(base @ inverse) @ cell
    for n in itertools.product(*(range(-s - 1, s + 2) for s in shells)):
        d = base + n @ cell
        r = np.linalg.norm(d, axis=2)
        self_pair = r < 1e-9
        r = np.where(self_pair, 1.0, r)
        term = erfc(alpha * r) / r
        slope = (term + 2 * alpha / math.sqrt(math.pi) * np.exp(-((alpha * r) ** 2))) / r**2
        potential += np.where(self_pair, -2 * alpha / math.sqrt(math.pi), term) @ q
        field += ((np.where(self_pair, 0.0, slope) * q)[:, :, None] * d).sum(axis=1)
    orders = np.ceil(12 * alpha * np.linalg.norm(cell, axis=1) / (2 * math.pi)).astype(int)
    for n1, n2 in itertools.product(*(range(-m, m + 1) for m in orders[:2])):
        n3 = np.arange(-orders[2], orders[2] + 1)
        n = np.stack([np.full_like(n3, n1), np.full_like(n3, n2), n3], axis=1)
        k = 2 * math.pi * n @ inverse.T
        k = k[(n != 0).any(axis=1)]
        k2 = (k**2).sum(axis=1)
        factors = 4 * math.pi / volume * np.exp(-k2 / (4 * alpha**2)) / k2 * (np.exp(-1j * k @ y.T) @ q)
        waves = np.exp(1j * points @ k.T) * factors
        potential += waves.real.sum(axis=1)
        field += waves.imag @ k
    return potential, field
