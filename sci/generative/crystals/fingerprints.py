"""Fingerprints of crystals by distances between their atoms, the same for every choice of cell, and what they tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration, neighbor_pairs
from sci.errors import InvalidValueError
from sci.generative.crystals.crystals import formula
from sci.generative.crystals.elements import atomic_numbers

__all__ = ["Fingerprint", "fingerprint", "first_alike"]

NEIGHBORS = 12
"""Distances of each pair of elements."""
_GROWTH = 1.25
"""Of the cutoff where an atom has fewer neighbors."""
_MOST_PAIRS = 3e6
"""Half a gigabyte; a cell of a hundred atoms has 3e5."""


@entry
@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What tells a crystal from others.

    Parameters
    ----------
    formula : str
        Reduced.
    distances : (pairs of elements, k) float64, angstrom
        For each ordered pair of elements A and B, the mean over atoms A of the distances to the nearest k atoms B.

    Notes
    -----
    Turned, moved, in another cell, or with atoms in another order a crystal has the same distances; they change
    continuously with its atoms. Few crystals that differ share them, mirror images among these.

    References
    ----------
    Widdowson, Mosca, Pulido, Kurlin and Cooper, MATCH Commun. Math. Comput. Chem. 87, 529 (2022): average minimum
    distances; here for each pair of elements.

    Examples
    --------
    >>> from sci.generative import fingerprint, ionic_crystals
    >>> fingerprint(ionic_crystals().configurations[0])
    Fingerprint(FLi, 4 pairs of elements, nearest 2.09 angstrom)
    """

    formula: str
    distances: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Fingerprint({self.formula}, {len(self.distances)} pair{'s' * (len(self.distances) > 1)} of elements, "
            f"nearest {self.distances.min():.3g} angstrom)"
        )

    def difference(self, other: Fingerprint) -> float:
        """Return the largest difference of distances, angstrom; infinity for another formula.

        Parameters
        ----------
        other : Fingerprint

        Returns
        -------
        float
        """
        if self.formula != other.formula or self.distances.shape != other.distances.shape:
            return float("inf")
        return float(np.abs(self.distances - other.distances).max())


@entry
def fingerprint(configuration: Configuration, *, neighbors: int = NEIGHBORS) -> Fingerprint:
    """Return the fingerprint of a crystal.

    Parameters
    ----------
    configuration : Configuration
        Periodic along three axes.
    neighbors : int
        k.

    Returns
    -------
    Fingerprint

    Raises
    ------
    InvalidValueError
        For atoms in one place, names that are no elements, and cells that no neighbor search gets through.
    """
    if neighbors < 1:
        raise InvalidValueError(f"neighbors is {neighbors}; expected a positive integer")
    numbers = atomic_numbers(configuration.species)
    values, owner, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    kinds = len(values)
    cutoff = _GROWTH * (3 * neighbors * configuration.volume / (4 * np.pi * counts.min())) ** (1 / 3)
    while True:
        if len(numbers) ** 2 * 4.19 * cutoff**3 / configuration.volume > _MOST_PAIRS:
            raise InvalidValueError(
                f"the cell of {len(numbers)} atoms and {configuration.volume:.3g} cubic angstrom is so long and thin "
                f"that {neighbors} neighbors need a cutoff of {cutoff:.3g} angstrom; expected a cell of a crystal"
            )
        first, second, shifts = neighbor_pairs(configuration.positions, cutoff, cell=configuration.cell)
        vectors = configuration.positions[second] + shifts @ np.asarray(configuration.cell)
        lengths = np.linalg.norm(vectors - np.asarray(configuration.positions)[first], axis=1)
        row = first * kinds + owner[second]
        order = np.lexsort((lengths, row))
        found = np.bincount(row, minlength=len(numbers) * kinds)
        if found.min() >= neighbors:
            break
        cutoff *= _GROWTH
    starts = np.cumsum(found) - found
    nearest = lengths[order][starts[:, None] + np.arange(neighbors)].reshape(len(numbers), kinds, neighbors)
    mean = np.array([nearest[owner == k].mean(axis=0) for k in range(kinds)])
    return Fingerprint(formula(numbers), mean.reshape(kinds * kinds, neighbors))


@entry
def first_alike(found: Sequence[Fingerprint], known: Sequence[Fingerprint], tolerance: float = 0.1) -> np.ndarray:
    """Return for each fingerprint the number of the first that is like it.

    Parameters
    ----------
    found, known : sequences of Fingerprint
    tolerance : float
        Largest difference of distances, angstrom.

    Returns
    -------
    (n,) int64
        The place in `known`; -1 where none is alike.

    Raises
    ------
    InvalidValueError
    """
    if not tolerance > 0:
        raise InvalidValueError(f"tolerance is {tolerance}; expected a positive number (angstrom)")
    by_formula: dict[str, list[int]] = {}
    for k, one in enumerate(known):
        by_formula.setdefault(one.formula, []).append(k)
    return np.array(
        [
            next((k for k in by_formula.get(one.formula, []) if one.difference(known[k]) <= tolerance), -1)
            for one in found
        ],
        dtype=np.int64,
    )
