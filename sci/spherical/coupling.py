"""Coefficients that couple two degrees to a third, Gaunt's and Clebsch and Gordan's: real basis, by quadrature."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.spherical.grids import SphereGrid
from sci.spherical.harmonics import harmonics, harmonics_gradient
from sci.spherical.wigner import points_and_weights

__all__ = [
    "MAX_COUPLED",
    "Entries",
    "Parity",
    "clebsch_gordan",
    "coupled_entries",
    "coupling_paths",
    "gaunt_coefficients",
    "gaunt_matrix",
    "selected_count",
]

Parity = Literal["even", "odd"]
MAX_COUPLED = 32
"""Highest degree that is coupled: at it, tables of one path take 0.2 GB while they are made."""
_ROUNDING = 1e-13
"""Of the largest coefficient of a path: smaller ones are zeros whose reason is no rule of selection.

The smallest others are 2e-4 at degree 12 and 1e-5 at degree 16.
"""


@entry
def gaunt_coefficients(degree1: int, degree2: int, degree3: int) -> np.ndarray:
    """Return the integrals of three real harmonics over the sphere, G_abc = int Y_a Y_b Y_c.

    Parameters
    ----------
    degree1, degree2, degree3 : int
        Degrees l of the three, 0 to 32.

    Returns
    -------
    (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) array
        Orders m from -l to l. Zero unless l1 + l2 + l3 is even and |l1 - l2| <= l3 <= l1 + l2.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Gaunt, Phil. Trans. R. Soc. A 228, 151 (1929); Homeier and Steinborn, J. Mol. Struct. 368, 31 (1996), for real
    harmonics.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import gaunt_coefficients
    >>> (gaunt_coefficients(1, 1, 0)[:, :, 0] * np.sqrt(4 * np.pi)).round(12) + 0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    _check(degree1, degree2, degree3)
    if (degree1 + degree2 + degree3) % 2 or not _is_triangle(degree1, degree2, degree3):
        return np.zeros((2 * degree1 + 1, 2 * degree2 + 1, 2 * degree3 + 1))
    return _integrals(degree1, degree2, degree3).copy()


@entry
def clebsch_gordan(degree1: int, degree2: int, degree3: int) -> np.ndarray:
    """Return the Clebsch-Gordan coefficients C of real harmonics.

    If x and y rotate as harmonics of degrees l1 and l2, then z_c = sum over ab of C_abc x_a y_b as those of l3.

    Parameters
    ----------
    degree1, degree2, degree3 : int
        Degrees l of the three, 0 to 32.

    Returns
    -------
    (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) array
        The sum of C_abc C_abd over ab is 1 for c = d, otherwise 0. All are zero unless |l1 - l2| <= l3 <= l1 + l2.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    There is one invariant coupling of three degrees, up to a factor. For even l1 + l2 + l3 it is a positive multiple
    of the Gaunt coefficients; for odd sums it is one of int Y_c v . (grad Y_a x grad Y_b), the coupling that a product
    of functions cannot make: for degrees 1, 1, 1 it is the cross product over sqrt(2).

    References
    ----------
    Varshalovich, Moskalev and Khersonskii, Quantum Theory of Angular Momentum (1988), chapter 8.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import clebsch_gordan
    >>> x, y = np.eye(3)[2], np.eye(3)[0]  # order is y, z, x
    >>> (np.einsum("abc,a,b->c", clebsch_gordan(1, 1, 1), x, y) * np.sqrt(2)).round(12) + 0
    array([0., 1., 0.])
    """
    _check(degree1, degree2, degree3)
    if not _is_triangle(degree1, degree2, degree3):
        return np.zeros((2 * degree1 + 1, 2 * degree2 + 1, 2 * degree3 + 1))
    return _normalized(degree1, degree2, degree3).copy()


@entry
def coupling_paths(degree1: int, degree2: int, degree3: int, parity: Parity = "even") -> tuple[tuple[int, ...], ...]:
    """Return the paths (l1, l2, l3) up to three highest degrees for which l1 + l2 + l3 is even, or odd.

    Parameters
    ----------
    degree1, degree2, degree3 : int
        Highest degrees.
    parity : "even" or "odd"
        Of the sum. Even paths keep parity: two functions of positions couple to one. Odd paths change it: they couple
        two functions of positions to a pseudotensor.

    Returns
    -------
    tuple of (l1, l2, l3)
        In the order of the weights of `clebsch_gordan_product`.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.spherical import coupling_paths
    >>> coupling_paths(1, 1, 1, "odd")
    ((1, 1, 1),)
    >>> len(coupling_paths(4, 4, 8)), len(coupling_paths(4, 4, 8, "odd"))
    (55, 30)
    """
    _check(degree1, degree2, degree3)
    return tuple(
        (l1, l2, l3)
        for l1 in range(degree1 + 1)
        for l2 in range(degree2 + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, degree3) + 1)
        if (l1 + l2 + l3) % 2 == (parity == "odd")
    )


@dataclass(frozen=True)
class Entries:
    """Coefficients that are not zero: of the places a, b and c of three features, on a path, of a value.

    Parameters
    ----------
    places : (n, 3) int64 array
    paths : (n,) int64 array
    values : (n,) float64 array

    Examples
    --------
    >>> from sci.spherical.coupling import coupled_entries
    >>> coupled_entries(4, 4, 4, "gaunt")
    Entries(1158 of 25 x 25 x 25)
    """

    places: np.ndarray
    paths: np.ndarray
    values: np.ndarray

    def __repr__(self) -> str:
        sizes = self.places.max(axis=0) + 1
        return f"Entries({len(self.values)} of {' x '.join(map(str, sizes))})"

    def sorted_by(self, axis: int) -> Entries:
        """Return them in the order of one of the places, within it of the path."""
        order = np.lexsort((*self.places.T, self.paths, self.places[:, axis]))
        return Entries(self.places[order], self.paths[order], self.values[order])


@functools.lru_cache(maxsize=32)
def coupled_entries(degree1: int, degree2: int, degree3: int, kind: Literal["gaunt", "even", "odd"]) -> Entries:
    """Return the Gaunt coefficients, or those of Clebsch and Gordan on even or odd paths, to three highest degrees."""
    places, paths, values = [], [], []
    make = _integrals if kind == "gaunt" else _normalized
    for number, path in enumerate(coupling_paths(degree1, degree2, degree3, "odd" if kind == "odd" else "even")):
        dense = make(*path)
        found = np.argwhere(dense)
        places.append(found + np.array([ell * ell for ell in path]))
        paths.append(np.full(len(found), number))
        values.append(dense[tuple(found.T)])
    if not places:
        return Entries(np.zeros((0, 3), np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Entries(np.concatenate(places), np.concatenate(paths), np.concatenate(values))


def gaunt_matrix(degree1: int, degree2: int, degree3: int) -> np.ndarray:
    """Return Gaunt coefficients up to three highest degrees: rows c, columns the pairs (a, b) in C order."""
    found = coupled_entries(degree1, degree2, degree3, "gaunt")
    (a, b, c), n1, n2, n3 = found.places.T, *((degree + 1) ** 2 for degree in (degree1, degree2, degree3))
    matrix = np.zeros((n3, n1 * n2))
    matrix[c, a * n2 + b] = found.values
    return matrix


def _check(*degrees: int) -> None:
    for k, degree in enumerate(degrees, 1):
        if not 0 <= degree <= MAX_COUPLED:
            raise InvalidValueError(f"degree{k} is {degree}; expected 0 to {MAX_COUPLED}")


def _is_triangle(l1: int, l2: int, l3: int) -> bool:
    return abs(l1 - l2) <= l3 <= l1 + l2


def _normalized(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return the integrals, scaled so that their squares sum up to 2 l3 + 1."""
    found = _integrals(l1, l2, l3)
    scaled: np.ndarray = found * np.sqrt((2 * l3 + 1) / (found**2).sum())
    return scaled


@functools.lru_cache(maxsize=4096)
def _integrals(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return int Y_a Y_b Y_c of degrees that couple, or int Y_c v . (grad Y_a x grad Y_b) of an odd sum."""
    odd = (l1 + l2 + l3) % 2
    total = l1 + l2 + l3
    n_lon = 4 * (-(-(total + 1) // 4))
    points, weights, (a, b, c) = *_grid(n_lon), (_sampled(ell, n_lon, bool(odd)) for ell in (l1, l2, l3))
    weighted = weights[:, None] * c[0]
    if odd:
        turned = np.cross(points[:, :, None], a[1], axis=1)  # v . (p x q) = (v x p) . q
        pairs = np.einsum("nka,nkb->nab", turned, b[1])
    else:
        pairs = a[0][:, :, None] * b[0][:, None, :]
    n = len(points)
    dense = (pairs.reshape(n, -1).T @ weighted).reshape(2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
    size = np.abs(dense)
    found: np.ndarray = np.where(_selected(l1, l2, l3) & (size > _ROUNDING * size.max()), dense, 0)
    found.setflags(write=False)
    return found


def _selected(l1: int, l2: int, l3: int) -> np.ndarray:
    """Return a mask of integrals over longitude that do not vanish: orders add up, and sines are even in number.

    A path of an odd sum takes an odd number of sines.
    """
    m1, m2, m3 = (np.arange(-ell, ell + 1).reshape(shape) for ell, shape in ((l1, (-1, 1, 1)), (l2, (-1, 1)), (l3, -1)))
    sum_or_difference = (abs(m3) == abs(abs(m1) - abs(m2))) | (abs(m3) == abs(m1) + abs(m2))
    sines = (m1 < 0).astype(int) + (m2 < 0) + (m3 < 0)
    found: np.ndarray = sum_or_difference & (sines % 2 == (l1 + l2 + l3) % 2)
    return found


@functools.lru_cache(maxsize=256)
def selected_count(degree1: int, degree2: int, degree3: int) -> int:
    """Return the number of Gaunt coefficients that no rule of selection makes zero, to three highest degrees."""
    count = 0
    for l1, l2, l3 in coupling_paths(degree1, degree2, degree3):
        m1, m2 = np.abs(np.arange(-l1, l1 + 1))[:, None], np.abs(np.arange(-l2, l2 + 1))
        signs_of_difference = np.where((m1 == m2) & (m1 > 0), 0.5, 1.0)  # for m3 = 0: both cosines or both sines
        by_difference = (abs(m1 - m2) <= l3) * signs_of_difference
        count += int(by_difference.sum() + ((m1 + m2 <= l3) & (m1 > 0) & (m2 > 0)).sum())
    return count


def _grid(n_lon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points and weights of a grid that is exact for degrees below `n_lon`, a multiple of 4."""
    return points_and_weights(SphereGrid(n_lon // 2, n_lon))


@functools.lru_cache(maxsize=64)
def _sampled(ell: int, n_lon: int, slopes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return harmonics of one degree on that grid, and their gradients if asked for."""
    points, own = _grid(n_lon)[0], slice(ell * ell, None)
    if slopes:
        values, gradients = harmonics_gradient(points, ell, False)
        return values[:, own], gradients[:, :, own]
    return harmonics(points, ell, False)[:, own], np.empty(0)
