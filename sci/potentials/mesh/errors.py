"""Errors of the forces of a particle mesh, predicted for charges that lie without correlation."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from sci.potentials.ewald import mode_counts
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.prolate import ProlateSplit
from sci.potentials.mesh.window import alias_sums, neighbor_sums

__all__ = ["SHARES", "ChargeSizes", "MeshSplit", "aliasing", "mesh_force_error"]

MeshSplit = ProlateSplit | GaussianSplit
"""The splits that a mesh takes."""
MODES = 6_000
"""Modes of a grid that stand for all of them."""
SHARES = np.linspace(0.2, 1.0, 17)
"""Largest wave numbers over the largest one of the grid, pi over the spacing."""


class ChargeSizes(NamedTuple):
    """What errors know of the charges of a cell."""

    n: int
    strength: float
    """sum q^2 / sqrt(n V): errors of forces between charges are in units of it."""
    square: float
    """sqrt(sum q^4 / n): errors of the force of a charge on itself are."""

    @classmethod
    def of(cls, charges: np.ndarray, volume: float) -> ChargeSizes:
        """Return the sizes of charges (n,) in a volume."""
        # In units of the largest charge, so that powers stay in the range of float64.
        unit = float(np.abs(charges).max()) or 1.0
        squares = (charges / unit) ** 2
        n = len(squares)
        strength = unit * (unit * float(squares.sum()) / math.sqrt(n * volume))
        return cls(n, strength, unit * (unit * math.sqrt(float(squares @ squares) / n)))

    def rounded_up(self, step: float) -> ChargeSizes:
        """Return the same with the next powers of exp(step): many frames then have one plan."""
        sizes = (math.exp(math.ceil(math.log(x) / step) * step) if 1e-300 < x < 1e300 else x for x in self[1:])
        return ChargeSizes(self.n, *sizes)


def mesh_force_error(
    split: MeshSplit, cell: np.ndarray, grid: tuple[int, int, int], order: int, sizes: ChargeSizes
) -> float:
    """Return the root mean square error of a force that spreading and gathering make, e^2/angstrom^2.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    cell : (3, 3) float64
    grid : (int, int, int)
        Points along each period.
    order : int
        Points along an axis that a charge touches.
    sizes : ChargeSizes

    Returns
    -------
    float

    Notes
    -----
    The square for pairs is (sum q^2)^2 / (n V^2) sum over modes k of (4 pi g / k^2)^2 [sum_a k_a^2 W_a^2 sum_b W_b^2 /
    W_0^4 - k^2], over the aliases a and b of the mode, with W the transform of the window: the mean square over all
    places of the charges. Neutral molecules lie 2 to 4 times below. A charge also feels a force of its own, periodic in
    the spacing: of amplitude q^2 |sum over modes of 4 pi g / (k^2 V) sum_a k_a W_a W_(a - e) / W_0^2| for each axis e.
    """
    reciprocal = 2 * math.pi * np.linalg.inv(cell).T
    m, share = _sampled(cell, split.k_max)
    k2, missed = _missed(m, grid, order, reciprocal @ reciprocal.T)
    inside = (k2 > 0) & (k2 <= split.k_max**2)
    safe = np.where(inside, k2, 1.0)
    volume = abs(float(np.linalg.det(cell)))
    influence = np.where(inside, 4 * math.pi * split.transform(np.sqrt(safe)) / safe, 0.0)
    both_signs = np.where(m[2] > 0, 2.0, 1.0) / share
    pairs = float((influence**2 * both_signs * missed).sum()) / volume
    own = influence * both_signs @ _own_forces(m, grid, order, reciprocal) / volume
    return math.hypot(sizes.strength * math.sqrt(pairs), sizes.square * math.sqrt(2 * float((own**2).sum())))


def _own_forces(m: list[np.ndarray], grid: tuple[int, int, int], order: int, reciprocal: np.ndarray) -> np.ndarray:
    """Return the share of each mode in the amplitudes along three axes of the force of a charge on itself, (modes, 9).

    A mode and its opposite add k_a of opposite signs but for the axis of the shift, and n3 >= 0 stands for both.
    """
    shifted = [neighbor_sums(axis, n, order) for axis, n in zip(m, grid)]
    every = [1 + alias_sums(axis, n, order)[0] for axis, n in zip(m, grid)]
    parts = [(shifted[i] * every[(i + 1) % 3] * every[(i + 2) % 3])[:, None] * reciprocal[i] for i in range(3)]
    return np.concatenate(parts, axis=1)


def _sampled(cell: np.ndarray, k_max: float) -> tuple[list[np.ndarray], float]:
    """Return orders of modes spread evenly over the box around those up to `k_max`, n3 >= 0, and how many of all."""
    n1, n2, n3 = mode_counts(cell, k_max)
    shape = (2 * n1 + 1, 2 * n2 + 1, n3 + 1)
    total = math.prod(shape)
    step = max(1, total // MODES)
    while math.gcd(step, shape[2]) > 1 or math.gcd(step, shape[1]) > 1:  # else samples would lie in few planes
        step += 1
    index = np.unravel_index(np.arange(0, total, step), shape)
    m = [index[0] - float(n1), index[1] - float(n2), index[2].astype(float)]
    return m, len(m[0]) / total


def _missed(
    m: list[np.ndarray], grid: tuple[int, int, int], order: int, metric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return k^2 of modes, and what the window misses of it: sum_a k_a^2 W_a^2 sum_b W_b^2 / W_0^4 - k^2.

    The terms of no alias cancel; the rest is summed without them, so that it may be smaller than rounding of k^2.
    """
    zeroth, first, second = zip(*(alias_sums(axis, n, order) for axis, n in zip(m, grid)))
    k2, excess = np.zeros(len(m[0])), np.zeros(len(m[0]))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        k2 += metric[i, i] * m[i] ** 2 + 2 * metric[i, j] * m[i] * m[j]
        both = (1 + zeroth[j]) * (1 + zeroth[k])
        excess += metric[i, i] * (m[i] ** 2 * (zeroth[j] + zeroth[k] + zeroth[j] * zeroth[k]) + second[i] * both)
        crossed = m[i] * first[j] + first[i] * m[j] + first[i] * first[j]
        excess += 2 * metric[i, j] * (m[i] * m[j] * zeroth[k] + crossed * (1 + zeroth[k]))
    x, y, z = zeroth
    every = x + y + z + x * y + x * z + y * z + x * y * z
    return k2, k2 * every + excess * (1 + every)


def aliasing(split: MeshSplit, order: int) -> np.ndarray:
    """Return the error of a mesh over the strength of the charges, where `k_max` is each of `SHARES` of the grid's.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    order : int
        Points along an axis that a charge touches.

    Returns
    -------
    (shares,) float64, 1/angstrom^(1/2)
        `mesh_force_error` between charges of a large cell with one spacing, an integral over the modes of an octant in
        place of a sum; its logarithm interpolated between whole `shape` of the split.
    """
    low = math.floor(split.shape)
    rest = split.shape - low
    logs = [_log_aliasing(isinstance(split, ProlateSplit), low + step, order) for step in (0, 1)]
    found: np.ndarray = math.sqrt(split.k_max) * np.exp((1 - rest) * logs[0] + rest * logs[1])
    return found


_gauss = functools.cache(np.polynomial.legendre.leggauss)


@functools.lru_cache(maxsize=256)
def _log_aliasing(prolate: bool, shape: int, order: int) -> np.ndarray:
    split: MeshSplit = (ProlateSplit if prolate else GaussianSplit).of_shape(shape)
    (x, wx), (y, wy) = _gauss(10), _gauss(3)
    k, angle, height = np.meshgrid((x + 1) / 2, math.pi / 4 * (y + 1), (y + 1) / 2, indexing="ij")
    weight = np.einsum("i,j,k->ijk", wx / 2, wy * math.pi / 4, wy / 2) * 8 * k**2
    influence = (4 * math.pi * split.transform(k) / k**2) ** 2
    flat = np.sqrt(1 - height**2)
    # Modes of a grid of one point are k times the spacing over 2 pi, and the spacing is pi share / k_max.
    per_spacing = SHARES[:, None] / 2
    m = [(per_spacing * (k * v).ravel()).ravel() for v in (flat * np.cos(angle), flat * np.sin(angle), height)]
    missed = _missed(m, (1, 1, 1), order, np.eye(3))[1].reshape(len(SHARES), -1) / per_spacing**2
    found: np.ndarray = 0.5 * np.log(missed @ (weight * influence).ravel() / (2 * math.pi) ** 3 + 1e-300)
    return found
