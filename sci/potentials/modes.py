"""Fourier modes of a cell on boxes: how many boxes resolve them, and matrices between modes and polynomials."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from scipy.special import jv

from sci import chebyshev
from sci.backend import Array, namespace, to_device
from sci.potentials.ewald import mode_orders
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["MOMENT_DEGREE", "UNIT", "factor_seconds", "mode_boxes", "mode_matrices", "modes_on_axes", "synthesis"]

MOMENT_DEGREE = 23
DIRECT_SECONDS, MOMENT_SECONDS = 1.8e-10, 4e-10
"""Seconds of a structure factor for a charge and mode, and of a moment for a mode of the last axis."""
UNIT: tuple[tuple[float, float], ...] = ((0.0, 1.0),) * 3


def mode_matrices(
    n_modes: tuple[int, int, int], grid: BoxGrid, degree: int, xp: ModuleType
) -> tuple[list[Array], list[Array]]:
    """Return cos and sin of 2 pi n s as Chebyshev coefficients on the boxes of each axis, (modes, boxes p)."""
    cosines: list[Array] = []
    sines: list[Array] = []
    for axis, orders in enumerate(mode_orders(n_modes)):
        edges = grid.edges(axis)
        s = edges[:-1, None] + np.diff(edges)[:, None] * (chebyshev.nodes(degree) + 1) / 2
        phase = 2 * math.pi * orders[:, None, None] * s
        for found, values in ((cosines, np.cos(phase)), (sines, np.sin(phase))):
            table = chebyshev.values_to_coefficients(values, axis=2).reshape(len(orders), -1)
            found.append(to_device(table, xp))
    return cosines, sines


def synthesis(modes: Array, cosines: list[Array], sines: list[Array]) -> Array:
    """Return the real tensor Re sum_n modes_n e_n1 e_n2 e_n3 for the columns e = cos + i sin of each axis."""
    xp = namespace(modes)
    modes = xp.tensordot((cosines[0] + 1j * sines[0]).T, modes, axes=(1, 0))
    modes = xp.moveaxis(xp.tensordot((cosines[1] + 1j * sines[1]).T, modes, axes=(1, 1)), 0, 1)
    values = xp.ascontiguousarray(modes.real) @ cosines[2]
    values -= xp.ascontiguousarray(modes.imag) @ sines[2]
    return values


def modes_on_axes(modes: Array, inverse: Array, n_modes: tuple[int, int, int], axes: list[Array]) -> Array:
    """Sum modes axis by axis on a tensor grid, for a cell whose rows form a lower triangle, with the given inverse."""
    xp = namespace(modes)
    n1, n2, n3 = (xp.asarray(n, dtype=float) for n in mode_orders(n_modes))
    g = 2j * math.pi * inverse
    x, y, z = axes
    part = modes @ xp.exp(g[2, 2] * n3[:, None] * z)
    part *= xp.exp((g[2, 0] * n1[:, None] + g[2, 1] * n2)[:, :, None] * z)
    part = xp.matmul(xp.exp(g[1, 1] * y[:, None] * n2), part)
    part *= xp.exp(g[1, 0] * n1[:, None] * y)[:, :, None]
    phase = g[0, 0].imag * x[:, None] * n1
    flat = part.reshape(len(n1), -1)
    out = xp.cos(phase) @ xp.ascontiguousarray(flat.real)
    out -= xp.sin(phase) @ xp.ascontiguousarray(flat.imag)
    return out.reshape(len(x), len(y), len(z))


def mode_boxes(n_modes: tuple[int, ...], degree: int, eps: float) -> BoxGrid:
    """Return the boxes of the unit cell on which polynomials of `degree` resolve the modes to `eps`.

    exp(i theta u) on [-1, 1] has Chebyshev coefficients of size 2 |J_k(theta)|; theta is pi n over the boxes.
    """
    theta = np.linspace(0.1, degree, 500)
    resolved = np.flatnonzero(2 * np.abs(jv(degree + 1, theta)) < eps)
    reach = float(theta[resolved[-1]]) if len(resolved) else 0.1
    counts = [max(1, math.ceil(math.pi * n / reach)) for n in n_modes]
    return BoxGrid(UNIT, (counts[0], counts[1], counts[2]))


def factor_seconds(n_modes: tuple[int, ...], charges: int, grid: BoxGrid) -> tuple[float, float]:
    """Return the time of structure factors summed charge by charge, and through moments on the boxes of `grid`."""
    half = math.prod(2 * n + 1 for n in n_modes[:2]) * (n_modes[2] + 1)
    moments = float(grid.size) * (MOMENT_DEGREE + 1) ** 3
    return DIRECT_SECONDS * charges * half, MOMENT_SECONDS * moments * (n_modes[2] + 1)
