"""The long range of a split on a mesh: spread, transform, multiply, transform back, gather."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from sci.backend import Array, ArrayLike, namespace, to_device, to_host
from sci.distributed import Comm, allreduce_sum
from sci.kernels import host_threads
from sci.potentials.mesh.errors import MeshSplit
from sci.potentials.mesh.isolated import isolated_influence, isolated_values
from sci.potentials.mesh.spread import gather_fields, spread_charges
from sci.potentials.mesh.window import spline_transform

__all__ = ["Reciprocal", "mesh_influence", "mesh_long_range", "mesh_virial"]


class Reciprocal(NamedTuple):
    """What a mesh finds: potential and gradient (n, 4) at the charges, and the modes of the charges of a cell."""

    fields: Array
    modes: Array | None


def mesh_long_range(
    positions: Array,
    charges: Array,
    cell: np.ndarray,
    split: MeshSplit,
    grid: tuple[int, int, int],
    order: int,
    dtype: Any,
    *,
    isolated: bool = False,
    comm: Comm = None,
) -> Reciprocal:
    r"""Return the long range of all charges at these: their own potential is among it, a background is not.

    Parameters
    ----------
    positions : (n, 3) float64
        Anywhere, angstrom.
    charges : (n,) float64
    cell : (3, 3) float64
        On the host.
    split : ProlateSplit or GaussianSplit
    grid : (n1, n2, n3)
    order : int
        Points along an axis that a charge touches.
    dtype : float32 or float64
        Of the grid.
    isolated : bool
        Whether the cell is the box of a grid that charges are alone in, see `isolated_grid`.
    comm : mpi4py communicator, optional
        Every rank holds charges of its own: their grids are summed, and each rank transforms the sum.

    Returns
    -------
    Reciprocal

    Notes
    -----
    The grid costs P^2 vectors a charge, the transforms n log n for n points.
    """
    xp, inverse = namespace(positions), np.linalg.inv(cell)
    spread = spread_charges(positions, charges, inverse, grid, order, dtype)
    if comm is not None:
        spread = to_device(allreduce_sum(np.ascontiguousarray(to_host(spread)), comm), xp)
    name = np.dtype(dtype).name
    if isolated:
        edges = _key(np.diag(cell))
        values = isolated_values(spread, isolated_influence(split, edges, grid, order, name))
        return Reciprocal(gather_fields(positions, inverse, values, order), None)
    modes = _forward(spread)
    influence = mesh_influence(split, _key(cell), grid, order, name)
    values = _backward(modes * to_device(influence, xp), grid)
    fields = gather_fields(positions, inverse, values, order)
    return Reciprocal(fields, modes)


def mesh_virial(modes: Array, cell: np.ndarray, split: MeshSplit, grid: tuple[int, int, int], order: int) -> np.ndarray:
    """Return minus the derivative of the energy of the long range by strain, from the modes of the spread charges.

    Parameters
    ----------
    modes : (n1, n2, n3 // 2 + 1) complex
        Those of `mesh_long_range`.
    cell, split, grid, order
        As there.

    Returns
    -------
    (3, 3) float64
        On the host. The sum over the modes k of their energies times delta_ab - 2 k_a k_b / k^2 + k_a k_b g' / (k g).
    """
    modes, key = to_host(modes), _key(cell)
    influence = mesh_influence(split, key, grid, order, modes.real.dtype.name)
    energies = (modes.real**2 + modes.imag**2).astype(float) * influence
    energies[:, :, 1 : (grid[2] + 1) // 2] *= 2  # modes of both signs; the last of an even number has none
    xx, yy, zz, yz, xz, xy = 0.5 * (_virial_weights(split, key, grid) @ energies.ravel())
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _forward(grid: Array) -> Array:
    if namespace(grid) is np:
        return scipy.fft.rfftn(grid, workers=host_threads())
    return namespace(grid).fft.rfftn(grid, axes=(0, 1, 2))


def _backward(modes: Array, grid: tuple[int, int, int]) -> Array:
    if namespace(modes) is np:
        return scipy.fft.irfftn(modes, s=grid, norm="forward", overwrite_x=True, workers=host_threads())
    return namespace(modes).fft.irfftn(modes, s=grid, axes=(0, 1, 2), norm="forward")


def _key(cell: ArrayLike) -> tuple[float, ...]:
    return tuple(np.ravel(cell).tolist())


def _wave_vectors(cell: tuple[float, ...], grid: tuple[int, int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return k (n1, n2, n3 // 2 + 1, 3) of the modes of a real transform, and their orders along each axis."""
    reciprocal = 2 * math.pi * np.linalg.inv(np.reshape(cell, (3, 3))).T
    orders = [np.fft.fftfreq(n, 1 / n) for n in grid[:2]] + [np.arange(grid[2] // 2 + 1, dtype=float)]
    a, b, c = orders[0][:, None, None, None], orders[1][:, None, None], orders[2][:, None]
    return a * reciprocal[0] + b * reciprocal[1] + c * reciprocal[2], orders


@functools.lru_cache(maxsize=16)
def mesh_influence(
    split: MeshSplit, cell: tuple[float, ...], grid: tuple[int, int, int], order: int, dtype: str
) -> np.ndarray:
    """Return 4 pi g(k) / (k^2 V W^2) at the modes of a real transform, 0 at k = 0. Kept for the cells met last.

    Parameters
    ----------
    split : ProlateSplit or GaussianSplit
    cell : 9 floats
    grid : (n1, n2, n3)
    order : int
        That of the window W.
    dtype : str

    Returns
    -------
    (n1, n2, n3 // 2 + 1) array
        Not to be written to.
    """
    k, orders = _wave_vectors(cell, grid)
    k2 = (k * k).sum(axis=-1)
    window = [spline_transform(m, n, order) for m, n in zip(orders, grid)]
    squares = (window[0][:, None, None] * window[1][:, None] * window[2]) ** 2
    volume = abs(float(np.linalg.det(np.reshape(cell, (3, 3)))))
    inside = k2 > 0
    safe = np.where(inside, k2, 1.0)
    found = np.where(inside, 4 * math.pi / volume * split.transform(np.sqrt(safe)) / (safe * squares), 0.0)
    found = found.astype(dtype)
    found.setflags(write=False)
    return found


@functools.lru_cache(maxsize=4)
def _virial_weights(split: MeshSplit, cell: tuple[float, ...], grid: tuple[int, int, int]) -> np.ndarray:
    """Return delta_ab - 2 k_a k_b / k^2 + k_a k_b g' / (k g) of each mode, (6, modes): xx, yy, zz, yz, xz, xy."""
    k = _wave_vectors(cell, grid)[0].reshape(-1, 3)
    size = np.sqrt((k * k).sum(axis=1))
    safe = np.where(size > 0, size, 1.0)
    transform = split.transform(safe)
    inside = (size > 0) & (transform > 0)
    along = np.where(inside, safe * split.transform_slope(safe) / np.where(inside, transform, 1.0) - 2, 0.0) / safe**2
    pairs = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    found = np.stack([along * k[:, a] * k[:, b] + (a == b) for a, b in pairs])
    found.setflags(write=False)
    return found
