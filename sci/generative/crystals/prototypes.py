"""Ionic crystals of six structure types, made from radii: a set to try models on."""

from __future__ import annotations

import math

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration
from sci.generative.crystals.crystals import Crystals, crystal
from sci.generative.crystals.elements import atomic_numbers

__all__ = ["ionic_crystals"]

RADII = {
    "Li": 0.76,
    "Na": 1.02,
    "K": 1.38,
    "Rb": 1.52,
    "Cs": 1.67,
    "Be": 0.45,
    "Mg": 0.72,
    "Ca": 1.00,
    "Sr": 1.18,
    "Ba": 1.35,
    "Zn": 0.74,
    "Cd": 0.95,
    "Ti": 0.605,
    "Zr": 0.72,
    "F": 1.33,
    "Cl": 1.81,
    "Br": 1.96,
    "I": 2.20,
    "O": 1.40,
    "S": 1.84,
    "Se": 1.98,
    "Te": 2.21,
}
"""Radii of ions with six neighbors, angstrom: Shannon, Acta Cryst. A32, 751 (1976)."""
OF_FOUR = {"Be": 0.27, "Zn": 0.60, "Cd": 0.78}
"""Radii of ions with four neighbors."""
_ONE, _TWO = ("Li", "Na", "K", "Rb", "Cs"), ("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd")
_MINUS_ONE, _MINUS_TWO = ("F", "Cl", "Br", "I"), ("O", "S", "Se", "Te")
_CORNERS = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
"""Of a face-centered cell."""
_TETRAHEDRA = np.array([[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)])


def _cubic(atoms: dict[str, np.ndarray], length: float) -> Configuration:
    symbols = [symbol for symbol, places in atoms.items() for _ in places]
    return crystal(atomic_numbers(symbols).tolist(), np.concatenate(list(atoms.values())), length * np.eye(3))


def _binary(cation: str, anion: str) -> Configuration:
    """Return cesium chloride, zincblende or rock salt, as in nature; BeO, ZnO and MgTe have a hexagonal twin there."""
    if cation == "Cs" and anion in ("Cl", "Br", "I"):
        atoms = {cation: np.zeros((1, 3)), anion: np.full((1, 3), 0.5)}
        return _cubic(atoms, 2 * (RADII[cation] + RADII[anion]) / math.sqrt(3))
    if cation in ("Be", "Zn") or (cation == "Cd" and anion != "O"):
        distance = OF_FOUR[cation] + RADII[anion]
        return _cubic({cation: _CORNERS, anion: _CORNERS + 0.25}, 4 * distance / math.sqrt(3))
    return _cubic({cation: _CORNERS, anion: (_CORNERS + 0.5) % 1}, 2 * (RADII[cation] + RADII[anion]))


def _fluorite(at_corners: str, inside: str) -> Configuration:
    distance = RADII[at_corners] + RADII[inside]
    return _cubic({at_corners: _CORNERS, inside: _TETRAHEDRA}, 4 * distance / math.sqrt(3))


def _perovskite(large: str, small: str, anion: str) -> Configuration:
    faces = np.array([[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    atoms = {large: np.zeros((1, 3)), small: np.full((1, 3), 0.5), anion: faces}
    return _cubic(atoms, 2 * (RADII[small] + RADII[anion]))


@entry
def ionic_crystals() -> Crystals:
    """Return 120 cubic ionic crystals whose size follows from radii of ions that touch.

    AX of rock salt, cesium chloride or zincblende, AX2 of fluorite, A2X of antifluorite, ABX3 of perovskite, in
    conventional cells of 2 to 12 atoms. They are models: some of these compounds have other structures in nature, and
    lengths differ from measured ones by some percent.

    Returns
    -------
    Crystals

    References
    ----------
    Shannon, Acta Cryst. A32, 751 (1976).

    Examples
    --------
    >>> from sci.generative import ionic_crystals
    >>> ionic_crystals()
    Crystals(120 crystals, 1062 atoms of 22 elements)
    """
    pairs = [(c, a) for cations, anions in ((_ONE, _MINUS_ONE), (_TWO, _MINUS_TWO)) for c in cations for a in anions]
    found = [_binary(cation, anion) for cation, anion in pairs]
    found += [_fluorite(cation, anion) for cation in _TWO for anion in _MINUS_ONE]
    found += [_fluorite(anion, cation) for cation in _ONE for anion in _MINUS_TWO]
    found += [_perovskite(a, b, x) for a in ("K", "Rb", "Cs") for b in ("Mg", "Zn", "Ca") for x in ("F", "Cl")]
    found += [_perovskite(a, b, "O") for a in ("Ca", "Sr", "Ba") for b in ("Ti", "Zr")]
    return Crystals(found)
