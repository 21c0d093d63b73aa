"""What exclusions do to potentials and gradients at the particles: a sum over a list of pairs in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sci.backend import Array, namespace, to_device, to_host
from sci.errors import InvalidValueError
from sci.potentials.forcefield.images import least_height, nearest_images, pairs_in_cell
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import COINCIDENT

__all__ = [
    "CLOSE",
    "ClosePairs",
    "PairList",
    "apply_exclusions",
    "close_pairs_of",
    "listed_pairs",
    "pair_terms",
    "pair_virial",
    "radial_terms",
]

CLOSE, WIDER, OF_CELL = 0.2, 1.05, 0.25
"""Angstrom below which a pair that is left out is not subtracted, which would cancel digits, but never summed; how much
farther the limit may move to where no pair is; and the most of the least height of a cell that it may be."""

Apart = Callable[[Array, bool, float], Array]
"""Potentials and gradients at points, without the sources within a distance."""


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs of particles with the vector between their nearest images, on the device of the particles.

    Parameters
    ----------
    first, second : (m,) int64
    vectors : (m, 3) float64, angstrom
        From the second to the first.
    scales : (m,) float64
        What is to be left of each pair.
    """

    first: Array
    second: Array
    vectors: Array
    scales: Array

    def __repr__(self) -> str:
        return f"PairList({len(self.first)} pairs)"

    @property
    def distances(self) -> Array:
        """(m,) float64, angstrom."""
        xp = namespace(self.vectors)
        return xp.sqrt((self.vectors * self.vectors).sum(axis=1))

    def where(self, chosen: Array) -> PairList:
        """Return the pairs that a mask chooses."""
        return PairList(self.first[chosen], self.second[chosen], self.vectors[chosen], self.scales[chosen])


@dataclass(frozen=True, eq=False)
class ClosePairs:
    """Pairs that are never summed, and the listed ones that are subtracted.

    Parameters
    ----------
    near : PairList
        All pairs within `reach`. Those that are not listed have the scale 1: they are left out of sums by distance, and
        counted in full again.
    far : PairList
        The listed pairs beyond `reach`.
    reach : float, angstrom
        No pair is within rounding of it, so that every sum finds the same ones nearer.
    """

    near: PairList
    far: PairList
    reach: float

    def __repr__(self) -> str:
        return f"ClosePairs({len(self.near.first)} within {self.reach:.4g}, {len(self.far.first)} beyond)"


def listed_pairs(particles: Particles) -> PairList | None:
    """Return the pairs of the exclusions of the particles that are not counted in full; None without any.

    Raises
    ------
    InvalidValueError
        For a pair farther apart than half of the cell, whose nearest image is not told by its distance.
    """
    found = particles.exclusions
    if found is None:
        return None
    chosen = np.asarray(found.scales) < 1
    if not chosen.any():
        return None
    xp = namespace(particles.positions)
    first, second = (to_device(np.ascontiguousarray(found.pairs[chosen, side]), xp) for side in (0, 1))
    vectors = particles.positions[first] - particles.positions[second]
    if particles.cell is not None:
        cell = to_host(particles.cell)
        vectors, half = nearest_images(vectors, cell), 0.5 * least_height(cell)
        distances = to_host(xp.sqrt((vectors * vectors).sum(axis=1)))
        if distances.max() > half:
            row = int(distances.argmax())
            i, j = found.pairs[chosen][row]
            raise InvalidValueError(
                f"atoms {i} and {j} (counted from 0), a pair that is left out or scaled, are {distances[row]:.4g} "
                f"angstrom apart, more than half of the cell ({half:.4g}): which image is meant is not told; expected "
                "atoms of one molecule within half of the cell: repeat it"
            )
    return PairList(first, second, vectors, to_device(np.asarray(found.scales)[chosen], xp))


def close_pairs_of(particles: Particles, listed: PairList | None) -> ClosePairs | None:
    """Return the pairs within about `CLOSE` of each other, if one of them is listed; None otherwise."""
    if listed is None:
        return None
    cell = None if particles.cell is None else to_host(particles.cell)
    least = CLOSE if cell is None else min(CLOSE, OF_CELL * least_height(cell))
    if not bool((listed.distances < WIDER * least).any()):
        return None
    xp, n = namespace(particles.positions), particles.n
    places = to_host(particles.positions)
    if cell is None:
        pairs = cKDTree(places).query_pairs(WIDER * least, output_type="ndarray").astype(np.int64)
        vectors = places[pairs[:, 0]] - places[pairs[:, 1]]
    else:
        pairs, vectors = pairs_in_cell(places, cell, WIDER * least)
    distances = np.linalg.norm(vectors, axis=1)
    reach = _between(distances, least)
    near = distances < reach
    pairs, vectors = pairs[near], vectors[near]
    keys = to_host(listed.first) * n + to_host(listed.second)  # ascending, the smaller number first
    turned = pairs[:, 0] > pairs[:, 1]
    pairs, vectors = np.sort(pairs, axis=1), np.where(turned[:, None], -vectors, vectors)
    wanted = pairs[:, 0] * n + pairs[:, 1]
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[place] == wanted
    if not found.any():
        return None
    scales = np.where(found, to_host(listed.scales)[place], 1.0)
    beyond = listed.where(to_device(~np.isin(keys, wanted), xp))
    arrays = (to_device(np.ascontiguousarray(a), xp) for a in (*pairs.T, vectors, scales))
    return ClosePairs(PairList(*arrays), beyond, reach)


def _between(distances: np.ndarray, least: float) -> float:
    """Return the middle of the widest gap between distances from `least` on, up to `WIDER` times as much."""
    inside = distances[(distances >= least) & (distances <= WIDER * least)]
    edges = np.concatenate([[least], np.sort(inside), [WIDER * least]])
    gaps = np.diff(edges)
    widest = int(gaps.argmax())
    return float(edges[widest] + 0.5 * gaps[widest])


def apply_exclusions(
    found: Array, particles: Particles, kernel: RadialKernel, apart: Apart, rows: Array | None = None
) -> Array:
    """Return potentials, or potentials and gradients, at particles without what their exclusions leave out.

    Parameters
    ----------
    found : (n, 1) or (n, 4) float64
        Sums over all others, however they were made.
    particles : Particles
    kernel : Coulomb or Yukawa
    apart : callable
        `apart(points, gradient, distance)` gives the same sums at points, without the sources within the distance.
    rows : (s,) int64, optional
        The particles that `found` holds the values of, (s, 1) or (s, 4); all of them unless given.

    Returns
    -------
    (n, 1) or (n, 4) float64

    Notes
    -----
    Pairs beyond `CLOSE` are subtracted: the sum holds them to its own error, and no digits are lost. Nearer
    ones, such as the shells of polarizable atoms, are summed anew without each other.
    """
    listed = listed_pairs(particles)
    if listed is None:
        return found
    xp, width = namespace(found), found.shape[1]
    rows = xp.arange(particles.n) if rows is None else rows
    close = close_pairs_of(particles, listed)
    if close is None:
        return found + pair_terms(listed, particles.charges, kernel, width)[rows]
    found = found.copy()
    anew = xp.flatnonzero(xp.isin(rows, xp.concatenate([close.near.first, close.near.second])))
    if len(anew):
        found[anew] = apart(xp.ascontiguousarray(particles.positions[rows[anew]]), width == 4, close.reach)
    near = close.near  # what is left of pairs that the sum lacks
    terms = _scattered(near, particles.charges, *radial_terms(near, kernel, near.scales), width)
    terms += pair_terms(close.far, particles.charges, kernel, width)
    return found + terms[rows]


def radial_terms(pairs: PairList, kernel: RadialKernel, weights: Array) -> tuple[Array, Array]:
    """Return w K(r) and w K'(r) / r of each pair for weights w (m,); 0 where the weight is, at any distance."""
    xp = namespace(weights)
    r = xp.where(weights == 0, 1.0, pairs.distances)
    value = weights * xp.exp(-kernel.kappa * r) / r
    return value, -value * (1 / r + kernel.kappa) / r


def pair_terms(pairs: PairList, charges: Array, kernel: RadialKernel, width: int) -> Array:
    """Return -(1 - s) q_j K(r) summed over the pairs of each particle, (n, 1), or with the gradient, (n, 4)."""
    summed = pairs.distances > COINCIDENT  # sums leave nearer ones out
    weights = namespace(charges).where(summed, pairs.scales - 1, 0.0)
    return _scattered(pairs, charges, *radial_terms(pairs, kernel, weights), width)


def _scattered(pairs: PairList, charges: Array, value: Array, slope: Array, width: int) -> Array:
    """Return values and gradients that each of a pair feels of the other's charge, summed for each particle."""
    xp, n = namespace(charges), len(charges)
    out = xp.zeros((n, width))
    for own, other, sign in ((pairs.first, pairs.second, 1.0), (pairs.second, pairs.first, -1.0)):
        q = charges[other]
        columns = [q * value, *((sign * q * slope * pairs.vectors[:, axis]) for axis in range(3 if width == 4 else 0))]
        for column, weights in enumerate(columns):
            out[:, column] += xp.bincount(own, weights=weights, minlength=n)
    return out


def pair_virial(pairs: PairList, charges: Array, factor: Array) -> np.ndarray:
    """Return sum q_i q_j factor d (x) d over pairs, (3, 3), with factor = K'(r) / r: the derivative by strain."""
    weights = charges[pairs.first] * charges[pairs.second] * factor
    found: np.ndarray = to_host((weights[:, None] * pairs.vectors).T @ pairs.vectors)
    return found
