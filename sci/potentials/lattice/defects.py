"""Defects of a crystal, and what they change of the charges on its sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import as_finite
from sci.errors import InvalidValueError

__all__ = ["Defect", "Interstitial", "Substitution", "Vacancy", "check_site", "site_changes"]


@entry
@dataclass(frozen=True)
class Vacancy:
    """A missing ion: particle `particle` of the cell with indices `cell`.

    Parameters
    ----------
    particle : int
        Its number in the cell.
    cell : (int, int, int)
        Indices of the cell.

    Examples
    --------
    >>> from sci.potentials import Vacancy
    >>> Vacancy(0, (2, 2, 2))
    Vacancy(particle=0, cell=(2, 2, 2))
    """

    particle: int
    cell: tuple[int, int, int]


@entry
@dataclass(frozen=True)
class Substitution:
    """An ion of another charge, in e, on the site of particle `particle` of the cell with indices `cell`.

    Parameters
    ----------
    particle : int
        Its number in the cell.
    cell : (int, int, int)
        Indices of the cell.
    charge : float
        The new charge, in e.

    Examples
    --------
    >>> from sci.potentials import Substitution
    >>> Substitution(0, (2, 2, 2), 2.0)
    Substitution(particle=0, cell=(2, 2, 2), charge=2.0)
    """

    particle: int
    cell: tuple[int, int, int]
    charge: float


@entry
@dataclass(frozen=True)
class Interstitial:
    """An additional ion at `position`, angstrom, with `charge`, e.

    Parameters
    ----------
    position : (float, float, float)
        In angstrom.
    charge : float
        In e.

    Examples
    --------
    >>> from sci.potentials import Interstitial
    >>> Interstitial((1.4, 1.4, 1.4), 1.0)
    Interstitial(position=(1.4, 1.4, 1.4), charge=1.0)
    """

    position: tuple[float, float, float]
    charge: float


Defect = Vacancy | Substitution | Interstitial


def check_site(particle: int, cell: tuple[int, ...], weights: Sequence[np.ndarray]) -> float:
    """Return the weight of a site, or raise if it does not exist."""
    n, counts = len(weights[0]), tuple(w.shape[1] for w in weights)
    if not 0 <= particle < n or len(cell) != 3 or not all(0 <= i < c for i, c in zip(cell, counts)):
        raise InvalidValueError(
            f"there is no particle {particle} in cell {cell}; expected 0 to {n - 1}, and cells below {counts}"
        )
    return math.prod(float(w[particle, i]) for w, i in zip(weights, cell))


def site_changes(
    defects: Sequence[Defect], charges: np.ndarray, weights: Sequence[np.ndarray]
) -> dict[tuple[int, tuple[int, int, int]], float]:
    """Return the charge that the defects add to each changed site."""
    changes: dict[tuple[int, tuple[int, int, int]], float] = {}
    for defect in defects:
        if isinstance(defect, Interstitial):
            as_finite([*defect.position, defect.charge], "an Interstitial", shape=(4,))
            continue
        site = (defect.particle, defect.cell)
        weight = check_site(*site, weights)
        if site in changes:
            raise InvalidValueError(f"two defects change particle {site[0]} of cell {site[1]}; expected at most one")
        new = (
            float(as_finite(defect.charge, "Substitution.charge", shape=()))
            if isinstance(defect, Substitution)
            else 0.0
        )
        changes[site] = weight * (new - float(charges[defect.particle]))
    return changes
