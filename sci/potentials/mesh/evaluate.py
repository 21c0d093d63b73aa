"""All pairs and modes of a mesh at its charges, by one process or shared over ranks."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from sci.backend import Array, namespace, to_device, to_host
from sci.distributed import Comm, agreed, allgather_rows, rank_of, size
from sci.potentials.mesh.errors import MeshSplit
from sci.potentials.mesh.plan import MeshPlan
from sci.potentials.mesh.reciprocal import mesh_long_range
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import PairSums, pair_sums
from sci.potentials.radial.split import COINCIDENT, DEGREES

__all__ = ["ROUNDING_SHARE", "MeshSums", "mesh_sums", "near_sums", "pair_kernel"]

ROUNDING_SHARE = 0.3
"""Rounding of float32 over the whole error."""
SHARE = 0.1
"""Error of the polynomial of the pairs over that of the split."""


class MeshSums(NamedTuple):
    """Potentials (n,) and forces (n, 3) at all charges, the virial of the pairs, and the modes of the spread charges.

    The virial is None where the pairs were shared over ranks, the modes for isolated charges. The background is not
    among the potentials.
    """

    potentials: Array
    forces: Array
    near_virial: np.ndarray | None
    modes: Array | None


def mesh_sums(
    positions: Array, charges: Array, cell: np.ndarray | None, plan: MeshPlan, strength: float, comm: Comm = None
) -> MeshSums:
    """Return the sums over all pairs within the cutoff and all modes.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
        The same on all ranks; isolated charges lie in the box from the origin on that was planned for.
    cell : (3, 3) float64 or None
        On the host; None for isolated charges.
    plan : MeshPlan
    strength : float
        See `ChargeSizes`.
    comm : mpi4py communicator, optional
        Ranks take slabs of the cell with about as many charges: the pairs of their own charges, with those within the
        cutoff of the slab, and their part of the grid, which is summed over all.

    Returns
    -------
    MeshSums
        The same on all ranks.

    Notes
    -----
    Collective.
    """
    long_range = functools.partial(
        mesh_long_range, split=plan.split, grid=plan.grid, order=plan.order, dtype=plan.dtype
    )
    if cell is None:
        cell = np.diag(np.array(plan.edges))
        positions = positions + to_device((plan.order - 1) * np.diag(cell) / plan.grid, namespace(positions))
        long_range = functools.partial(long_range, isolated=True)
    if size(comm) == 1:
        near = near_sums(positions, charges, cell, plan, strength)
        far = long_range(positions, charges, cell)
        potentials, forces = _added(near.potentials, near.forces, far.fields, charges, plan)
        return MeshSums(potentials, forces, near.virial, far.modes)
    xp = namespace(positions)
    with agreed(comm, "ParticleMesh"):
        order, own, halo = _slab(to_host(positions), cell, plan.split.cutoff, rank_of(comm), size(comm))
        rows, around = (to_device(index, xp) for index in (own, np.concatenate([own, halo])))
        near = near_sums(positions[around], charges[around], cell, plan, strength)
        places, q = (xp.ascontiguousarray(a[rows]) for a in (positions, charges))
    far = long_range(places, q, cell, comm=comm)
    assert near.forces is not None
    potentials, forces = _added(near.potentials[: len(own)], near.forces[: len(own)], far.fields, q, plan)
    found = allgather_rows(xp.concatenate([potentials[:, None], forces], axis=1), comm)
    whole = xp.empty_like(found)
    whole[to_device(order, xp)] = found
    return MeshSums(xp.ascontiguousarray(whole[:, 0]), xp.ascontiguousarray(whole[:, 1:]), None, far.modes)


def near_sums(
    positions: Array, charges: Array, cell: np.ndarray, plan: MeshPlan, strength: float, apart: float = COINCIDENT
) -> PairSums:
    """Return the sums over the pairs of a plan, in float32 where its rounding stays below a share of the error.

    Of pairs within `apart` only what they lack in the long range is summed, see `pair_sums`.
    """
    kernel = pair_kernel(plan.split, plan.force_error, strength)
    rounding = ROUNDING_SHARE * plan.force_error if plan.dtype == "float32" else 0.0
    lattice = cell if plan.edges is None else None
    return pair_sums(positions, charges, kernel, lattice=lattice, rounding=rounding, apart=apart)


def _added(potentials: Array, forces: Array, fields: Array, charges: Array, plan: MeshPlan) -> tuple[Array, Array]:
    """Return potentials and forces of pairs and modes, without what charges do to themselves through the modes."""
    return potentials + fields[:, 0] - plan.split.at_zero * charges, forces - charges[:, None] * fields[:, 1:]


def _slab(
    positions: np.ndarray, cell: np.ndarray, cutoff: float, rank: int, ranks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all charges in the order of the ranks, those of one rank, and others within the cutoff of its slab.

    Slabs lie across the axis along which the cell is highest.
    """
    inverse = np.linalg.inv(cell)
    heights = 1 / np.linalg.norm(inverse, axis=0)
    axis = int(heights.argmax())
    s = positions @ inverse[:, axis]
    s -= np.floor(s)
    order = np.argsort(s, kind="stable")
    own = order[len(order) * rank // ranks : len(order) * (rank + 1) // ranks]
    if not len(own):
        return order, own, own
    low, high, margin = float(s[own[0]]), float(s[own[-1]]), cutoff / float(heights[axis]) + 1e-9
    above = np.mod(s - low, 1.0)  # from the lower face, around the cell
    near = (above <= high - low + margin) | (above >= 1 - margin)
    near[own] = False
    return order, own, np.flatnonzero(near)


@functools.lru_cache(maxsize=64)
def pair_kernel(split: MeshSplit, error: float, strength: float) -> PairKernel:
    """Return the pair kernel of a split.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    error : float
        Root mean square error of a force, e^2/angstrom^2, of which the polynomial takes a tenth.
    strength : float
        See `ChargeSizes`.

    Returns
    -------
    PairKernel
    """
    b, g = split.polynomials(DEGREES[-1])
    # An error e of G makes one of e strength sqrt(4 pi r_c^5 / 5) in the force of pairs without correlation.
    allowed = SHARE * error / (strength * np.sqrt(4 * np.pi * split.cutoff**5 / 5)) if strength else np.inf
    tails = np.cumsum(np.abs(g[::-1]))[::-1]  # of the coefficients from each degree on
    degree = next((d for d in DEGREES if d + 1 > len(g) or tails[min(d, len(g) - 1)] <= allowed), DEGREES[-1])
    return PairKernel(split.cutoff, cheb2poly(b[: degree + 1]))
