"""Sets of crystals: configurations whose atoms are elements and repeat along three axes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration, neighbor_pairs
from sci.backend import as_finite
from sci.errors import InvalidValueError, SciError
from sci.generative.crystals.elements import MASSES, SYMBOLS, atomic_numbers
from sci.generative.crystals.table import cell_parameters, slots_of, wrapped

__all__ = ["Crystals", "composition_of", "crystal", "formula"]

AVOGADRO = 0.602214076
"""Of atoms in mol, and of cubic angstrom in cubic centimeters: u / angstrom^3 is 1 / 0.602 g/cm^3."""


@entry
@dataclass(frozen=True, eq=False)
class Crystals:
    """Crystals, each with the atoms of one cell.

    Parameters
    ----------
    configurations : sequence of Configuration
        Periodic along three axes, of elements; one at least.

    Attributes
    ----------
    numbers : tuple of (n,) int64 arrays
        Atomic numbers of each crystal.

    Raises
    ------
    InvalidValueError
        For a configuration that is no such crystal or has two atoms in one place, by its number and atom.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import Configuration
    >>> from sci.generative import Crystals
    >>> salt = Configuration(["Na", "Cl"], [[0, 0, 0], [2.8, 2.8, 2.8]], 2.8 * (1 - np.eye(3)))
    >>> crystals = Crystals([salt])
    >>> crystals, crystals.formulas, crystals.densities.round(2)
    (Crystals(1 crystal, 2 atoms of 2 elements), ('ClNa',), array([2.21]))
    """

    configurations: Sequence[Configuration]
    numbers: tuple[np.ndarray, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = tuple(self.configurations)
        object.__setattr__(self, "configurations", found)
        if not found:
            raise InvalidValueError("there are no crystals; expected one or more")
        object.__setattr__(self, "numbers", tuple(_checked(one, k) for k, one in enumerate(found)))

    def __repr__(self) -> str:
        n, atoms = len(self), sum(map(len, self.numbers))
        elements = len(set(np.concatenate(self.numbers).tolist()))
        return (
            f"Crystals({n} crystal{'s' * (n > 1)}, {atoms} atom{'s' * (atoms > 1)} of {elements} "
            f"element{'s' * (elements > 1)})"
        )

    def __len__(self) -> int:
        return len(self.configurations)

    def __iter__(self) -> Iterator[Configuration]:
        return iter(self.configurations)

    @property
    def formulas(self) -> tuple[str, ...]:
        """Reduced formula of each crystal, elements in the order of the alphabet."""
        return tuple(formula(n) for n in self.numbers)

    @property
    def densities(self) -> np.ndarray:
        """Density of each crystal, g/cm^3."""
        masses = [sum(MASSES[z - 1] for z in numbers) for numbers in self.numbers]
        return np.array(masses) / [one.volume for one in self.configurations] / AVOGADRO

    @property
    def most_of_an_element(self) -> int:
        """Atoms of the element of which one of the crystals has most: the slots that a tensor needs."""
        return max(int(slots_of(numbers).max()) + 1 for numbers in self.numbers)


def require_periodic(one: Configuration, what: str = "") -> None:
    """Raise InvalidValueError, which `what` begins, unless the atoms repeat along three axes."""
    if one.cell is None or not all(one.periodic or ()):
        raise InvalidValueError(f"{what}its atoms do not repeat along three axes; expected a cell of three periods")


def _checked(one: Configuration, which: int) -> np.ndarray:
    """Return the atomic numbers of a crystal, or refuse it by its number."""
    what = f"crystal {which} (counted from 0): "
    require_periodic(one, what)
    numbers = atomic_numbers(one.species, what)
    try:
        cell_parameters(np.asarray(one.cell))
        neighbor_pairs(one.positions, 1e-6, cell=one.cell)
    except SciError as error:
        raise InvalidValueError(f"{what}{error}") from error
    return numbers


@entry
def crystal(numbers: Sequence[int], fractions: object, cell: object) -> Configuration:
    """Return a crystal from atomic numbers, fractional coordinates and a cell.

    Parameters
    ----------
    numbers : sequence of n int
    fractions : (n, 3) float64
    cell : (3, 3) float64, angstrom
        The rows are the periods.

    Returns
    -------
    Configuration

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    atoms = np.asarray(numbers)
    rows = as_finite(cell, "cell", shape=(3, 3), xp=np)
    places = as_finite(fractions, "fractions", shape=(len(atoms), 3), xp=np)
    slots_of(atoms)  # refuses numbers of no element
    return Configuration([SYMBOLS[z - 1] for z in atoms], places @ rows, rows)


def fractions_of(one: Configuration) -> tuple[np.ndarray, np.ndarray]:
    """Return fractional coordinates in [0, 1) and the cell of a crystal, right-handed as in `encode_crystal`."""
    rows = np.asarray(one.cell)
    places = np.linalg.solve(rows.T, np.asarray(one.positions).T).T
    if np.linalg.det(rows) < 0:
        rows, places = -rows, -places
    return wrapped(places), rows


def formula(numbers: Sequence[int] | np.ndarray) -> str:
    """Return the reduced formula of atomic numbers, elements in the order of the alphabet.

    >>> formula([11, 17, 11, 17])
    'ClNa'
    """
    values, counts = np.unique(np.asarray(numbers), return_counts=True)
    common = gcd(*counts.tolist())
    words = sorted((SYMBOLS[z - 1], int(n) // common) for z, n in zip(values, counts))
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in words)


@entry
def composition_of(text: str) -> dict[str, int]:
    """Return the atoms of a formula like "CaTiO3" or "Ca(OH)2" by symbol.

    Parameters
    ----------
    text : str
        Symbols with whole numbers, and groups in brackets.

    Returns
    -------
    dict of str to int

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.generative import composition_of
    >>> composition_of("Ca(OH)2")
    {'Ca': 1, 'O': 2, 'H': 2}
    """
    stack: list[dict[str, int]] = [{}]
    tokens = re.findall(r"([A-Z][a-z]?|\(|\))(\d*)|([\s\S])", text)
    for symbol, digits, other in tokens:
        count = int(digits or 1)
        if other or (symbol == "(" and digits) or (symbol not in "()" and symbol not in SYMBOLS) or count < 1:
            raise InvalidValueError(
                f"the formula {text!r} has {other or symbol + digits!r}; expected elements like CaTiO3"
            )
        if symbol == "(":
            stack.append({})
            continue
        if symbol == ")" and len(stack) == 1:
            raise InvalidValueError(f"the formula {text!r} closes a bracket that is not open")
        group = stack.pop() if symbol == ")" else {symbol: 1}
        for name, n in group.items():
            stack[-1][name] = stack[-1].get(name, 0) + n * count
    if len(stack) > 1 or not stack[0]:
        raise InvalidValueError(
            f"the formula {text!r} {'leaves a bracket open' if stack[0] or len(stack) > 1 else 'is empty'}"
        )
    return stack[0]
