"""Point charges in space: the input of every potential."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, as_points, namespace, to_device, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.forcefield.images import cell_images, short_periods

__all__ = ["SAME_PLACE", "Particles", "check_images", "coincident_pair", "with_short_periods", "without_overflow"]

Names: TypeAlias = Annotated[tuple[str, ...], "names"]
"""Names of particles; any sequence of them is taken, an array too."""

SAME_PLACE: float = 1e-6
"""Two particles closer than this many angstrom are at one place."""

_DIRECTION = (0.5773502691896258, 0.7548776662466927, 0.3110047815473091)


def coincident_pair(
    positions: ArrayLike,
    distance: float = SAME_PLACE,
    exclusions: Exclusions | None = None,
    numbers: Array | None = None,
) -> tuple[int, int] | None:
    """Return the 0-based indices of two points closer than `distance`, or None.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
    distance : float, angstrom
    exclusions : Exclusions, optional
        Pairs that these leave out altogether may share a place.
    numbers : (n,) int64, optional
        The atom of each point, where there are images; its index unless given.

    Returns
    -------
    (i, j) with i < j, or None
        The pair with the smallest i among those that the sweep meets first.

    Notes
    -----
    The points are sorted by their projection on one oblique unit vector, which maps neither molecules nor lattices
    onto few values; only pairs whose projections differ by less than `distance` are compared. O(n log n) and O(n)
    memory.
    """
    xp = namespace(positions)
    direction = xp.asarray(_DIRECTION) / math.sqrt(sum(c * c for c in _DIRECTION))
    projection = positions @ direction
    order = xp.argsort(projection)
    sorted_projection = projection[order]
    reach = distance + 1e-14 * float(xp.abs(projection).max())
    first = xp.arange(len(positions) - 1)
    offset, allowed = 1, _pairs_left_out(exclusions, xp)
    while len(first):
        first = first[first + offset < len(positions)]
        first = first[sorted_projection[first + offset] - sorted_projection[first] < reach]
        left, right = order[first], order[first + offset]
        hit = ((positions[left] - positions[right]) ** 2).sum(axis=1) < distance**2
        if exclusions is not None and bool(hit.any()):
            one, two = (side if numbers is None else numbers[side] for side in (left, right))
            hit &= ~xp.isin(xp.minimum(one, two) * exclusions.n + xp.maximum(one, two), allowed)
        if bool(hit.any()):
            low, high = xp.minimum(left[hit], right[hit]), xp.maximum(left[hit], right[hit])
            best = int(xp.argmin(low))
            return int(low[best]), int(high[best])
        offset += 1
    return None


def _pairs_left_out(exclusions: Exclusions | None, xp: Any) -> Array:
    """Return i n + j of the pairs that are left out altogether."""
    if exclusions is None:
        return xp.empty(0, dtype=xp.int64)
    pairs = exclusions.pairs[np.asarray(exclusions.scales) == 0]
    return to_device(pairs[:, 0] * exclusions.n + pairs[:, 1], xp)


@entry
@dataclass(frozen=True, eq=False)
class Particles:
    """Point charges with positions, and optionally radii, names, a periodic cell and exclusions.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
        NumPy or CuPy; all arrays lie on one device. Lists are read onto the host.
    charges : (n,) float64, e
    radii : (n,) float64, angstrom, optional
    names : sequence of n str, optional
        Kept as a tuple.
    cell : (3, 3) float64, angstrom, optional
        The rows are the periods.
    exclusions : Exclusions, optional
        Pairs that energies, forces, stresses and derivatives by charges leave out or scale. The potential at a point
        is that of all charges in any case.

    Raises
    ------
    ShapeError, DTypeError
        For arrays that do not fit together, or exclusions of another number of atoms.
    InvalidValueError
        For NaN or Inf, no particle at all, a negative radius, a cell without volume, or two particles closer than
        `SAME_PLACE`, whose energy would be infinite unless it is left out.
    DeviceMismatchError
        For arrays of NumPy mixed with arrays of CuPy.

    Notes
    -----
    Arrays that already are contiguous float64 are kept without a copy: do not write to them afterwards.

    Examples
    --------
    >>> from sci.potentials.particles import Particles
    >>> dipole = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, -1.0])
    >>> dipole.n, dipole.total_charge
    (2, 0.0)
    """

    positions: ArrayLike
    charges: ArrayLike
    radii: ArrayLike | None = None
    names: Names | None = None
    cell: ArrayLike | None = None
    exclusions: Exclusions | None = None

    def __post_init__(self) -> None:
        """Check the arrays and bring them to contiguous float64."""
        xp = namespace(self.positions, self.charges, self.radii, self.cell)
        positions = as_points(self.positions, "positions", xp=xp)
        n = len(positions)
        if n == 0:
            raise InvalidValueError("positions holds no particle; expected at least one row")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "charges", as_finite(self.charges, "charges", shape=(n,), xp=xp))
        if self.radii is not None:
            object.__setattr__(self, "radii", as_finite(self.radii, "radii", shape=(n,), xp=xp))
            if bool((self.radii < 0).any()):
                raise InvalidValueError(f"radii holds {float(self.radii.min())}; expected no negative radius")
        if self.names is not None:
            object.__setattr__(self, "names", _names(self.names, n))
        if self.cell is not None:
            object.__setattr__(self, "cell", as_finite(self.cell, "cell", shape=(3, 3), xp=xp))
            if np.linalg.det(to_host(self.cell)) == 0:
                raise InvalidValueError("the rows of cell span no volume; expected three independent periods")
        if self.exclusions is not None and self.exclusions.n != n:
            raise ShapeError(
                f"the exclusions are of {self.exclusions.n} atoms, and positions holds {n}; expected the topology and "
                "the coordinates of the same atoms"
            )
        pair = coincident_pair(positions, exclusions=self.exclusions)
        if pair is not None:
            raise InvalidValueError(_coincidence(positions, *pair))

    def __repr__(self) -> str:
        parts = [name for name in ("radii", "names", "cell", "exclusions") if getattr(self, name) is not None]
        extra = f", with {', '.join(parts)}" if parts else ""
        return f"Particles({self.n} charges, {self.total_charge:.6g} e in all{extra})"

    @property
    def n(self) -> int:
        """Number of particles."""
        return len(self.positions)

    @property
    def total_charge(self) -> float:
        """Sum of the charges, in e."""
        return math.fsum(to_host(self.charges))

    def to_host(self) -> Particles:
        """Return the same particles with NumPy arrays; itself if they already are."""
        if namespace(self.positions) is np:
            return self
        radii, cell = (None if a is None else to_host(a) for a in (self.radii, self.cell))
        return Particles(to_host(self.positions), to_host(self.charges), radii, self.names, cell, self.exclusions)


def _names(names: tuple[str, ...], n: int) -> tuple[str, ...]:
    result = tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in result):
        raise InvalidValueError("names holds something else than str; expected one str for each particle")
    if len(result) != n:
        raise ShapeError(f"names has {len(result)} entries for {n} particles; expected one for each")
    return result


def _coincidence(positions: ArrayLike, i: int, j: int) -> str:
    x, y, z = (float(c) for c in positions[i])
    return (
        f"particles {i} and {j} (counted from 0) are both at ({x:.6g}, {y:.6g}, {z:.6g}) angstrom, so their energy "
        f"is infinite; expected at least {SAME_PLACE:g} angstrom between any two: remove or move one of them"
    )


def check_images(fractions: Array, cell: Array, margin: np.ndarray, exclusions: Exclusions | None) -> None:
    """Refuse two particles, or images of them in a `margin` in fractions around the cell, that share a place."""
    positions, numbers = cell_images(fractions, cell, margin)
    if (pair := coincident_pair(positions, exclusions=exclusions, numbers=numbers)) is not None:
        where = tuple(round(float(c), 6) for c in positions[pair[0]])
        first, second = (int(numbers[index]) for index in pair)
        raise InvalidValueError(
            f"images of particles {first} and {second} (counted from 0) are both at {where}; remove one of them"
        )


def with_short_periods(particles: Particles, slab: bool = False) -> Particles:
    """Return periodic particles with other periods of the same lattice where their cell is skewed."""
    given = to_host(particles.cell)
    found = short_periods(given, slab)
    return particles if found is given else replace(particles, cell=to_device(found, namespace(particles.cell)))


def without_overflow(values: ArrayLike, name: str) -> Array:
    """Return `values`, or raise InvalidValueError if one is not finite."""
    if not bool(namespace(values).isfinite(values).all()):
        raise InvalidValueError(f"{name} overflow float64; pass the charges in another unit")
    return values
