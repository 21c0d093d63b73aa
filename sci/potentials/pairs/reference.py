"""Sums over pairs in array calls: the explanation of the kernels, and what runs without a compiler."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.radial.split import COINCIDENT

__all__ = ["lattice_shifts", "pair_values", "reference_sums"]

BLOCK_PAIRS = 1 << 20


def pair_values(kernel: PairKernel, r2: Array, others: Array) -> tuple[Array, Array]:
    """Return S and -S'(r) / r at squared distances; zero where `others` is False and beyond the cutoff."""
    xp = namespace(r2)
    apart = r2 > COINCIDENT**2
    inside = others & (r2 < kernel.cutoff**2)
    clipped = xp.where(inside, r2, kernel.cutoff**2)
    inverse = 1 / xp.sqrt(xp.where(apart, clipped, 1.0))
    u = clipped * (2 / kernel.cutoff**2) - 1
    b, g = (xp.full_like(u, float(c[-1])) for c in (kernel.b, kernel.g))
    for bk, gk in zip(kernel.b[-2::-1].tolist(), kernel.g[-2::-1].tolist()):
        b, g = b * u + bk, g * u + gk
    screen = xp.exp(-kernel.kappa / inverse)
    value = xp.where(apart, screen * inverse - b, -kernel.at_zero)
    factor = xp.where(apart, screen * inverse * inverse * (inverse + kernel.kappa) - g, 0.0)
    return xp.where(inside, value, 0.0), xp.where(inside, factor, 0.0)


def lattice_shifts(low: np.ndarray, high: np.ndarray, reach: float, lattice: np.ndarray | None) -> np.ndarray:
    """Return the lattice vectors (m, 3) that bring a box within `reach` of itself; the first is zero."""
    if lattice is None:
        return np.zeros((1, 3))
    # A shift s = n @ lattice matters if |s_a| <= size_a + reach along every axis of space.
    far = np.linalg.norm(high - low + reach)
    counts = np.floor(far * np.linalg.norm(np.linalg.inv(lattice), axis=0) + 1e-9).astype(int)
    orders = np.stack(np.meshgrid(*(np.arange(-c, c + 1) for c in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = orders @ lattice
    near = (np.abs(shifts) <= (high - low) + reach).all(axis=1) & orders.any(axis=1)
    found: np.ndarray = np.concatenate([np.zeros((1, 3)), shifts[near]])
    return found


def reference_sums(
    positions: Array, charges: Array, kernel: PairKernel, lattice: np.ndarray | None, forces: bool
) -> tuple[Array, Array | None, np.ndarray | None]:
    """Return potentials (n,), gradients (n, 3) and the virial (3, 3) of all pairs, each taken from both ends."""
    xp, n = namespace(positions, charges), len(charges)
    potentials, gradient, virial = xp.zeros(n), xp.zeros((n, 3)), np.zeros((3, 3))
    if lattice is not None and n:
        fractions = positions @ to_device(np.linalg.inv(lattice), xp)
        positions = (fractions - xp.floor(fractions)) @ to_device(lattice, xp)
    numbers = xp.arange(n)
    if n:
        low, high = (to_host(side) for side in (positions.min(axis=0), positions.max(axis=0)))
        shifts = lattice_shifts(low, high, kernel.cutoff, lattice)
    step = max(1, BLOCK_PAIRS // max(n, 1))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        here = positions[rows]
        for index in range(len(shifts)):
            d = here[:, None, :] - positions[None, :, :] - to_device(shifts[index], xp)
            others = (numbers[rows, None] != numbers) if index == 0 else xp.ones(d.shape[:2], dtype=bool)
            value, factor = pair_values(kernel, (d * d).sum(axis=2), others)
            potentials[rows] += value @ charges
            if forces:
                weighted = factor * charges
                gradient[rows] -= (weighted[:, :, None] * d).sum(axis=1)
                products = xp.einsum("ij,ija,ijb->ab", charges[rows, None] * weighted, d, d)
                virial += 0.5 * to_host(products)
    if not forces:
        return potentials, None, None
    return potentials, gradient, virial
