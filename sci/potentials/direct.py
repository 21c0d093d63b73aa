"""Pairwise sums: exact, O(M N), the oracle of everything else."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_points, namespace
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import Coulomb, RadialKernel
from sci.potentials.radial.split import COINCIDENT

__all__ = ["direct_sum", "pack"]


def pack(particles: Particles) -> Array:
    """Return positions and charges as one (n, 4) array, as the kernels read them."""
    xp = namespace(particles.positions)
    return xp.ascontiguousarray(xp.concatenate([particles.positions, particles.charges[:, None]], axis=1))


@entry
def direct_sum(
    particles: Particles, points: ArrayLike, *, kernel: RadialKernel | None = None, gradient: bool = False
) -> Any:
    """Return phi(x) = sum_j q_j K(|x - y_j|) at `points` by the sum over all pairs.

    Parameters
    ----------
    particles : Particles
        n charges; their `cell` is ignored.
    points : (m, 3) float64
        Targets in angstrom, on the device of the particles. A particle closer than 1e-8 angstrom to a target is
        left out, so that the potential at a particle is that of all the others.
    kernel : Coulomb or Yukawa, optional
        1/r unless given.
    gradient : bool
        Return the gradient too.

    Returns
    -------
    potential : (m,) float64, in e/angstrom
    gradient : (m, 3) float64, in e/angstrom^2, if asked for

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    1 to 4 ns per pair and core on the CPU; float64 throughout, relative error a few units in the last place.
    """
    xp = namespace(particles.positions, points)
    points = as_points(points, xp=xp)
    if namespace(points) is not xp:
        raise DeviceMismatchError("points and particles lie on different devices; move one of them first")
    kernel = kernel or Coulomb()
    out = direct_sum_packed(points, pack(particles), kernel, gradient)
    if not bool(xp.isfinite(out).all()):
        raise InvalidValueError("the sum over all pairs overflows float64; pass the charges in another unit")
    return (out[:, 0], out[:, 1:]) if gradient else out[:, 0]


def direct_sum_packed(
    points: ArrayLike, sources: Array, kernel: RadialKernel, gradient: bool, apart: float = COINCIDENT
) -> Array:
    """Return (m, 1) potentials, or (m, 4) potentials and gradients, of packed `sources` (n, 4) farther than `apart`."""
    instance = get_kernel("particles/direct_sum.cu", "direct_sum", np.float64, kernel.kappa > 0, gradient)
    if not use_compiled(instance, points):
        return direct_sum_reference(points, sources, kernel, gradient, apart)
    xp = namespace(points)
    out = xp.empty((len(points), 4 if gradient else 1))
    blocks = -(-len(points) // block_size(points))
    launch(instance, blocks, points, sources, out, len(points), len(sources), kernel.kappa, apart**2)
    return out


def direct_sum_reference(
    points: ArrayLike, sources: Array, kernel: RadialKernel, gradient: bool, apart: float = COINCIDENT
) -> Array:
    """Reference of the kernel `direct_sum` in array calls over blocks of targets."""
    xp = namespace(points)
    out = xp.empty((len(points), 4 if gradient else 1))
    block = max(1, 2_000_000 // max(len(sources), 1))
    for start in range(0, len(points), block):
        d = points[start : start + block, None, :] - sources[None, :, :3]
        r2 = (d * d).sum(axis=2)
        other = r2 > apart**2
        r = xp.sqrt(xp.where(other, r2, 1.0))
        value = xp.where(other, sources[None, :, 3], 0.0) * xp.exp(-kernel.kappa * r) / r
        out[start : start + block, 0] = value.sum(axis=1)
        if gradient:
            slope = -value * (1 / r + kernel.kappa) / r
            out[start : start + block, 1:] = (slope[:, :, None] * d).sum(axis=1)
    return out
