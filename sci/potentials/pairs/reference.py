"""Sums over pairs in array calls: the explanation of the kernels, and what runs without a compiler."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.potentials.pairs.cell import Frame, bounds
from sci.potentials.pairs.chunks import Chunks
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.radial.split import COINCIDENT

__all__ = ["lattice_shifts", "pair_values", "reference_sums"]

BLOCK = 8
"""Chunks that meet others at once."""


def pair_values(kernel: PairKernel, r2: Array, others: Array, coincident: float) -> tuple[Array, Array]:
    """Return S and -S'(r) / r at squared distances; zero where `others` is False and beyond the cutoff."""
    xp = namespace(r2)
    apart = r2 > coincident
    inside = others & (r2 < kernel.cutoff**2)
    clipped = xp.where(inside, r2, kernel.cutoff**2)
    inverse = 1 / xp.sqrt(xp.where(apart, clipped, 1.0))
    u = clipped * (2 / kernel.cutoff**2) - 1
    b, g = (xp.full_like(u, float(c[-1])) for c in (kernel.b, kernel.g))
    for bk, gk in zip(kernel.b[-2::-1].tolist(), kernel.g[-2::-1].tolist()):
        b, g = b * u + bk, g * u + gk
    screen = xp.exp(-kernel.kappa / inverse)
    value = xp.where(apart, screen * inverse, 0.0) - b
    factor = xp.where(apart, screen * inverse * inverse * (inverse + kernel.kappa), 0.0) - g
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
    frame: Frame, charges: Array, kernel: PairKernel, forces: bool, apart: float = COINCIDENT
) -> tuple[Array, np.ndarray]:
    """Return (ex, ey, ez, potential) of each charge (n, 4) and what virial and error need (10,), as the kernel does.

    A block of chunks meets all chunks, with their images, whose boxes come within the cutoff of its own; every pair is
    taken from both ends. Lengths are in units of the cutoff.
    """
    chunks = Chunks.of(frame, charges, np.dtype(np.float64))
    places = chunks.frame.positions
    xp, extra = namespace(places), np.zeros(10)
    unit = PairKernel(1.0, kernel.b * kernel.cutoff, kernel.kappa * kernel.cutoff)
    coincident = (apart / kernel.cutoff) ** 2
    result = xp.zeros((len(charges), 4))
    shifts = to_device(lattice_shifts(*bounds(places), 1.0, frame.periods), xp)
    for start in range(0, len(chunks.members), BLOCK):
        rows = slice(start, start + BLOCK)
        image, chunk = _near(chunks, rows, shifts)
        here, there = chunks.members[rows].reshape(-1), chunks.members[chunk]
        here = here[here >= 0]
        d = places[here][:, None, None, :] - (places[there] + shifts[image][:, None, :])
        home = (image == 0)[:, None] & (there == here[:, None, None])
        others = (there >= 0) & ~home
        value, factor = pair_values(unit, (d * d).sum(axis=3), others, coincident)
        q = charges[there]
        result[here, 3] = (value * q).sum(axis=(1, 2))
        if forces:
            field = (factor * q)[..., None] * d
            result[here, :3] = field.sum(axis=(1, 2))
            force = (charges[here][:, None, None, None] * field).sum(axis=(0, 2))
            extra[:9] -= 0.5 * to_host(force.T @ shifts[image]).reshape(9)
    return result, extra


def _near(chunks: Chunks, rows: slice, shifts: Array) -> tuple[Array, Array]:
    """Return numbers of shifts and chunks whose boxes, moved, come within 1 of those of the chunks `rows`."""
    xp = namespace(shifts)
    low = (chunks.centers[rows] - chunks.halves[rows]).min(axis=0)
    high = (chunks.centers[rows] + chunks.halves[rows]).max(axis=0)
    moved = chunks.centers - 0.5 * (low + high) + shifts[:, None, :]
    gaps = xp.maximum(xp.abs(moved) - chunks.halves - 0.5 * (high - low), 0.0)
    found = xp.nonzero((gaps * gaps).sum(axis=2) < 1.0 + 1e-9)
    return found[0], found[1]
