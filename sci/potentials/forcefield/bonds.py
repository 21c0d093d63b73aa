"""Bonds from distances: two atoms are bonded where they lie closer than the sum of their covalent radii."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from sci.arguments import entry
from sci.backend import ArrayLike, as_finite, as_points, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.potentials.forcefield.images import least_height, pairs_in_cell

__all__ = ["COVALENT_RADII", "bonds_by_distance"]

_TABLE = """
H 31 He 28 Li 128 Be 96 B 84 C 76 N 71 O 66 F 57 Ne 58 Na 166 Mg 141 Al 121 Si 111 P 107 S 105 Cl 102 Ar 106 K 203
Ca 176 Sc 170 Ti 160 V 153 Cr 139 Mn 139 Fe 132 Co 126 Ni 124 Cu 132 Zn 122 Ga 122 Ge 120 As 119 Se 120 Br 120 Kr
116 Rb 220 Sr 195 Y 190 Zr 175 Nb 164 Mo 154 Tc 147 Ru 146 Rh 142 Pd 139 Ag 145 Cd 144 In 142 Sn 139 Sb 139 Te 138 I
139 Xe 140 Cs 244 Ba 215 La 207 Ce 204 Pr 203 Nd 201 Pm 199 Sm 198 Eu 198 Gd 196 Tb 194 Dy 192 Ho 192 Er 189 Tm 190
Yb 187 Lu 187 Hf 175 Ta 170 W 162 Re 151 Os 144 Ir 141 Pt 136 Au 136 Hg 132 Tl 145 Pb 146 Bi 148 Po 140 At 150 Rn
150 Fr 260 Ra 221 Ac 215 Th 206 Pa 200 U 196 Np 190 Pu 187 Am 180 Cm 169
"""
"""Elements and their radii in hundredths of an angstrom."""
_WORDS = _TABLE.split()
COVALENT_RADII: dict[str, float] = {name: int(r) / 100 for name, r in zip(_WORDS[::2], _WORDS[1::2])}
"""Covalent radii in angstrom by element (Cordero et al., Dalton Trans. 2008, 2832)."""

_IONS = ("Li", "Na", "K", "Rb", "Cs", "Fr", "Be", "Mg", "Ca", "Sr", "Ba", "Ra")
"""Elements that are ions in force fields: their radii would bond them to the water around."""
_LEAST = 0.4
"""Angstrom; nearer atoms are alternatives or shells, not bonded ones."""


@entry
def bonds_by_distance(
    positions: ArrayLike, elements: Sequence[str], *, cell: ArrayLike | None = None, tolerance: float = 0.45
) -> np.ndarray:
    """Return the bonds that distances tell: r_ij < R_i + R_j + tolerance, R the covalent radii.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
    elements : sequence of n str
        Chemical symbols. Alkali and alkaline earth metals count as ions, without bonds.
    cell : (3, 3) float64, angstrom, optional
        Bonds across the faces of this periodic cell are found too.
    tolerance : float
        Angstrom.

    Returns
    -------
    (b, 2) int64
        Atoms counted from 0, i < j, rows ascending.

    Raises
    ------
    ShapeError, InvalidValueError
        For another number of elements than of atoms, an unknown element, or a bond that would be longer than half of
        the cell; the message names the atom.

    References
    ----------
    Cordero et al., Dalton Trans. 2008, 2832, for the radii.

    Examples
    --------
    >>> from sci.potentials import bonds_by_distance
    >>> bonds_by_distance([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0], [2.4, 0, 0]], ["O", "H", "H", "Na"]).tolist()
    [[0, 1], [0, 2]]
    """
    places = to_host(as_points(positions, "positions"))
    if len(elements) != len(places):
        raise ShapeError(f"there are {len(elements)} elements and {len(places)} atoms; expected one for each atom")
    if not 0 <= tolerance < np.inf:
        raise InvalidValueError(f"tolerance is {tolerance}; expected a number of angstrom that is not negative")
    radii = np.empty(len(places))
    for atom, element in enumerate(elements):
        radius = COVALENT_RADII.get(str(element).capitalize())
        if radius is None:
            raise InvalidValueError(
                f"the element of atom {atom} is {element!r}; expected a chemical symbol such as 'C'"
            )
        radii[atom] = -np.inf if str(element).capitalize() in _IONS else radius
    bonding = np.flatnonzero(np.isfinite(radii))
    if len(bonding) < 2:
        return np.empty((0, 2), dtype=np.int64)
    reach = 2 * float(radii[bonding].max()) + tolerance
    if cell is None:
        pairs = cKDTree(places[bonding]).query_pairs(reach, output_type="ndarray")
        vectors = places[bonding[pairs[:, 0]]] - places[bonding[pairs[:, 1]]]
    else:
        periods = to_host(as_finite(cell, "cell", shape=(3, 3)))
        if reach > 0.5 * least_height(periods):
            atom = int(bonding[np.argmax(radii[bonding])])
            raise InvalidValueError(
                f"a bond of atom {atom} ({elements[atom]}) may be {reach:.3g} angstrom long, more than half the cell "
                f"({0.5 * least_height(periods):.3g}); repeat the cell, or pass the bonds"
            )
        pairs, vectors = pairs_in_cell(places[bonding], periods, reach)
    distances = np.linalg.norm(vectors, axis=1)
    longest = radii[bonding[pairs]].sum(axis=1) + tolerance
    found = np.sort(bonding[pairs[(distances < longest) & (distances > _LEAST)]], axis=1)
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))], dtype=np.int64)
