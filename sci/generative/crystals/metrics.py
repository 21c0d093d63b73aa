"""Measures of generated crystals: do they make sense, and are they new?"""

from __future__ import annotations

import importlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import Computed, collective_entry, entry
from sci.atomistic import Configuration, neighbor_pairs
from sci.distributed import Comm, agreed, allgather_rows, split
from sci.distribution import install_command
from sci.errors import InvalidValueError, MissingDependencyError, SciError, ShapeError
from sci.generative.crystals.crystals import Crystals, require_periodic
from sci.generative.crystals.elements import COMMON_STATES, METALS, SYMBOLS, atomic_numbers
from sci.generative.crystals.fingerprints import NEIGHBORS, Fingerprint, fingerprint, first_alike

__all__ = ["CrystalReport", "atoms_apart", "evaluate_crystals", "neutral_composition", "space_groups"]

CLOSE = 0.5
"""Angstrom: atoms nearer than that are none."""


@entry
def neutral_composition(numbers: Sequence[int] | np.ndarray, *, alloys: bool = True) -> bool:
    """Judge a composition: common oxidation states of its elements, one each, can add up to zero.

    Parameters
    ----------
    numbers : (n,) int
        Atomic numbers of the atoms.
    alloys : bool
        Metals alone pass, as they need no charges. A single element always does.

    Returns
    -------
    bool

    Raises
    ------
    ShapeError, InvalidValueError
        For numbers of no element, and no atom at all.

    References
    ----------
    Davies et al., SMACT, J. Open Source Softw. 4, 1361 (2019), and Xie et al., CDVAE, arXiv:2110.06197, appendix, for
    the rule; the states are those of `COMMON_STATES` (pymatgen). SMACT's own list has more, and so lets more pass.

    Examples
    --------
    >>> from sci.generative import neutral_composition
    >>> neutral_composition([11, 17]), neutral_composition([11, 17, 17])
    (True, False)
    """
    found = np.asarray(numbers)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not len(found):
        raise ShapeError(
            f"numbers of shape {found.shape} and dtype {found.dtype}; expected (n,) integers, one at least"
        )
    if not 1 <= found.min() <= found.max() <= len(SYMBOLS):
        raise InvalidValueError(f"numbers from {found.min()} to {found.max()}; expected those of elements, 1 to 118")
    values, counts = np.unique(found, return_counts=True)
    symbols = [SYMBOLS[z - 1] for z in values]
    if len(symbols) == 1 or (alloys and METALS.issuperset(symbols)):
        return True
    sums = {0}
    for symbol, count in zip(symbols, counts.tolist()):
        sums = {total + count * state for total in sums for state in COMMON_STATES.get(symbol, ())}
    return 0 in sums


@entry
def atoms_apart(configuration: Configuration, *, distance: float = CLOSE) -> bool:
    """Judge a crystal: no two atoms, or images of atoms, are nearer than a distance.

    Parameters
    ----------
    configuration : Configuration
    distance : float
        Angstrom.

    Returns
    -------
    bool
        False, too, for a cell whose images within the distance are beyond counting.

    Raises
    ------
    InvalidValueError
        For a distance that is not positive.
    """
    if not distance > 0:
        raise InvalidValueError(f"distance is {distance}; expected a positive number (angstrom)")
    try:
        first, _, _ = neighbor_pairs(
            configuration.positions, distance, cell=configuration.cell, periodic=configuration.periodic
        )
    except InvalidValueError:  # two in one place, or a cell far below the distance
        return False
    return len(first) == 0


@entry
def space_groups(crystals: Sequence[Configuration], *, tolerance: float = 0.01) -> tuple[int, ...]:
    """Return the number of the space group of each crystal.

    Parameters
    ----------
    crystals : sequence of Configuration
        Periodic along three axes.
    tolerance : float
        Angstrom by which atoms may miss their places.

    Returns
    -------
    tuple of int
        1 to 230; 0 where none was found.

    Raises
    ------
    MissingDependencyError
        Without spglib (extra `structures`).
    """
    spglib, found = require_spglib(), []
    for one in crystals:
        cell = np.asarray(one.cell)
        fractions = np.linalg.solve(cell.T, np.asarray(one.positions).T).T
        given = (cell, fractions, atomic_numbers(one.species))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the way in which spglib reports failures
            try:
                data = spglib.get_symmetry_dataset(given, symprec=tolerance)
            except getattr(spglib, "SpglibError", RuntimeError):  # newer versions raise where older ones return None
                data = None
        found.append(0 if data is None else int(data.number))
    return tuple(found)


def require_spglib() -> Any:
    """Return the module spglib.

    Raises
    ------
    MissingDependencyError
    """
    try:
        return importlib.import_module("spglib")
    except ImportError as error:
        raise MissingDependencyError(f"space groups need spglib: {install_command('structures')}") from error


@entry
@dataclass(frozen=True)
class CrystalReport:
    """Measures of crystals.

    Parameters
    ----------
    number : int
        Draws, those that became no crystal included.
    validity : float
        Part of the draws whose atoms are 0.5 angstrom apart.
    composition_validity : float
        Part of the draws whose composition is neutral, see `neutral_composition`.
    uniqueness : float
        Different ones among those that are apart; NaN without any.
    novelty : float or None
        Part of those that is like none of the training.
    density : (float, float)
        Mean and deviation, g/cm^3, of those that are apart.
    density_distance : float or None
        First Wasserstein distance of their densities from those of the training, g/cm^3.
    space_groups : dict of int to int, or None
        How many of those that are apart have which space group.

    Examples
    --------
    >>> from sci.generative import evaluate_crystals, ionic_crystals
    >>> report = evaluate_crystals(ionic_crystals().configurations[:4], draws=5)  # one draw became no crystal
    >>> report.number, report.validity, report.novelty
    (5, 0.8, None)
    """

    number: int
    validity: float
    composition_validity: float
    uniqueness: Computed
    novelty: Computed | None
    density: tuple[Computed, Computed]
    density_distance: float | None
    space_groups: Mapping[int, int] | None

    def __repr__(self) -> str:
        novel = "" if self.novelty is None else f", novel {self.novelty:.3g}"
        return (
            f"CrystalReport({self.number} draws: valid {self.validity:.3g}, "
            f"compositions {self.composition_validity:.3g}, unique {self.uniqueness:.3g}{novel})"
        )


@collective_entry
def evaluate_crystals(
    configurations: Sequence[Configuration],
    *,
    training: Crystals | None = None,
    draws: int | None = None,
    distance: float = CLOSE,
    tolerance: float = 0.1,
    symmetry: float | None = None,
    comm: Comm = None,
) -> CrystalReport:
    """Measure crystals: validity, neutral compositions, how many differ, and how many are new.

    Parameters
    ----------
    configurations : sequence of Configuration
        Periodic along three axes, of elements.
    training : Crystals, optional
        Where novelty and densities are measured from.
    draws : int, optional
        Draws that they are of, where some became no crystal: those count as not valid.
    distance : float
        Angstrom; nearer atoms make a crystal invalid.
    tolerance : float
        Angstrom, of distances of fingerprints: crystals that differ by less are alike.
    symmetry : float, optional
        Tolerance of space groups, angstrom; not looked for unless given.
    comm : mpi4py communicator, optional
        The ranks share the fingerprints.

    Returns
    -------
    CrystalReport

    Raises
    ------
    InvalidValueError, MissingDependencyError
        On every rank.

    Notes
    -----
    Collective over `comm`.

    Examples
    --------
    >>> from sci.generative import evaluate_crystals, ionic_crystals
    >>> salts = ionic_crystals()
    >>> evaluate_crystals(salts.configurations[:20], training=salts)
    CrystalReport(20 draws: valid 1, compositions 1, unique 1, novel 0)
    """
    with agreed(comm, "evaluate_crystals") as agreement:
        agreement.same(configurations=list(configurations), training=None if training is None else list(training))
        agreement.same(draws=draws, distance=float(distance), tolerance=float(tolerance), symmetry=symmetry)
        if symmetry is not None:
            require_spglib()
        number = len(configurations) if draws is None else draws
        if number < max(1, len(configurations)):
            raise InvalidValueError(
                f"{number} draws with {len(configurations)} crystals; expected as many at least, and 1"
            )
        for k, one in enumerate(configurations):
            require_periodic(one, f"crystal {k} (counted from 0): ")
        numbers = [atomic_numbers(one.species, f"crystal {k}: ") for k, one in enumerate(configurations)]
    apart = [one for one in configurations if atoms_apart(one, distance=distance)]
    prints = _fingerprints(apart, comm)
    known = [] if training is None else _fingerprints(list(training), comm)
    with agreed(comm, "evaluate_crystals"):
        same = first_alike(prints, prints, tolerance)
        unique = float(np.mean(same == np.arange(len(prints)))) if prints else float("nan")
        new = float(np.mean(first_alike(prints, known, tolerance) < 0)) if prints else float("nan")
        densities = Crystals(apart).densities if apart else np.array([np.nan])
        groups = None if symmetry is None else dict(Counter(space_groups(apart, tolerance=symmetry)))
        shift = None
        if training is not None and apart:
            from scipy.stats import wasserstein_distance  # whose import takes as long as that of the library

            shift = float(wasserstein_distance(densities, training.densities))
    return CrystalReport(
        number,
        len(apart) / number,
        sum(map(neutral_composition, numbers)) / number,
        unique,
        None if training is None else new,
        (float(densities.mean()), float(densities.std())),
        shift,
        groups,
    )


def _fingerprints(crystals: Sequence[Configuration], comm: Comm) -> list[Fingerprint]:
    """Return the fingerprints of crystals, of which each rank computes a share; a crystal without one is its own."""
    own = range(len(crystals))[split(len(crystals), comm)]
    found: list[Fingerprint | None] = []
    for k in own:
        try:
            found.append(fingerprint(crystals[k]))
        except SciError:
            found.append(None)
    counts = allgather_rows(np.array([0 if f is None else len(f.distances) for f in found], np.int64), comm)
    rows = [f.distances for f in found if f is not None]
    tables = allgather_rows(np.concatenate([np.empty((0, NEIGHBORS)), *rows]), comm)
    ends = np.cumsum(counts)
    formulas = [Crystals([one]).formulas[0] if counts[k] else f"no {k}" for k, one in enumerate(crystals)]
    return [Fingerprint(formulas[k], tables[ends[k] - counts[k] : ends[k]]) for k in range(len(crystals))]
