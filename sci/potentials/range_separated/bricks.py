"""The short range on a tensor grid by Gaussians on bricks of it, which are products over the axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sci.backend import Array, is_device_array, namespace, to_device
from sci.kernels import get_kernel, launch, use_compiled
from sci.kernels.signature import Kernel
from sci.potentials.radial.continuation import Continuation
from sci.potentials.radial.split import COINCIDENT, Split
from sci.potentials.range_separated.coincidence import grid_coincidences
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["Bricks"]

PART, BLOCK = 4, (8, 8, 16)
"""Points of a brick along its first two axes, and of what a block of threads takes."""
SINGLE = 5e-7
"""What the cutoff leaves out from which on float32 is accurate enough."""
LEAST_USED = 0.4
"""Part of the bricks' points that are of the grid below which pairs take less."""


@dataclass(frozen=True)
class Bricks:
    """Charges sorted by cells, whose short range is a sum of Gaussians.

    Parameters
    ----------
    split : Split
    gaussians : Continuation
        Of `split`.
    sources : (n, 4) float64
        Positions and charges, in the order of the cells.
    cell_start : (cells + 1,) int64
    grid : BoxGrid
        The cells.
    candidates : callable
        Given two corners of a box, all sources that may reach it.
    """

    split: Split
    gaussians: Continuation
    sources: Array
    cell_start: Array
    grid: BoxGrid
    candidates: Callable[[np.ndarray, np.ndarray], Array]

    def __repr__(self) -> str:
        return f"Bricks({len(self.sources)} charges, {self.gaussians!r})"

    def dtype(self, axes: tuple[Array, ...]) -> np.dtype:
        """Return float32 where it keeps the tolerance on the grid of `axes`, else float64.

        On a node that lies on a charge the sums are those of all others: what is left of much larger ones.
        """
        if self.gaussians.tol < SINGLE or len(grid_coincidences(list(axes), self.sources[:, :3])[1]):
            return np.dtype(np.float64)
        return np.dtype(np.float32)

    def add_to(self, out: Array, axes: tuple[Array, ...]) -> bool:
        """Add the short range to `out` on the grid of three ascending axes; return False if pairs take less."""
        dtype = self.dtype(axes)
        order = axis_order(out.shape, dtype)
        if order is None:
            return False
        kernel = get_kernel(*_source(out), dtype)
        if use_compiled(kernel, out):
            self.launch(kernel, out, axes, order)
        else:
            bricks_reference(self, out, axes, order, dtype)
        return True

    def launch(self, kernel: Kernel, out: Array, axes: tuple[Array, ...], order: tuple[int, ...]) -> None:
        """Run a kernel for the axes in an order."""
        xp = namespace(out)
        strides = (out.shape[1] * out.shape[2], out.shape[2], 1)
        layout = np.array([*order, *(strides[axis] for axis in order)], dtype=np.int64)
        largest = float(xp.abs(self.sources[:, 3]).max())
        unit = 2.0 ** -max(math.frexp(largest)[1], -1000)  # so that floats hold the charges
        split, near = self.split, self.gaussians.near
        parameters = np.array(
            [near**2, COINCIDENT**2, 2 / split.cutoff**2, split.gaussians.at_zero, split.kernel.kappa, unit]
        )
        shape = np.array(self.grid.counts, dtype=np.int64)
        small = (layout, self.grid.geometry, shape, self.gaussians.table, parameters, split.b)
        layout, cells, shape, table, parameters, b = (to_device(v, xp) for v in small)
        a, b_axis, c = (xp.ascontiguousarray(axes[axis]) for axis in order)
        blocks = math.prod(-(-out.shape[axis] // n) for axis, n in zip(order, BLOCK))
        arrays = (layout, self.sources, self.cell_start, cells, shape, table, parameters, b, out)
        launch(kernel, blocks, a, b_axis, c, *arrays, len(a), len(b_axis), len(c), len(table), len(b))


def _source(array: Array) -> tuple[str, str]:
    """Return source and template of the kernel for the side of `array`."""
    name = "brick_lanes" if is_device_array(array) else "bricks"
    return f"particles/{name}.cu", name


def brick_depth(dtype: np.dtype) -> int:
    """Return the points of a brick along its last axis: a vector of 512 bits."""
    return 64 // np.dtype(dtype).itemsize


def axis_order(shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, int, int] | None:
    """Return the order of the axes for which bricks fill a grid best, or None if they fill it badly."""
    depth, best = brick_depth(dtype), (LEAST_USED, (-1, -1, -1))
    for order in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        used = math.prod(shape[axis] / (-(-shape[axis] // n) * n) for axis, n in zip(order, (PART, PART, depth)))
        if used > best[0] * (1 + 1e-9):
            best = used, order
    return None if best[1][0] < 0 else best[1]


def bricks_reference(
    bricks: Bricks, out: Array, axes: tuple[Array, ...], order: tuple[int, ...], dtype: np.dtype
) -> None:
    """Reference of the kernels `bricks` and `brick_lanes`: in array calls a brick."""
    xp, found = namespace(out), bricks.gaussians
    steps, inverse = (PART, PART, brick_depth(dtype)), np.argsort(order)
    view, sides = out.transpose(order), [axes[axis] for axis in order]
    t2, w, reach2 = (xp.ascontiguousarray(to_device(v, xp)) for v in found.table.T)
    for starts in itertools.product(*(range(0, len(side), step) for side, step in zip(sides, steps))):
        place = tuple(slice(start, start + step) for start, step in zip(starts, steps))
        here = [side[part] for side, part in zip(sides, place)]
        low, high = np.array([[float(side[0]), float(side[-1])] for side in here]).T
        near = bricks.candidates(low[inverse], high[inverse])
        if not len(near):
            continue
        s = [near[:, axis] for axis in order]
        gaps = [xp.maximum(xp.maximum(a - v, v - b), 0.0) for a, b, v in zip(low.tolist(), high.tolist(), s)]
        gap2 = sum(g * g for g in gaps)
        weights = xp.where(reach2 > gap2[:, None], near[:, 3:] * w, 0.0)
        a, b, c = (xp.exp(-((side[:, None] - v) ** 2)[:, :, None] * t2) for side, v in zip(here, s))
        rows = (a[:, None] * b * weights).reshape(-1, weights.size)
        sums = (rows @ c.reshape(len(c), -1).T).reshape(len(a), len(b), len(c))
        close = gap2 < found.near**2
        if bool(close.any()):
            d2 = [(side[:, None] - v[close]) ** 2 for side, v in zip(here, s)]
            r2 = d2[0][:, None, None] + d2[1][:, None] + d2[2]
            rest = xp.where(r2 < found.near**2, _beyond(bricks, r2), 0.0)
            sums += rest @ near[close, 3]
        view[place] += sums


def _beyond(bricks: Bricks, r2: Array) -> Array:
    """Return S less the Gaussians at squared distances."""
    xp, split = namespace(r2), bricks.split
    apart = r2 > COINCIDENT**2
    r = xp.sqrt(xp.where(apart, r2, 1.0))
    u = r2 * (2 / split.cutoff**2) - 1
    b = xp.full_like(u, float(split.b[-1]))
    for bk in split.b[-2::-1]:
        b = b * u + float(bk)
    value = xp.where(apart, xp.exp(-split.kernel.kappa * r) / r - b, -split.gaussians.at_zero)
    for t2, w, _ in bricks.gaussians.table.tolist():
        value -= w * xp.exp(-t2 * r2)
    return value
