"""Crystals as vectors for diffusion: the slots of the periodic table that are in use, and the cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration
from sci.backend import as_finite
from sci.errors import InvalidValueError, ShapeError
from sci.generative.crystals.crystals import Crystals, crystal, fractions_of
from sci.generative.crystals.elements import SYMBOLS
from sci.generative.crystals.table import (
    COLUMNS,
    EMPTY,
    ROWS,
    cell_from_parameters,
    cell_parameters,
    slots_of,
    table_places,
    wrapped,
)

__all__ = ["CELL", "CrystalFeatures", "Representation"]

Representation = Literal["circle", "fraction"]
"""Numbers of an atom: (cos, sin) of 2 pi f for its fractions f, and 0 for an empty slot; or f itself, and -1."""
CELL = 6
"""Numbers of a cell: logarithms of lengths, and angles."""
_LEAST = np.array([0.01] * 3 + [1.0] * 3)
"""Deviations below which a number of the cell is not scaled up: a percent, and a degree."""


@entry
@dataclass(frozen=True, eq=False)
class CrystalFeatures:
    """Crystals as vectors: the numbers of each slot that is in use, those of an element side by side, then the cell.

    A slot is in use if a crystal of the set has an atom in it; the others are empty in every crystal, so that nothing
    is left to learn of them. "circle" puts fractional coordinates on circles, where 0 and 1 are one point: averages and
    noise go round. With "fraction", the tensor as it was published, the average of 0.99 and 0.01 is 0.5.

    Parameters
    ----------
    elements : sequence of int
        Atomic numbers, ascending.
    depths : sequence of int
        Slots in use of each element.
    cell_mean, cell_std : (6,) sequences of float
        Of logarithms of a, b, c in angstrom, and of alpha, beta, gamma in degrees.
    representation : {"circle", "fraction"}

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import CrystalFeatures, Crystals, crystal
    >>> crystals = Crystals([crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], a * np.eye(3)) for a in (2.8, 3.0)])
    >>> features = CrystalFeatures.fit(crystals)
    >>> features, features.encode(crystals).shape
    (CrystalFeatures(2 elements, 2 slots, circle, 18 numbers), (2, 18))
    """

    elements: Sequence[int]
    depths: Sequence[int]
    cell_mean: Sequence[float]
    cell_std: Sequence[float]
    representation: Representation = "circle"

    def __post_init__(self) -> None:
        for name, kind in (("elements", int), ("depths", int), ("cell_mean", float), ("cell_std", float)):
            object.__setattr__(self, name, tuple(kind(v) for v in getattr(self, name)))
        if len(self.elements) != len(self.depths) or not self.elements:
            raise ShapeError(f"{len(self.elements)} elements and {len(self.depths)} depths; expected one for each")
        if list(self.elements) != sorted(set(self.elements)) or not 1 <= self.elements[0] <= self.elements[-1] <= 118:
            raise InvalidValueError(f"elements are {self.elements}; expected ascending numbers from 1 to 118")
        if min(self.depths) < 1:
            raise InvalidValueError(f"depths are {self.depths}; expected a positive number of slots for each element")
        if len(self.cell_mean) != CELL or len(self.cell_std) != CELL:
            raise ShapeError(f"{len(self.cell_mean)} means and {len(self.cell_std)} deviations; expected six of each")
        if min(self.cell_std) <= 0:
            raise InvalidValueError(f"cell_std is {self.cell_std}; expected positive deviations")
        if self.representation not in get_args(Representation):
            raise InvalidValueError(f"representation is {self.representation!r}; expected 'circle' or 'fraction'")

    def __repr__(self) -> str:
        n = len(self.elements)
        return (
            f"CrystalFeatures({n} element{'s' * (n > 1)}, {self.slots} slots, {self.representation}, "
            f"{self.width} numbers)"
        )

    @classmethod
    def fit(cls, crystals: Crystals, representation: Representation = "circle") -> CrystalFeatures:
        """Return the features of the slots and cells of a set.

        Parameters
        ----------
        crystals : Crystals
        representation : {"circle", "fraction"}

        Returns
        -------
        CrystalFeatures
        """
        deepest: dict[int, int] = {}
        for numbers in crystals.numbers:
            for z, slot in zip(numbers.tolist(), slots_of(numbers).tolist()):
                deepest[z] = max(deepest.get(z, 0), slot + 1)
        cells = np.array([_cell_numbers(one) for one in crystals])
        elements = sorted(deepest)
        std = np.maximum(cells.std(axis=0), _LEAST)
        depths = [deepest[z] for z in elements]
        return cls(elements, depths, cells.mean(axis=0).tolist(), std.tolist(), representation)

    @property
    def channels(self) -> int:
        """Numbers of a slot."""
        return 6 if self.representation == "circle" else 3

    @property
    def empty(self) -> float:
        """What each number of an empty slot is."""
        return 0.0 if self.representation == "circle" else EMPTY

    @property
    def slots(self) -> int:
        """Slots in use."""
        return sum(self.depths)

    @property
    def width(self) -> int:
        """Numbers of a crystal."""
        return self.slots * self.channels + CELL

    @property
    def owners(self) -> np.ndarray:
        """The place in `elements` of the element of each slot, (slots,)."""
        return np.repeat(np.arange(len(self.elements)), self.depths)

    @property
    def levels(self) -> np.ndarray:
        """The number of each slot among those of its element, (slots,)."""
        return np.concatenate([np.arange(d) for d in self.depths])

    def on_table(self, levels: int) -> np.ndarray:
        """Return the flat place of each slot in a grid (levels, 9, 18).

        Parameters
        ----------
        levels : int

        Returns
        -------
        (slots,) int64
        """
        row, column = table_places()[np.asarray(self.elements)[self.owners] - 1].T
        found: np.ndarray = np.ravel_multi_index((self.levels, row, column), (levels, ROWS, COLUMNS))
        return found

    def occupied(self, numbers: np.ndarray, what: str = "") -> np.ndarray:
        """Return the slots that the atoms of a crystal take.

        Parameters
        ----------
        numbers : (n,) int
            Atomic numbers.
        what : str
            Begins the error.

        Returns
        -------
        (slots,) bool

        Raises
        ------
        InvalidValueError
            For an element, or more atoms of one, than any crystal of the set had.
        """
        own, slot = self._placed(numbers, what)
        found = np.zeros(self.slots, dtype=bool)
        found[np.cumsum([0, *self.depths])[own] + slot] = True
        return found

    def _placed(self, numbers: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the place of the element, and the slot, of each atom."""
        slot = slots_of(numbers, None, what)
        known = {z: k for k, z in enumerate(self.elements)}
        for k, z in enumerate(numbers.tolist()):
            if z not in known:
                names = ", ".join(SYMBOLS[e - 1] for e in self.elements)
                raise InvalidValueError(
                    f"{what}atom {k} (counted from 0) is {SYMBOLS[z - 1]}, an element of no crystal of the training; "
                    f"expected {names}"
                )
            if slot[k] >= self.depths[known[z]]:
                raise InvalidValueError(
                    f"{what}atom {k} (counted from 0) is number {slot[k] + 1} of {SYMBOLS[z - 1]}, and the crystals of "
                    f"the training have at most {self.depths[known[z]]}; expected no more"
                )
        return np.array([known[z] for z in numbers.tolist()]), slot

    def encode(self, crystals: Crystals) -> np.ndarray:
        """Return crystals as vectors; atoms of an element take its slots in the order of their coordinates.

        Parameters
        ----------
        crystals : Crystals

        Returns
        -------
        (n, width) float64

        Raises
        ------
        InvalidValueError
            For elements, or more atoms of one, than the set of `fit` had.
        """
        return np.array(
            [self._vector(one, numbers, k) for k, (one, numbers) in enumerate(zip(crystals, crystals.numbers))]
        )

    def _vector(self, one: Configuration, numbers: np.ndarray, which: int) -> np.ndarray:
        places, _ = fractions_of(one)
        rounded = wrapped(np.round(places, 6))
        order = np.lexsort((*rounded.T[::-1], numbers))
        numbers, places = numbers[order], places[order]
        slots = np.full((self.slots, self.channels), self.empty)
        slots[self.occupied(numbers, f"crystal {which} (counted from 0): ")] = self._of_atoms(places)
        cell = (_cell_numbers(one) - self.cell_mean) / self.cell_std
        return np.concatenate([slots.ravel(), cell])

    def _of_atoms(self, fractions: np.ndarray) -> np.ndarray:
        if self.representation == "fraction":
            return fractions
        angles = 2 * np.pi * fractions
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    def decode(self, vector: np.ndarray, occupied: np.ndarray | None = None) -> Configuration:
        """Return the crystal of a vector.

        Parameters
        ----------
        vector : (width,) float array
        occupied : (slots,) bool, optional
            Which slots hold an atom. Unless given, those whose mean radius on the circles is above 0.5, or whose mean
            fraction is above -0.5.

        Returns
        -------
        Configuration

        Raises
        ------
        InvalidValueError
            For a vector without an atom, or with parameters that no cell has.
        """
        whole = as_finite(vector, "vector", shape=(self.width,), xp=np)
        slots = whole[:-CELL].reshape(self.slots, self.channels)
        if occupied is None:
            occupied = self.strengths(slots) > 0
        if occupied.shape != (self.slots,) or occupied.dtype != bool:
            raise ShapeError(f"occupied of shape {occupied.shape}, {occupied.dtype}; expected ({self.slots},) booleans")
        if not occupied.any():
            raise InvalidValueError("no slot holds an atom; expected one at least")
        held = slots[occupied]
        if self.representation == "circle":
            held = np.arctan2(held[:, 3:], held[:, :3]) / (2 * np.pi)
        numbers = np.asarray(self.elements)[self.owners[occupied]]
        numbers_of_cell = whole[-CELL:] * self.cell_std + self.cell_mean
        numbers_of_cell[:3] = np.exp(np.clip(numbers_of_cell[:3], -50, 50))
        return crystal(numbers.tolist(), wrapped(held), cell_from_parameters(numbers_of_cell))

    def strengths(self, slots: np.ndarray) -> np.ndarray:
        """Return by how much slots (..., channels) are above the threshold of an atom.

        Parameters
        ----------
        slots : (..., channels) float array

        Returns
        -------
        (...) array
        """
        if self.representation == "fraction":
            found: np.ndarray = slots.mean(axis=-1) + 0.5
            return found
        radii: np.ndarray = np.hypot(slots[..., :3], slots[..., 3:]).mean(axis=-1) - 0.5
        return radii

    def to_options(self) -> dict[str, Any]:
        """Return the arguments of the constructor, as a file of a model holds them.

        Returns
        -------
        dict
        """
        return {
            "elements": list(self.elements),
            "depths": list(self.depths),
            "cell_mean": list(self.cell_mean),
            "cell_std": list(self.cell_std),
            "representation": self.representation,
        }


def _cell_numbers(one: Configuration) -> np.ndarray:
    parameters = cell_parameters(np.asarray(one.cell))
    return np.concatenate([np.log(parameters[:3]), parameters[3:]])
