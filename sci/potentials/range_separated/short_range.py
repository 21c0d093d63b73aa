"""The short-range part: exact pairs within the cutoff, found through cells of sorted sources."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.potentials.radial.continuation import continued
from sci.potentials.radial.split import COINCIDENT, Split
from sci.potentials.range_separated.bricks import Bricks
from sci.tensor.boxes.grid import BoxGrid, Tiles

__all__ = ["ShortRange"]

_SOURCE = "particles/short_range.cu"
CELLS_PER_CUTOFF = 4.0
FINER_ROWS = 4
"""Cells along the cutoff, finer along a row, where more of them cost nothing: fine cells follow the sphere better,
coarse ones have longer rows."""


@dataclass(frozen=True)
class ShortRange:
    """Sources sorted by cells, and the short-range kernel S(r) = K(r) - B(u) that acts among them.

    Parameters
    ----------
    split : Split
    sources : (n, 4) float64
        Positions and charges, in the order of the cells.
    cell_start : (cells + 1,) int64
        Offset of each cell in `sources`.
    grid : BoxGrid
        The cells, over the bounding box of the sources.
    """

    split: Split
    sources: Array
    cell_start: Array
    grid: BoxGrid

    def __repr__(self) -> str:
        return f"ShortRange({len(self.sources)} charges in {self.grid.counts} cells, {self.split!r})"

    @classmethod
    def of(cls, positions: Array, charges: Array, split: Split) -> ShortRange:
        """Sort charges (n, 3), (n,) into cells about a third of the cutoff wide."""
        xp = namespace(positions, charges)
        low, high = positions.min(axis=0), positions.max(axis=0)
        domain = tuple((float(a) - 1e-6, float(b) + 1e-6) for a, b in zip(low, high))
        width = split.cutoff / CELLS_PER_CUTOFF
        counts = [max(1, int((b - a) / w)) for (a, b), w in zip(domain, (width, width, width / FINER_ROWS))]
        # Few charges in a large volume: no more than 32 cells a charge, so that memory follows the charges.
        shrink = max(1.0, np.prod(np.array(counts, dtype=float)) / (32 * len(charges) + 32)) ** (1 / 3)
        n1, n2, n3 = (max(1, int(n / shrink)) for n in counts)
        grid = BoxGrid(domain, (n1, n2, n3))
        order, offsets = grid.sort(positions)
        sources = xp.ascontiguousarray(xp.concatenate([positions, charges[:, None]], axis=1)[order])
        return cls(split, sources, offsets, grid)

    def _arguments(self, apart: float = COINCIDENT) -> tuple[Array, ...]:
        xp, parameters = namespace(self.sources), self.split.parameters
        parameters[2] = apart**2
        small = (self.grid.geometry, np.array(self.grid.counts, dtype=np.int64), parameters)
        cells, shape, parameters, b = (to_device(v, xp) for v in (*small, self.split.b))
        return (self.sources, self.cell_start, cells, shape, parameters, b)

    def add_to(self, out: Array, points: Array, tiles: Tiles, apart: float = COINCIDENT) -> None:
        """Add the short-range potential, or it and its gradient where `out` is (m, 4), at `points` (m, 3).

        Sources within `apart` of a point count as the point itself: -L(0) q.
        """
        gradient = out.shape[1] == 4
        kernel = get_kernel(
            _SOURCE, "short_range", np.float64, self.split.degree, self.split.kernel.kappa > 0, gradient
        )
        if not use_compiled(kernel, points):
            short_range_reference(self, points, tiles, out, apart)
            return
        count, where = len(tiles.box), (points, tiles.order, tiles.start)
        bounds = namespace(points).empty((count, 6))
        blocks = -(-count // block_size(points))
        launch(get_kernel(_SOURCE, "tile_bounds", np.float64), blocks, *where, bounds, count)
        launch(kernel, count, *where, bounds, *self._arguments(apart), out, count)

    def add_at(self, out: Array, points: Array, apart: float = COINCIDENT) -> None:
        """Add the same as `add_to` at points without tiles: those of boxes half a cutoff wide are made."""
        low, high = (to_host(side) for side in (points.min(axis=0), points.max(axis=0)))
        box = tuple((float(a) - 1e-6, float(b) + 1e-6) for a, b in zip(low, high))
        n1, n2, n3 = np.maximum(1, (high - low) / self.split.cutoff * 2).astype(int).tolist()
        self.add_to(out, points, Tiles.of(points, BoxGrid(box, (n1, n2, n3))), apart)

    def add_to_grid(self, out: Array, x: Array, y: Array, z: Array) -> None:
        """Add the short-range potential to `out` (nx, ny, nz) on the tensor grid of ascending `x`, `y`, `z`.

        By Gaussians on bricks where the short range has them and the grid has enough points, else by pairs.
        """
        if self.bricks is not None and self.bricks.add_to(out, (x, y, z)):
            return
        kernel = get_kernel(_SOURCE, "short_range_grid", np.float64, self.split.degree, self.split.kernel.kappa > 0)
        if not use_compiled(kernel, out):
            short_range_grid_reference(self, out, x, y, z)
            return
        threads = block_size(out)
        brick = (threads // 16, 4, 4) if threads >= 64 else (threads // 8, 2, 4)
        bricks = int(np.prod([-(-n // b) for n, b in zip(out.shape, brick)]))
        launch(kernel, bricks, x, y, z, *self._arguments(), out, *out.shape)

    @functools.cached_property
    def bricks(self) -> Bricks | None:
        """The sums on grids by Gaussians, None for a split whose short range is no sum of them."""
        found = continued(self.split)
        if found is None:
            return None
        return Bricks(self.split, found, self.sources, self.cell_start, self.grid, self.candidates)

    def candidates(self, low: np.ndarray, high: np.ndarray) -> Array:
        """Return the sources in all cells that come within the cutoff of the box [low, high]."""
        xp = namespace(self.sources)
        geometry, counts = self.grid.geometry, np.array(self.grid.counts)
        first = ((low - self.split.cutoff - geometry[:3]) * geometry[3:]).astype(int).clip(0, counts - 1)
        last = ((high + self.split.cutoff - geometry[:3]) * geometry[3:]).astype(int).clip(0, counts - 1)
        rows = [
            slice(int(self.cell_start[row + first[2]]), int(self.cell_start[row + last[2] + 1]))
            for c1 in range(first[0], last[0] + 1)
            for c2 in range(first[1], last[1] + 1)
            for row in [(c1 * counts[1] + c2) * counts[2]]
        ]
        return xp.concatenate([self.sources[row] for row in rows])


def _pair_sum(split: Split, points: Array, sources: Array, gradient: bool, apart: float = COINCIDENT) -> Array:
    """Sum S over all pairs of `points` (m, 3) and `sources` (n, 4) within the cutoff: (m, 1) or (m, 4)."""
    xp = namespace(points)
    d = points[:, None, :] - sources[None, :, :3]
    r2 = (d * d).sum(axis=2)
    other, inside = r2 > apart**2, r2 < split.cutoff**2
    inverse = 1 / xp.sqrt(xp.where(other, r2, 1.0))
    u = r2 * (2 / split.cutoff**2) - 1
    kappa = split.kernel.kappa
    whole = inverse * xp.exp(-kappa / inverse) if kappa else inverse
    b, db = xp.full_like(u, split.b[-1]), xp.zeros_like(u)
    for bk in split.b[-2::-1]:
        db, b = db * u + b, b * u + float(bk)
    charge = xp.where(inside, sources[None, :, 3], 0.0)
    parts = [(charge * xp.where(other, whole - b, -split.gaussians.at_zero)).sum(axis=1)[:, None]]
    if gradient:
        slope = -4 / split.cutoff**2 * db - whole * inverse * (inverse + kappa)
        parts.append((xp.where(other, charge * slope, 0.0)[:, :, None] * d).sum(axis=1))
    return xp.concatenate(parts, axis=1)


def short_range_reference(
    short: ShortRange, points: Array, tiles: Tiles, out: Array, apart: float = COINCIDENT
) -> None:
    """Reference of the kernel `short_range`: in array calls a tile."""
    for start, stop in zip(tiles.start[:-1].tolist(), tiles.start[1:].tolist()):
        chosen = tiles.order[start:stop]
        here = points[chosen]
        low, high = (np.array([float(v) for v in edge]) for edge in (here.min(axis=0), here.max(axis=0)))
        out[chosen] += _pair_sum(short.split, here, short.candidates(low, high), out.shape[1] == 4, apart)


def short_range_grid_reference(short: ShortRange, out: Array, x: Array, y: Array, z: Array) -> None:
    """Reference of the kernel `short_range_grid`: in array calls a brick of 8 x 8 x 8."""
    xp = namespace(out)
    for i in range(0, len(x), 8):
        for j in range(0, len(y), 8):
            for k in range(0, len(z), 8):
                axes = (x[i : i + 8], y[j : j + 8], z[k : k + 8])
                points = xp.stack(xp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
                low, high = np.array([[float(c[0]), float(c[-1])] for c in axes]).T
                sums = _pair_sum(short.split, points, short.candidates(low, high), gradient=False)
                brick = out[i : i + 8, j : j + 8, k : k + 8]
                brick += sums.reshape(brick.shape)
