"""From charges to the Chebyshev coefficients of their long-range potential, without a grid."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from sci import chebyshev
from sci.backend import Array, is_device_array, namespace, to_device
from sci.distributed import allgather_rows, rank_of, split
from sci.potentials.radial.kernels import GaussianSum
from sci.progress import progress
from sci.tensor.boxes.grid import BoxGrid
from sci.tensor.boxes.moments import MOMENT_DEGREES, box_moments, merge_moments

__all__ = [
    "axis_matrix",
    "banded",
    "box_counts",
    "box_reach",
    "long_range_coefficients",
    "long_range_degrees",
    "moment_layout",
    "octaves",
]


def long_range_degrees(exponent: float, domain: tuple[tuple[float, float], ...], eps: float) -> tuple[int, ...]:
    """Return the degree per axis at which a Gaussian of `exponent` anywhere in `domain` is resolved to `eps`."""
    return tuple(_degree(exponent * (b - a) / 2, eps) for a, b in domain)


_degree = functools.lru_cache(maxsize=4096)(chebyshev.gaussian_degree)  # asked for several times an exponent

BAND = 32
"""Nodes that share one range of sources in a banded product."""
NEGLIGIBLE = 0.01
"""Entries of a Gaussian's matrix, at most 1, that are left out, relative to the error of its expansion."""


PRODUCT = 3e-10
MOMENT = 6e-10
"""Seconds a moment and node of the products, and a moment of one charge; their ratio decides the boxes."""
MOST_STACKED = 1 << 27
"""Coefficients of the Gaussians whose products a device makes at once."""
BOX_COUNTS = sorted({n << k for n in (1, 3) for k in range(16)} | {n << k for n in (5, 7) for k in range(2, 14)})
"""Boxes an axis that the next octaves can halve."""


@functools.cache
def box_reach(degree: int, eps: float) -> float:
    """Largest exponent times half-width at which a Gaussian over a box is resolved by `degree`."""
    low, high = 0.0, 16.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if chebyshev.gaussian_degree(middle, eps) <= degree else (low, middle)
    return low


def box_counts(
    exponent: float, domain: tuple[tuple[float, float], ...], reach: float, finer: tuple[int, ...] | None
) -> tuple[int, int, int]:
    """Fewest boxes an axis on which `exponent` stays within `reach`: often divisible by 2, and divisors of `finer`."""
    counts = []
    for axis, (a, b) in enumerate(domain):
        wanted = exponent * (b - a) / 2 / reach
        allowed = BOX_COUNTS if finer is None else range(1, finer[axis] + 1)
        counts.append(next(n for n in allowed if n >= wanted and (finer is None or finer[axis] % n == 0)))
    return counts[0], counts[1], counts[2]


def moment_layout(
    exponent: float, domain: tuple[tuple[float, float], ...], eps: float, charges: int
) -> tuple[int, BoxGrid]:
    """Return the degree and the boxes of the moments through which `charges` enter Gaussians up to `exponent` fastest.

    High degrees need fewer moments, over which the matrix products run, and more work for each charge.
    """
    nodes, layouts = sum(long_range_degrees(exponent, domain, eps)) / 3, []
    for degree in MOMENT_DEGREES:
        grid = BoxGrid(domain, box_counts(exponent, domain, box_reach(degree, eps), None))
        seconds = (degree + 1) ** 3 * (grid.size * nodes * PRODUCT + charges * MOMENT)
        layouts.append((seconds, degree, grid))
    return min(layouts, key=lambda layout: layout[0])[1:]


def axis_matrix(exponent: float, nodes: np.ndarray, edges: np.ndarray, box_degree: int) -> np.ndarray:
    """exp(-t^2 (x - y)^2) at the nodes x (rows), as Chebyshev coefficients in y over each box (columns)."""
    y = edges[:-1, None] + np.diff(edges)[:, None] * (chebyshev.nodes(box_degree) + 1) / 2
    values = np.exp(-((exponent * (nodes[:, None, None] - y)) ** 2))
    result: np.ndarray = chebyshev.values_to_coefficients(values, axis=2).reshape(len(nodes), -1)
    return result


def _bands(matrix: np.ndarray, eps: float) -> list[tuple[slice, slice]]:
    """Cut a matrix into bands of rows, each with the columns outside of which it is negligible."""
    bands = []
    for start in range(0, len(matrix), BAND):
        rows = slice(start, start + BAND)
        used = np.flatnonzero(np.abs(matrix[rows]).max(axis=0) > NEGLIGIBLE * eps)
        bands.append((rows, slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)))
    return bands


def banded(matrix: np.ndarray, eps: float) -> np.ndarray:
    """Return `matrix` with zeros where the products with it leave entries out."""
    result = np.zeros_like(matrix)
    for rows, columns in _bands(matrix, eps):
        result[rows, columns] = matrix[rows, columns]
    return result


def _along(matrix: np.ndarray, tensor: Array, axis: int, eps: float, wanted: slice = slice(None)) -> Array:
    """Multiply `matrix`, banded because a narrow Gaussian is local, onto one axis of `tensor`.

    `wanted` are the rows of `matrix` of the result, whole bands: a product is the same to the last bit in any choice.
    """
    xp = namespace(tensor)
    first, last, _ = wanted.indices(len(matrix))
    shape = list(tensor.shape)
    shape[axis] = last - first
    out = xp.empty(tuple(shape))
    for rows, columns in _bands(matrix, eps):
        if rows.start < first or rows.start >= last:
            continue
        block = to_device(np.ascontiguousarray(matrix[rows, columns]), xp)
        rows = slice(rows.start - first, rows.start - first + len(block))
        if axis == 0:
            width = shape[1] * shape[2]
            xp.matmul(block, tensor[columns].reshape(-1, width), out=out[rows].reshape(len(block), width))
        elif axis == 1:
            xp.matmul(block, tensor[:, columns], out=out[:, rows])
        else:
            xp.matmul(tensor[:, :, columns], block.T, out=out[:, :, rows])
    return out


def _dealt(n: int, comm: Any) -> slice:
    """Return this rank's rows of n: whole bands, so that each product has the same shape on any number of ranks."""
    bands = split(-(-n // BAND), comm)
    return slice(min(bands.start * BAND, n), min(bands.stop * BAND, n))


def octaves(exponents: np.ndarray) -> list[np.ndarray]:
    """Group ascending exponents by octaves below the largest, the highest octave first."""
    octave = np.floor(np.log2(exponents[-1] / np.maximum(exponents, exponents[-1] * 1e-6))).astype(int)
    return [np.flatnonzero(octave == o) for o in np.unique(octave)]


def long_range_coefficients(
    positions: Array,
    charges: Array,
    gaussians: GaussianSum,
    domain: tuple[tuple[float, float], ...],
    eps: float,
    comm: Any = None,
) -> Array:
    """Return C with sum_j q_j L(|x - y_j|) = sum C[i, j, k] T_i T_j T_k on `domain`.

    Each Gaussian is separable, and smooth at the scale of its own width: the charges enter it through their
    Chebyshev moments on boxes of that scale, and three matrix products turn moments into coefficients. Gaussians of
    one octave share their moments and their nodes, and the matrices of the narrow ones are banded.

    Parameters
    ----------
    positions : (n, 3) float64
        All charges, inside `domain`, angstrom; the same on all ranks.
    charges : (n,) float64
    gaussians : GaussianSum
    domain : ((a1, b1), (a2, b2), (a3, b3))
    eps : float
        Error of each one-dimensional expansion, relative to the height of the Gaussian.
    comm : mpi4py communicator, optional

    Returns
    -------
    (m1, m2, m3) float64, the same on all ranks, and on any number of them to the last bit

    Notes
    -----
    Collective. About 2 p^3 flops a charge and octave for the moments, with p about 20, then 2 M^3 m for each
    Gaussian of the top octave (M moments and m coefficients an axis) and an eighth of that for each octave below:
    the cost hardly depends on the number of charges. Ranks share moments and products by slabs along the first axis,
    and gather them; all hold the moments of all charges.
    """
    xp = namespace(positions, charges)
    shape = tuple(d + 1 for d in long_range_degrees(gaussians.exponents[-1], domain, eps))
    result = xp.zeros(shape)
    groups = octaves(gaussians.exponents)
    box_degree, grid = moment_layout(float(gaussians.exponents[-1]), domain, eps, len(charges))
    reach, done, on_host = box_reach(box_degree, eps), -1, not is_device_array(result)
    together = 1 if on_host else max(1, MOST_STACKED // max(math.prod(shape), 1))
    jobs = [
        (o, members[::-1][first : first + together])
        for o, members in enumerate(groups)
        for first in range(0, len(members), together)
    ]
    moments = allgather_rows(box_moments(positions, charges, grid, box_degree, split(grid.counts[0], comm)), comm)
    for octave, chosen in progress(jobs, "long range", show=rank_of(comm) == 0):
        if octave != done:
            top = float(gaussians.exponents[groups[octave][-1]])
            counts = box_counts(top, domain, reach, grid.counts)
            moments, grid, done = merge_moments(moments, grid, counts), BoxGrid(domain, counts), octave
            degrees = long_range_degrees(top, domain, eps)
            nodes = [chebyshev.nodes(degree, side) for degree, side in zip(degrees, domain)]
            mine = _dealt(len(nodes[0]), comm)
            values = xp.zeros((mine.stop - mine.start, degrees[1] + 1, degrees[2] + 1))
        tables = [
            [axis_matrix(float(gaussians.exponents[k]), nodes[a], grid.edges(a), box_degree) for k in chosen]
            for a in range(3)
        ]
        if on_host:
            part = _along(tables[1][0], _along(tables[0][0], moments, 0, eps, mine), 1, eps)
            values += gaussians.weights[chosen[0]] * _along(tables[2][0], part, 2, eps)
        else:
            values += _stacked(tables, gaussians.weights[chosen], moments, eps, mine)
        if chosen[-1] == groups[octave][0]:
            values = allgather_rows(values, comm)
            for axis in range(3 if on_host else 0):
                values = chebyshev.values_to_coefficients(values, axis=axis)
            whole = result[tuple(slice(d + 1) for d in degrees)]
            whole += values
    return result


def _stacked(tables: list[list[np.ndarray]], weights: np.ndarray, moments: Array, eps: float, mine: slice) -> Array:
    """Sum the coefficients of several Gaussians on a device by three stacks of products, for the rows `mine`.

    The transforms to coefficients are part of the small matrices. Each product of a stack has the same shape for any
    choice of rows, so that the result does not depend on the number of ranks.
    """
    xp, rows = namespace(moments), mine.stop - mine.start
    stacks = [
        np.stack([chebyshev.values_to_coefficients(banded(table, eps), axis=0) for table in along]) for along in tables
    ]
    bands = -(-rows // BAND)
    first = np.zeros((len(weights), bands * BAND, stacks[0].shape[2]))
    first[:, :rows] = stacks[0][:, mine]
    last = np.ascontiguousarray((weights[:, None, None] * stacks[2]).transpose(0, 2, 1))
    a1, a2, a3 = (to_device(v, xp) for v in (first.reshape(-1, BAND, first.shape[2]), stacks[1], last))
    part = xp.matmul(a1, moments.reshape(len(moments), -1))
    part = xp.matmul(a2[:, None], part.reshape(len(weights), bands * BAND, *moments.shape[1:]))
    return xp.matmul(part, a3[:, None]).sum(axis=0)[:rows]
