"""Find the few points that lie on particles among very many that do not."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace
from sci.potentials.particles import coincident_pair
from sci.potentials.radial.split import COINCIDENT
from sci.tensor.boxes.grid import on_device, run_places

__all__ = ["Coincidences", "grid_coincidences"]

_BIN = 1e-6
"""Width in angstrom of the bins of x that the table tells apart."""
_LARGEST_TABLE = 1 << 22
_BLOCK = 1 << 14
"""Points whose intermediate arrays stay in the first caches of a core."""
_DIRECTION = (0.5591929034707469, 0.6614378277661477, 0.4999999999999999)
"""An oblique unit vector, on which few points of a molecule or a lattice have one projection."""


@dataclass(frozen=True, eq=False)
class Coincidences:
    """Particles by bins of their x coordinate, hashed, and in the order of their projections on one direction.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
    table : (2^k,) bool
        True where the bin of a particle falls.
    order : (n,) int64
        Particles by ascending projection.
    projections : (n,) float64
    """

    positions: Array
    table: Array
    order: Array
    projections: Array

    def __repr__(self) -> str:
        return f"Coincidences({len(self.positions)} particles, table of {len(self.table)})"

    @classmethod
    def of(cls, positions: Array) -> Coincidences:
        """Make the table of the particles at `positions` (n, 3)."""
        xp = namespace(positions)
        size = min(_LARGEST_TABLE, 1 << max(10, int(64 * len(positions)).bit_length()))
        table = xp.zeros(size, dtype=bool)
        for side in (-COINCIDENT, COINCIDENT):
            table[_bins(positions[:, 0] + side, size)] = True
        projections = positions @ xp.asarray(_DIRECTION)
        order = xp.argsort(projections)
        return cls(positions, table, order, projections[order])

    def find(self, points: Array) -> tuple[Array, Array]:
        """Return the indices of the points closer than 1e-8 angstrom to a particle, and those of the particles.

        Notes
        -----
        About 5 ns a point: one look-up, and a search for the points that it does not exclude.
        """
        xp = namespace(points)
        if on_device("coincidences", points):
            return self._find_on_device(points)
        block = _BLOCK if xp is np else max(len(points), 1)
        hits = [
            xp.flatnonzero(self.table[_bins(points[start : start + block, 0], len(self.table))]) + start
            for start in range(0, len(points), block)
        ]
        candidates = xp.concatenate(hits) if hits else xp.empty(0, dtype=xp.int64)
        if len(candidates) == 0:
            return candidates, candidates
        return self._search(points, candidates)

    def _find_on_device(self, points: Array) -> tuple[Array, Array]:
        xp, m = namespace(points), len(points)
        found = xp.empty(m, dtype=xp.int64)
        arrays = (xp.ascontiguousarray(points), self.positions, self.table.view(xp.int8), self.order, self.projections)
        numbers = (m, len(self.order), len(self.table), 1 / _BIN, COINCIDENT)
        run_places("coincidences", m, *arrays, xp.asarray(_DIRECTION), found, *numbers)
        hits = xp.flatnonzero(found >= 0)
        return self._search(points, hits) if self._shared and len(hits) else (hits, found[hits])

    @functools.cached_property
    def _shared(self) -> bool:
        """Whether a point may lie on several particles: the kernel finds one of them."""
        return coincident_pair(self.positions, 2 * COINCIDENT) is not None

    def _search(self, points: Array, candidates: Array) -> tuple[Array, Array]:
        xp, n = namespace(points), len(self.order)
        where = points[candidates]
        projection = where @ xp.asarray(_DIRECTION)
        reach = COINCIDENT + 1e-15 * float(xp.abs(projection).max())
        place = xp.searchsorted(self.projections, projection - reach)
        found_points, found_particles = [], []
        alive = xp.arange(len(candidates))
        while True:
            alive = alive[place[alive] < n]
            alive = alive[self.projections[place[alive]] <= projection[alive] + reach]
            if len(alive) == 0:
                break
            particles = self.order[place[alive]]
            hit = ((where[alive] - self.positions[particles]) ** 2).sum(axis=1) <= COINCIDENT**2
            found_points.append(candidates[alive[hit]])
            found_particles.append(particles[hit])
            place[alive] += 1
        if not found_points:
            return candidates[:0], candidates[:0]
        return xp.concatenate(found_points), xp.concatenate(found_particles)


def grid_coincidences(axes: list[Array], positions: Array) -> tuple[tuple[Array, Array, Array], Array]:
    """Return the nodes of a tensor grid that lie on particles, as three arrays of indices, and the particles."""
    xp = namespace(positions)
    particles = xp.arange(len(positions))
    for axis, line in enumerate(axes):  # few are left after the first
        x = positions[particles, axis]
        place = xp.clip(xp.searchsorted(line, x - COINCIDENT), 0, len(line) - 1)
        particles = particles[xp.abs(line[place] - x) <= COINCIDENT]
    x, y, z = (
        xp.clip(xp.searchsorted(line, positions[particles, axis] - COINCIDENT), 0, len(line) - 1)
        for axis, line in enumerate(axes)
    )
    return (x, y, z), particles


def _bins(x: Array, size: int) -> Array:
    xp = namespace(x)
    return xp.floor(x * (1 / _BIN)).astype(xp.int64) & (size - 1)
