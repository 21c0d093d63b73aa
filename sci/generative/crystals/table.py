"""Crystals as tensors over the periodic table: UniMat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sci.arguments import entry
from sci.atomistic import neighbor_pairs
from sci.backend import ArrayLike, as_finite
from sci.errors import InvalidValueError, ShapeError
from sci.generative.crystals.elements import SYMBOLS

__all__ = [
    "COLUMNS",
    "EMPTY",
    "ROWS",
    "CrystalTensor",
    "cell_from_parameters",
    "cell_parameters",
    "decode_crystal",
    "encode_crystal",
    "slots_of",
    "table_places",
    "wrapped",
]

ROWS, COLUMNS = 9, 18
"""Of the periodic table: seven periods, lanthanides and actinides."""
EMPTY = -1.0
"""What a slot without an atom holds."""
_LAST = (2, 10, 18, 36, 54, 86, 118)
"""The last element of each period."""


class CrystalTensor(NamedTuple):
    """A crystal over the periodic table.

    Parameters
    ----------
    tensor : (L, 9, 18, 3) float64
        Fractional coordinates, in [0, 1), of the l-th atom of the element at a row and column; -1 where there is none.
    parameters : (6,) float64
        a, b, c in angstrom, alpha, beta, gamma in degrees.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import encode_crystal
    >>> encode_crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], 2.8 * np.eye(3), slots=1).tensor.shape
    (1, 9, 18, 3)
    """

    tensor: np.ndarray
    parameters: np.ndarray


def _place(z: int) -> tuple[int, int]:
    if 57 <= z <= 70:
        return 7, 3 + z - 57
    if 89 <= z <= 102:
        return 8, 3 + z - 89
    period = next(k for k, last in enumerate(_LAST) if z <= last)
    first = _LAST[period - 1] + 1 if period else 1
    behind = _LAST[period] - z  # elements to the right of it
    early = z - first < 2 and not (period == 0 and z == 2)
    return period, z - first if early else COLUMNS - 1 - behind


def table_places() -> np.ndarray:
    """Return row and column of each element: lanthanides La to Yb in row 7, actinides Ac to No in row 8, from column 3.

    Returns
    -------
    (118, 2) int64
        Of the elements 1 to 118.
    """
    return np.array([_place(z) for z in range(1, len(SYMBOLS) + 1)], dtype=np.int64)


def wrapped(fractions: np.ndarray) -> np.ndarray:
    """Return fractional coordinates in [0, 1)."""
    inside = fractions - np.floor(fractions)
    return np.where(inside >= 1, 0.0, inside)  # of a negative number below the spacing of 1


def cell_parameters(cell: ArrayLike) -> np.ndarray:
    """Return a, b, c and alpha, beta, gamma, the angles in degrees, of a cell.

    Parameters
    ----------
    cell : (3, 3) float64, angstrom
        The rows are the periods.

    Returns
    -------
    (6,) float64

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For a cell without volume.
    """
    rows = _checked_cell(cell)
    lengths = np.linalg.norm(rows, axis=1)
    pairs = ((1, 2), (0, 2), (0, 1))
    # exact near 0 and 180 degrees too, where the arc cosine loses half of the digits
    angles = [np.arctan2(np.linalg.norm(np.cross(rows[i], rows[j])), rows[i] @ rows[j]) for i, j in pairs]
    return np.concatenate([lengths, np.degrees(angles)])


def _checked_cell(cell: ArrayLike) -> np.ndarray:
    rows: np.ndarray = as_finite(cell, "cell", shape=(3, 3), xp=np)
    size = float(np.prod(np.linalg.norm(rows, axis=1)))
    if not size > 0 or abs(np.linalg.det(rows)) < 1e-6 * size:
        raise InvalidValueError(f"the rows of cell {rows.tolist()} span no volume; expected three independent periods")
    return rows


def cell_from_parameters(parameters: ArrayLike) -> np.ndarray:
    """Return the right-handed cell with a along x and b in the plane of x and y.

    Parameters
    ----------
    parameters : (6,) float64
        a, b, c in angstrom, alpha, beta, gamma in degrees.

    Returns
    -------
    (3, 3) float64, angstrom

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For lengths that are not positive, and angles that no cell has.
    """
    given = as_finite(parameters, "parameters", shape=(6,), xp=np)
    (a, b, c), angles = given[:3], np.radians(given[3:])
    if not (given[:3] > 0).all() or not ((angles > 0) & (angles < np.pi)).all():
        raise InvalidValueError(
            f"the cell parameters are {_shown(given)}; expected lengths above 0, angles in (0, 180)"
        )
    # sines of the complements: the cosine of 90 degrees is 0, not 6e-17
    alpha, beta, gamma = (float(np.sin(np.pi / 2 - x)) if d != 90 else 0.0 for x, d in zip(angles, given[3:]))
    sine = float(np.sin(angles[2]))
    y = (alpha - beta * gamma) / sine
    height = 1 - beta**2 - y**2
    if not height > 1e-12:
        raise InvalidValueError(f"the cell parameters are {_shown(given)}, angles that no cell has; expected a volume")
    return np.array([[a, 0, 0], [b * gamma, b * sine, 0], [c * beta, c * y, c * np.sqrt(height)]])


def _shown(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in values) + ")"


def slots_of(numbers: np.ndarray, slots: int | None = None, what: str = "") -> np.ndarray:
    """Return the slot of each atom: how many atoms of its element stand before it.

    Parameters
    ----------
    numbers : (n,) int
        Atomic numbers, from 1 to 118.
    slots : int, optional
        Slots of an element.
    what : str
        Begins the error.

    Returns
    -------
    (n,) int64

    Raises
    ------
    InvalidValueError
        For numbers of no element, and the first atom without a slot.
    """
    found, counts = np.empty(len(numbers), dtype=np.int64), dict.fromkeys(range(1, len(SYMBOLS) + 1), 0)
    for k, z in enumerate(numbers.tolist()):
        if z not in counts:
            raise InvalidValueError(
                f"{what}atom {k} (counted from 0) has number {z}; expected that of an element, 1 to 118"
            )
        found[k] = counts[z]
        counts[z] += 1
        if slots is not None and counts[z] > slots:
            total = int((numbers == z).sum())
            raise InvalidValueError(
                f"{what}atom {k} (counted from 0) is number {counts[z]} of {SYMBOLS[z - 1]}, and there are {slots} "
                f"slots for an element; expected slots={total} or more for its {total} atoms"
            )
    return found


@entry
def encode_crystal(numbers: ArrayLike, fractions: ArrayLike, cell: ArrayLike, *, slots: int) -> CrystalTensor:
    """Return a crystal as a tensor over the periodic table, and the parameters of its cell.

    Parameters
    ----------
    numbers : (n,) int
        Atomic numbers.
    fractions : (n, 3) float64
        Fractional coordinates; 0 and 1 are the same.
    cell : (3, 3) float64, angstrom
        The rows are the periods. A left-handed cell is replaced by that of its opposite rows, so that a chiral crystal
        does not become its mirror image.
    slots : int
        L, atoms of an element at most.

    Returns
    -------
    CrystalTensor

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For a cell without volume, numbers of no element, more atoms of one element than slots, or two atoms in one
        place; the message names the atom.

    References
    ----------
    Yang et al., Scalable Diffusion for Materials Generation, ICLR 2024, arXiv:2311.09235.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import decode_crystal, encode_crystal
    >>> tensor, parameters = encode_crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], 2.8 * np.eye(3), slots=2)
    >>> int((tensor != -1).sum()), parameters.tolist()
    (6, [2.8, 2.8, 2.8, 90.0, 90.0, 90.0])
    >>> decode_crystal(tensor, parameters)[0]
    array([11, 17])
    """
    if slots < 1:
        raise InvalidValueError(f"slots is {slots}; expected a positive integer")
    atoms = np.asarray(numbers)
    if atoms.ndim != 1 or atoms.dtype.kind not in "iu" or not len(atoms):
        raise ShapeError(
            f"numbers of shape {atoms.shape} and dtype {atoms.dtype}; expected (n,) integers, one at least"
        )
    places = as_finite(fractions, "fractions", shape=(len(atoms), 3), xp=np)
    rows = _checked_cell(cell)
    if np.linalg.det(rows) < 0:
        rows, places = -rows, -places
    which = slots_of(atoms, slots)
    places = wrapped(places)
    neighbor_pairs(places @ rows, 1e-6 * float(np.linalg.norm(rows, axis=1).min()), cell=rows)
    tensor = np.full((slots, ROWS, COLUMNS, 3), EMPTY)
    row, column = table_places()[atoms - 1].T
    tensor[which, row, column] = places
    return CrystalTensor(tensor, cell_parameters(rows))


@entry
def decode_crystal(
    tensor: ArrayLike, parameters: ArrayLike, *, threshold: float = -0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the crystal of a tensor over the periodic table: slots whose mean is above the threshold hold an atom.

    Parameters
    ----------
    tensor : (L, 9, 18, 3) float64
    parameters : (6,) float64
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    threshold : float

    Returns
    -------
    numbers : (n,) int64
        Atomic numbers, ascending; atoms of one element by their slots.
    fractions : (n, 3) float64
        In [0, 1).
    cell : (3, 3) float64, angstrom
        See `cell_from_parameters`.

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For a tensor without an atom or with one where no element stands, and parameters of no cell.
    """
    given = as_finite(tensor, "tensor", shape=(None, ROWS, COLUMNS, 3), xp=np)
    cell = cell_from_parameters(parameters)
    present = given.mean(axis=3) > threshold
    row, column = table_places().T
    elements = present[:, row, column]
    if int(present.sum()) != int(elements.sum()):
        present[:, row, column] = False
        slot, r, c = np.argwhere(present)[0]
        raise InvalidValueError(
            f"slot {slot} at row {r}, column {c} holds an atom; expected none where no element stands"
        )
    if not elements.any():
        raise InvalidValueError(f"no slot has a mean above {threshold:g}; expected one atom at least")
    z, slot = np.nonzero(elements.T)
    return z + 1, wrapped(given[slot, row[z], column[z]]), cell
