"""Pairs of atoms that a force field leaves out of the electrostatics, or scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
from scipy.sparse import csr_array, eye_array

from sci.arguments import entry
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["Exclusions"]

Pairs: TypeAlias = Annotated[np.ndarray, "pairs"]
"""Numbers of atoms, two a row; lists are taken too."""

Scales: TypeAlias = Annotated[np.ndarray | float, "scales"]
"""One factor, or one for each pair."""


@entry
@dataclass(frozen=True, eq=False)
class Exclusions:
    r"""Pairs of atoms whose interaction is left out (scale 0) or scaled (0 < scale < 1).

    A sum over all pairs becomes E - \sum_{(i, j)} (1 - s_ij) q_i q_j K(r_ij): every other pair counts in full, and in a
    periodic cell so do all images but the nearest one.

    Parameters
    ----------
    pairs : (m, 2) int
        Atoms, counted from 0, in any order. A pair may be named twice, with the same scale.
    n : int
        Number of atoms of the system.
    scales : (m,) float64, or float
        What is left of each pair, 0 to 1.

    Raises
    ------
    ShapeError, DTypeError
        For arrays of another shape, or atoms that are no integers.
    InvalidValueError
        For an atom that does not exist, an atom paired with itself, a scale out of range, or a pair with two scales;
        the message names the atoms.

    Notes
    -----
    Arrays are sorted copies on the host: i < j in each row, rows ascending.

    Examples
    --------
    >>> from sci.potentials import Exclusions
    >>> water = Exclusions.from_bonds([[0, 1], [0, 2]], 3)
    >>> water.pairs.tolist(), water.scales.tolist()
    ([[0, 1], [0, 2], [1, 2]], [0.0, 0.0, 0.0])
    """

    pairs: Pairs
    n: int
    scales: Scales = 0.0

    def __post_init__(self) -> None:
        """Check the atoms, and sort the pairs."""
        if self.n < 1:
            raise InvalidValueError(f"n is {self.n}; expected the number of atoms, at least 1")
        pairs = _as_pairs(self.pairs, self.n, "pair")
        scales = _as_scales(self.scales, len(pairs))
        keys = pairs[:, 0] * self.n + pairs[:, 1]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        other = np.flatnonzero(scales != scales[first][inverse])
        if len(other):
            i, j = pairs[other[0]]
            named = scales[keys == keys[other[0]]]
            raise InvalidValueError(f"atoms {i} and {j} have the scales {named[0]:g} and {named[-1]:g}; expected one")
        for name, array in (("pairs", pairs[first]), ("scales", scales[first])):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        scaled = int(np.count_nonzero(self.scales))
        return f"Exclusions({len(self.pairs) - scaled} pairs left out and {scaled} scaled, of {self.n} atoms)"

    @classmethod
    def from_bonds(cls, bonds: Pairs, n: int, *, scale14: float = 1.0) -> Exclusions:
        """Return the exclusions of a bonded system, as most force fields define them.

        Pairs one and two bonds apart (1-2, 1-3) are left out; those three bonds apart (1-4) and not nearer by another
        way, as in a ring, are scaled.

        Parameters
        ----------
        bonds : (b, 2) int
            Bonded atoms, counted from 0.
        n : int
            Number of atoms.
        scale14 : float
            Factor of 1-4 pairs, 0 to 1: 1/1.2 in AMBER, 0.5 in OPLS, 1 in CHARMM, 0 where they are left out.

        Returns
        -------
        Exclusions

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            As the constructor, with the bond.
        """
        bonds = _as_pairs(bonds, n, "bond")
        if not 0 <= scale14 <= 1:
            raise InvalidValueError(f"scale14 is {scale14}; expected a number from 0 to 1, such as 1/1.2 or 0.5")
        ends = np.concatenate([bonds, bonds[:, ::-1]])
        step = csr_array((np.ones(len(ends), dtype=np.int64), (ends[:, 0], ends[:, 1])), shape=(n, n))
        reached, shells = eye_array(n, dtype=np.int64, format="csr"), []
        path = reached
        for _ in range(3):
            path = _pattern(path @ step)
            shells.append(path - path.multiply(reached))
            reached = _pattern(reached + path)
        found = [_upper(shell) for shell in shells]
        scales = [np.full(len(rows), scale) for rows, scale in zip(found, (0.0, 0.0, scale14))]
        return cls(np.concatenate(found), n, np.concatenate(scales))

    def of_atoms(self, atoms: Sequence[int]) -> Exclusions:
        """Return the exclusions among some of the atoms, numbered by their place in `atoms`.

        Parameters
        ----------
        atoms : sequence of int
            Distinct atoms, counted from 0; boolean masks are not taken.

        Returns
        -------
        Exclusions

        Raises
        ------
        InvalidValueError
            For an atom that does not exist or is named twice.
        """
        chosen = np.asarray(atoms)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen):
            raise InvalidValueError(f"atoms holds {chosen.dtype} of shape {chosen.shape}; expected numbers of atoms")
        wrong = chosen[(chosen < 0) | (chosen >= self.n)]
        if len(wrong):
            raise InvalidValueError(f"there is no atom {wrong[0]}; expected 0 to {self.n - 1}")
        place = np.full(self.n, -1)
        place[chosen] = np.arange(len(chosen))
        if np.count_nonzero(place >= 0) < len(chosen):
            raise InvalidValueError("atoms names an atom twice; expected each once")
        kept = (place[self.pairs] >= 0).all(axis=1)
        return Exclusions(place[self.pairs[kept]], len(chosen), self._scales[kept])

    @property
    def _scales(self) -> np.ndarray:
        return np.asarray(self.scales)


def _pattern(matrix: csr_array) -> csr_array:
    """Return the matrix of ones where another is not zero."""
    matrix = csr_array(matrix)
    matrix.eliminate_zeros()
    matrix.data[:] = 1
    return matrix


def _upper(matrix: csr_array) -> np.ndarray:
    found = matrix.tocoo()
    chosen = (found.row < found.col) & (found.data != 0)
    return np.stack([found.row[chosen], found.col[chosen]], axis=1).astype(np.int64)


def _as_pairs(values: Pairs, n: int, what: str) -> np.ndarray:
    """Return checked rows of atoms, the smaller number first."""
    pairs = np.asarray(values)
    if pairs.size == 0:
        return np.empty((0, 2), dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ShapeError(f"{what}s has shape {pairs.shape}; expected two atoms a row, ({what}s, 2)")
    if pairs.dtype.kind not in "iu":
        raise DTypeError(f"{what}s has dtype {pairs.dtype}; expected integers, the numbers of atoms from 0")
    pairs = np.sort(pairs.astype(np.int64), axis=1)
    for bad, why in (
        ((pairs < 0).any(axis=1) | (pairs >= n).any(axis=1), f"there are {n} atoms, 0 to {n - 1}"),
        (pairs[:, 0] == pairs[:, 1], "an atom has no interaction with itself to leave out"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            given = np.asarray(values)[row]
            raise InvalidValueError(f"{what} {row} is of the atoms {given[0]} and {given[1]}; {why}")
    return pairs


def _as_scales(values: Scales, m: int) -> np.ndarray:
    scales = np.asarray(values, dtype=np.float64)
    if scales.ndim == 0:
        scales = np.full(m, float(scales))
    if scales.shape != (m,):
        raise ShapeError(f"scales has shape {scales.shape}; expected one number, or one for each of {m} pairs")
    bad = ~((scales >= 0) & (scales <= 1))
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidValueError(f"the scale of pair {row} is {scales[row]}; expected a number from 0 to 1")
    return scales.copy()
