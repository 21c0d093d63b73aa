"""The elements: symbols, masses, oxidation states that are common, and which are metals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from sci.errors import InvalidValueError

__all__ = ["COMMON_STATES", "MASSES", "METALS", "SYMBOLS", "atomic_numbers"]

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo
Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl
Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
_MASSES = """
1.008 4.003 6.94 9.012 10.81 12.011 14.007 15.999 18.998 20.18 22.99 24.305 26.982 28.085 30.974 32.06 35.45 39.948
39.098 40.078 44.956 47.867 50.941 51.996 54.938 55.845 58.933 58.693 63.546 65.38 69.723 72.63 74.922 78.971 79.904
83.798 85.468 87.62 88.906 91.224 92.906 95.95 97.907 101.07 102.91 106.42 107.87 112.41 114.82 118.71 121.76 127.6
126.9 131.29 132.91 137.33 138.91 140.12 140.91 144.24 144.91 150.36 151.96 157.25 158.93 162.5 164.93 167.26 168.93
173.05 174.97 178.49 180.95 183.84 186.21 190.23 192.22 195.08 196.97 200.59 204.38 207.2 208.98 208.98 209.99
222.02 223.02 226.03 227.03 232.04 231.04 238.03 237.05 244.06 243.06 247.07 247.07 251.08 252.08 257.1 258.1 259.1
262.11 267.12 268.13 271.13 270.13 269.13 278.16 281.17 281.17 285.18 286.18 289.19 289.19 293.2 293.21 294.21
"""
_STATES = """
H-1,+1 Li+1 Be+2 B+3 C-4,-3,-2,-1,+0,+1,+2,+3,+4 N-3,+3,+5 O-2 F-1 Na+1 Mg+2 Al+3 Si-4,+4 P-3,+3,+5 S-2,+2,+4,+6
Cl-1,+1,+3,+5,+7 K+1 Ca+2 Sc+3 Ti+4 V+5 Cr+3,+6 Mn+2,+4,+7 Fe+2,+3 Co+2,+3 Ni+2 Cu+2 Zn+2 Ga+3 Ge-4,+2,+4 As-3,+3,+5
Se-2,+2,+4,+6 Br-1,+1,+3,+5 Kr+2 Rb+1 Sr+2 Y+3 Zr+4 Nb+5 Mo+4,+6 Tc+4,+7 Ru+3,+4 Rh+3 Pd+2,+4 Ag+1 Cd+2 In+3
Sn-4,+2,+4 Sb-3,+3,+5 Te-2,+2,+4,+6 I-1,+1,+3,+5,+7 Xe+2,+4,+6 Cs+1 Ba+2 La+3 Ce+3,+4 Pr+3 Nd+3 Pm+3 Sm+3 Eu+2,+3
Gd+3 Tb+3 Dy+3 Ho+3 Er+3 Tm+3 Yb+3 Lu+3 Hf+4 Ta+5 W+4,+6 Re+4,+7 Os+4 Ir+3,+4 Pt+2,+4 Au+3 Hg+1,+2 Tl+1,+3 Pb+2,+4
Bi+3 Po-2,+2,+4 At-1,+1 Fr+1 Ra+2 Ac+3 Th+4 Pa+5 U+6 Np+5 Pu+4 Am+3 Cm+3 Bk+3 Cf+3 Es+3 Fm+3 Md+3 No+3 Lr+3 Rf+4
"""
_NONMETALS = """
H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe Po At Rn Nh Fl Mc Lv Ts Og
"""

SYMBOLS: tuple[str, ...] = tuple(_SYMBOLS.split())
"""Symbols of the 118 elements in the order of their numbers, from 1."""
MASSES: tuple[float, ...] = tuple(map(float, _MASSES.split()))
"""Atomic masses in u: IUPAC's of 2016, that of a long-lived isotope where there is none."""
METALS = frozenset(SYMBOLS) - frozenset(_NONMETALS.split())
"""Symbols of metals, as `Element.is_metal` of pymatgen: without B, Si, Ge, As, Sb, Te, Po and At."""


def _states() -> dict[str, tuple[int, ...]]:
    found = {}
    for word in _STATES.split():
        symbol, numbers = re.fullmatch(r"([A-Z][a-z]?)(.*)", word).groups()  # type: ignore[union-attr]
        found[symbol] = tuple(int(q) for q in numbers.split(","))
    return found


COMMON_STATES: dict[str, tuple[int, ...]] = _states()
"""Common oxidation states by symbol, as `Element.common_oxidation_states` of the PyPI library pymatgen (pymatgen-core
2026.10.16); noble gases but Kr and Xe, and elements above Rf, have none."""


def atomic_numbers(symbols: Sequence[str], what: str = "") -> np.ndarray:
    """Return the numbers of elements.

    Parameters
    ----------
    symbols : sequence of n str
    what : str
        Begins the error, like "crystal 3: ".

    Returns
    -------
    (n,) int64

    Raises
    ------
    InvalidValueError
        For a name that is no element's symbol, with the number of its atom.
    """
    table = {symbol: z for z, symbol in enumerate(SYMBOLS, 1)}
    for k, symbol in enumerate(symbols):
        if symbol not in table:
            raise InvalidValueError(
                f"{what}atom {k} (counted from 0) is of {symbol!r}, no symbol of an element; expected one like Na"
            )
    return np.array([table[symbol] for symbol in symbols], dtype=np.int64)
