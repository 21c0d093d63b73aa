"""The ions of a finite lattice with defects: where they are, what they carry, and which lie in a box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.backend import to_host
from sci.errors import InvalidValueError
from sci.potentials.lattice.defects import Defect, Interstitial, check_site, site_changes
from sci.potentials.lattice.sums import AxisLattice
from sci.potentials.particles import SAME_PLACE, Particles, coincident_pair

__all__ = ["LatticeSites", "as_repeats", "orthogonal_periods"]


def orthogonal_periods(particles: Particles) -> tuple[float, float, float]:
    """Return the lengths of an orthogonal cell along x, y and z.

    Raises
    ------
    InvalidValueError
        Without a cell, or for one whose periods do not lie along the axes.
    """
    if particles.cell is None:
        raise InvalidValueError("the particles have no cell; pass Particles(..., cell=...) with the periods as rows")
    cell = to_host(particles.cell)
    periods = np.diag(cell)
    if (np.abs(cell - np.diag(periods)) > 1e-9 * np.abs(cell).max()).any() or (periods <= 0).any():
        raise InvalidValueError(
            f"the cell has the rows {cell.tolist()}; expected three periods along +x, +y and +z, for only then are "
            "sums over the lattice separable: choose an orthogonal supercell, or rotate the crystal"
        )
    return float(periods[0]), float(periods[1]), float(periods[2])


def as_repeats(repeats: Sequence[int]) -> tuple[int, int, int]:
    """Return three positive integers, or raise."""
    try:
        counts = tuple(int(n) for n in repeats)
        if len(counts) != 3 or min(counts) < 1 or any(n != m for n, m in zip(counts, repeats)):
            raise ValueError
    except (TypeError, ValueError):
        raise InvalidValueError(f"repeats is {repeats!r}; expected three integers of at least 1") from None
    return counts[0], counts[1], counts[2]


@dataclass(frozen=True, eq=False, repr=False)
class LatticeSites:
    """The sites of a cell of charges that is repeated along three axes, with defects.

    Parameters
    ----------
    axes : three AxisLattice
    charges : (n,) float64, e
        Those of the cell.
    defects : tuple of Defect
    changes : dict of (particle, cell) to float
        What the defects add to the charges of sites.
    """

    axes: tuple[AxisLattice, ...]
    charges: np.ndarray
    defects: tuple[Defect, ...]
    changes: dict[tuple[int, tuple[int, int, int]], float]

    @classmethod
    def of(
        cls,
        particles: Particles,
        periods: Sequence[float],
        repeats: Sequence[int],
        defects: Sequence[Defect],
        weights: str,
    ) -> LatticeSites:
        """Repeat the charges of a cell; `weights` is that of `LatticePotential`."""
        positions = to_host(particles.positions)
        if weights == "evjen":
            positions = positions - np.floor(positions / periods + 1e-9) * periods
        charges = to_host(particles.charges)
        axes = tuple(AxisLattice.of(positions[:, a], periods[a], repeats[a], weights) for a in range(3))
        changes = site_changes(defects, charges, [axis.weights[axis.which] for axis in axes])
        return cls(axes, charges, tuple(defects), changes)

    def __repr__(self) -> str:
        return f"LatticeSites({self.count} ions, {len(self.charges)} a cell, {len(self.defects)} defects)"

    @property
    def count(self) -> int:
        """Number of ions of positive weight, without defects."""
        counts = [(axis.weights > 0).sum(axis=1)[axis.which] for axis in self.axes]
        return sum(math.prod(map(int, row)) for row in zip(*counts))

    @property
    def periods(self) -> np.ndarray:
        """Lengths of the cell, (3,)."""
        return np.array([axis.period for axis in self.axes])

    @property
    def interstitials(self) -> list[Interstitial]:
        """The additional ions."""
        return [d for d in self.defects if isinstance(d, Interstitial)]

    def position(self, particle: int, cell: Sequence[int]) -> list[float]:
        """Return the coordinates of a site, angstrom.

        Raises
        ------
        InvalidValueError
            If it does not exist.
        """
        check_site(particle, tuple(cell), [axis.weights[axis.which] for axis in self.axes])
        return [float(axis.offsets[axis.which[particle]]) + i * axis.period for axis, i in zip(self.axes, cell)]

    def bounds(self) -> np.ndarray:
        """Return the corners of the box of the ions, (2, 3)."""
        first = np.array([axis.offsets[axis.which] for axis in self.axes]).T
        last = (np.array([axis.count for axis in self.axes]) - 1) * self.periods
        placed = np.reshape([d.position for d in self.interstitials], (-1, 3))
        points = np.concatenate([first, first + last, placed])
        return np.array([points.min(axis=0), points.max(axis=0)])

    def within(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (n, 3) and charges (n,) of the ions in a box, n >= 0."""
        positions, charges = [], []
        for s, charge in enumerate(self.charges):
            ranges = [axis.indices(s, a, b) for axis, a, b in zip(self.axes, low, high)]
            if not all(ranges):
                continue
            lines = [axis.offsets[axis.which[s]] + axis.period * np.array(r) for axis, r in zip(self.axes, ranges)]
            parts = [axis.weights[axis.which[s], r.start : r.stop] for axis, r in zip(self.axes, ranges)]
            values = charge * parts[0][:, None, None] * parts[1][:, None] * parts[2]
            for (particle, cell), change in self.changes.items():
                if particle == s and all(i in r for i, r in zip(cell, ranges)):
                    values[tuple(i - r.start for i, r in zip(cell, ranges))] += change
            positions.append(np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)[values.ravel() != 0])
            charges.append(values[values != 0])
        inside = [d for d in self.interstitials if (low <= d.position).all() and (d.position <= high).all()]
        positions.append(np.reshape([d.position for d in inside], (-1, 3)))
        charges.append(np.array([d.charge for d in inside]))
        return np.concatenate(positions), np.concatenate(charges)

    def defect_charges(self) -> list[tuple[tuple[float, ...], float]]:
        """Return place and charge of everything that the defects add."""
        changed = [(tuple(self.position(*site)), change) for site, change in self.changes.items()]
        return changed + [(d.position, d.charge) for d in self.interstitials]

    def check_places(self) -> None:
        """Raise if two ions, of one cell, of neighboring ones, or an interstitial and another, are at one place."""
        first = np.array([axis.offsets[axis.which] for axis in self.axes]).T
        boxes = [self.within(first.min(axis=0), first.max(axis=0) + self.periods)[0]]
        for added in self.interstitials:
            place = np.array(added.position)
            boxes.append(self.within(place - 2 * SAME_PLACE, place + 2 * SAME_PLACE)[0])
        for found in boxes:
            if len(found) > 1 and (pair := coincident_pair(found)) is not None:
                raise InvalidValueError(
                    f"two ions are both at {tuple(found[pair[0]].round(6).tolist())} angstrom, so their energy is "
                    "infinite; remove or move one of them"
                )
