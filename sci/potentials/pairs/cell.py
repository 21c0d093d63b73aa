"""Coordinates that the sums over pairs work in: in units of the cutoff, with columns along the longest period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import rq

from sci.backend import Array, is_device_array, namespace, to_device, to_host
from sci.potentials.forcefield.images import reduced_cell, wrapped_fractions

__all__ = ["Frame", "bounds", "cell_frame"]

FAR_GAP = 1.5
"""Width that an empty slab is narrowed to, in cutoffs: no pair reaches across it."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Charges in units of the cutoff, turned so that the longest period lies along z and the next in the yz plane.

    Parameters
    ----------
    positions : (n, 3) float64
        In a cell, the images whose fractional coordinates lie in [0, 1).
    periods : (3, 3) float64 or None
        Rows (a1x, a1y, a1z), (0, a2y, a2z), (0, 0, a3z) with a positive diagonal.
    turn : (3, 3) float64
        Vectors of the caller are vectors of the frame times it.
    """

    positions: Array
    periods: np.ndarray | None
    turn: np.ndarray
    corners: tuple[np.ndarray, np.ndarray] | None = None
    """Of the box of isolated charges, where they are known."""

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the corners of a box that holds all charges, (3,) each: of a cell, that of all places in it."""
        if self.corners is not None:
            return self.corners
        if self.periods is None:
            return bounds(self.positions)
        return np.minimum(self.periods, 0).sum(axis=0), np.maximum(self.periods, 0).sum(axis=0)

    def __repr__(self) -> str:
        return f"Frame({len(self.positions)} charges, {'isolated' if self.periods is None else 'periodic'})"

    @classmethod
    def of(cls, positions: Array, cutoff: float, lattice: np.ndarray | None) -> Frame:
        """Return the frame of `positions` (n, 3) and a lattice with the periods as rows."""
        xp = namespace(positions)
        if lattice is None:
            low, high = bounds(positions)
            middle = 0.5 * low + 0.5 * high
            corners = (low - middle) / cutoff, (high - middle) / cutoff
            return cls((positions - to_device(middle, xp)) / cutoff, None, np.eye(3), corners)
        reduced, periods, turn = cell_frame(lattice, cutoff)
        fractions = wrapped_fractions(positions, reduced)
        return cls(fractions @ to_device(periods, xp), periods, turn)

    def closed(self) -> Frame:
        """Return the frame with empty slabs between isolated charges narrowed: what lies beyond moves as a whole."""
        if self.periods is not None:
            return self
        xp = namespace(self.positions)
        moved = xp.array(self.positions)
        for axis in range(3):
            order = xp.argsort(moved[:, axis])
            line = moved[order, axis]
            gaps = line[1:] - line[:-1]
            line[1:] -= xp.cumsum(xp.where(gaps > FAR_GAP, gaps - FAR_GAP, 0.0))
            moved[order, axis] = line - line[0]  # near the origin, for the virial
        return Frame(moved, None, self.turn)


def cell_frame(lattice: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shortest periods of a lattice, and `periods` and `turn` of its frame."""
    reduced = reduced_cell(lattice)
    periods, turn = rq(reduced)
    signs = np.where(np.diag(periods) < 0, -1.0, 1.0)
    return reduced, np.triu(periods * signs) / cutoff, turn * signs[:, None]


def bounds(positions: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the box of positions (n, 3), on the host."""
    if is_device_array(positions):
        xp = namespace(positions)
        low, high = to_host(xp.concatenate([positions.min(axis=0), positions.max(axis=0)])).reshape(2, 3)
        return low, high
    columns = [positions[:, a] for a in range(3)]  # a reduction over columns is many times faster than over rows
    low, high = (
        np.array([float(c) for c in found]) for found in ((v.min() for v in columns), (v.max() for v in columns))
    )
    return low, high
