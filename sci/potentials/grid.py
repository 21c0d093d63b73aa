"""A potential sampled on a regular grid of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.units import POTENTIAL_UNITS, potential_factor

__all__ = ["PotentialGrid", "box_axes", "origin_and_spacing"]


@entry
@dataclass(frozen=True, eq=False)
class PotentialGrid:
    """Values at the points origin + (i, j, k) * spacing.

    Parameters
    ----------
    values : (nx, ny, nz) float64 or float32
        NumPy or CuPy. float32 is kept, so that a file of half the size can be written.
    origin : (3,) float, angstrom
        Place of values[0, 0, 0].
    spacing : (3,) float, angstrom
        Positive.
    units : {"e/angstrom", "V", "kT/e", "kcal/mol/e", "hartree/e"}
        Unit of the values.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials.grid import PotentialGrid
    >>> grid = PotentialGrid(np.ones((2, 2, 2)), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
    >>> round(float(grid.in_units("V").values[0, 0, 0]), 4)
    14.3996
    """

    values: ArrayLike
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    units: str = "e/angstrom"

    def __repr__(self) -> str:
        return (
            f"PotentialGrid(shape={tuple(self.values.shape)}, origin={tuple(self.origin)}, "
            f"spacing={tuple(self.spacing)}, units={self.units!r}, {self.values.nbytes} bytes)"
        )

    def __post_init__(self) -> None:
        """Check the fields; values become contiguous, origin and spacing tuples."""
        dtype = np.float32 if getattr(self.values, "dtype", None) == np.float32 else np.float64
        values = as_finite(self.values, "values", shape=(None, None, None), dtype=dtype)
        if values.size == 0:
            raise InvalidValueError(f"values has shape {values.shape}; expected at least one point on each axis")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "origin", _triple(self.origin, "origin"))
        object.__setattr__(self, "spacing", _triple(self.spacing, "spacing"))
        if min(self.spacing) <= 0:
            raise InvalidValueError(f"spacing is {self.spacing}; expected three positive lengths in angstrom")
        if self.units not in POTENTIAL_UNITS:
            raise InvalidValueError(f"units is {self.units!r}; expected one of {', '.join(POTENTIAL_UNITS)}")

    @classmethod
    def on_axes(
        cls, values: ArrayLike, x: ArrayLike, y: ArrayLike, z: ArrayLike, units: str = "e/angstrom"
    ) -> PotentialGrid:
        """Return the grid of `values` on three equally spaced, ascending axes (an axis of one point has spacing 1)."""
        lengths = tuple(len(axis) for axis in (x, y, z))
        if tuple(values.shape) != lengths:
            raise ShapeError(f"values has shape {tuple(values.shape)}; expected that of the axes, {lengths}")
        return cls(values, *origin_and_spacing(x, y, z), units)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of points on each axis."""
        nx, ny, nz = self.values.shape
        return nx, ny, nz

    def in_units(self, units: str, temperature: float = 298.15) -> PotentialGrid:
        """Return the same potential in other units; `temperature` in kelvin is that of kT/e, on either side."""
        factor = potential_factor(units, temperature) / potential_factor(self.units, temperature)
        return self if units == self.units else replace(self, values=self.values * factor, units=units)


def origin_and_spacing(x: Array, y: Array, z: Array) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the first points and the steps of three equally spaced, ascending axes; an axis of one point has step 1.

    Raises
    ------
    InvalidValueError
        For other axes.
    """
    origin, spacing = [], []
    for name, axis in zip("xyz", (x, y, z)):
        points = as_finite(axis, name, shape=(None,))
        count = len(points)
        step = float(points[-1] - points[0]) / (count - 1) if count > 1 else 1.0
        ideal = float(points[0]) + step * namespace(points).arange(count) if count else points
        if count == 0 or step <= 0 or float(abs(points - ideal).max()) > 1e-9 * max(step * count, _largest(points)):
            raise InvalidValueError(
                f"axis {name} is not equally spaced and ascending; expected numpy.linspace(a, b, n)"
            )
        origin.append(float(points[0]))
        spacing.append(step)
    return _triple(origin, "origin"), _triple(spacing, "spacing")


def _largest(points: Array) -> float:
    return float(abs(points).max())


@entry
def box_axes(
    domain: Sequence[tuple[float, float]], counts: int | Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the axes of a grid over a box.

    Parameters
    ----------
    domain : three pairs of float, angstrom
    counts : int or three int
        Three numbers of points, which span the box from side to side. Or one, for the longest side: the other axes
        have the same spacing, as many points as fit, and lie in the middle of their side.

    Returns
    -------
    x, y, z : (n,) float64, angstrom
        An axis of one point lies in the middle.

    Raises
    ------
    InvalidValueError
        If a number of points is not positive.
    """
    lengths = [b - a for a, b in domain]
    if isinstance(counts, int):
        step = max(lengths) / max(1, counts - 1)
        numbers = [min(counts, 1 + math.floor(length / step + 1e-9)) for length in lengths]
        halves = [step * (n - 1) / 2 for n in numbers]
    else:
        numbers, halves = list(counts), [length / 2 for length in lengths]
    if len(numbers) != 3 or min(numbers) < 1:
        raise InvalidValueError(f"a grid of {counts} points; expected one or three positive integers")
    middles = [(a + b) / 2 for a, b in domain]
    x, y, z = (m + h * np.linspace(-1, 1, n) if n > 1 else np.array([m]) for m, h, n in zip(middles, halves, numbers))
    return x, y, z


def _triple(values: Sequence[float], name: str) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in as_finite(values, name, shape=(3,)))
    if not math.isfinite(x + y + z):
        raise InvalidValueError(f"{name} is {(x, y, z)}; expected moderate lengths in angstrom")
    return x, y, z
