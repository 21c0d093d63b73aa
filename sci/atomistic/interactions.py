"""Coulomb's energy of one configuration as a quadratic form in its charges: for charges that a training changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erfc

from sci.atomistic.configuration import Configuration
from sci.atomistic.neighbors import neighbor_pairs
from sci.backend import Array
from sci.errors import InvalidValueError
from sci.nn import op
from sci.units import COULOMB

__all__ = ["Interactions", "coulomb_terms", "interactions_of"]

REACH = 5.5
"""Standard widths at which both of Ewald's sums end: exp(-REACH^2) is 7e-14."""


@dataclass(frozen=True, eq=False)
class Interactions:
    r"""Matrices of E = 1/2 q A q over all distances and images, and of its derivatives at fixed charges.

    Parameters
    ----------
    potentials : (n, n) float64, eV/e^2
        A, symmetric: what a charge does at an atom; on the diagonal its own images and the neutralizing background.
    gradients : (3, n, n) float64, eV/e^2/angstrom
        dA_ij / dr_i, of which dA_ij / dr_j is the negative.
    strains : (3, 3, n, n) float64, eV/e^2, optional
        dA / d(strain).
    """

    potentials: np.ndarray
    gradients: np.ndarray
    strains: np.ndarray | None

    def __repr__(self) -> str:
        return f"Interactions({len(self.potentials)} charges{'' if self.strains is None else ', with strains'})"


def interactions_of(configuration: Configuration, *, strain: bool = True) -> Interactions:
    """Return the matrices of Coulomb's energy of a configuration, to 1e-12.

    Parameters
    ----------
    configuration : Configuration
        Isolated, or periodic along three axes.
    strain : bool
        Return derivatives by strain, too, where there are three axes.

    Raises
    ------
    InvalidValueError
        For one or two periodic axes.

    Notes
    -----
    Ewald's sums; 32 or 104 n^2 bytes, and O(n^2.5) operations.
    """
    axes = sum(configuration.periodic or ())
    if axes in (1, 2):
        raise InvalidValueError(
            f"{configuration!r}: charges are not learned from atoms that repeat along {axes} of three axes; expected "
            "none or three, or charges that are given"
        )
    found = _periodic(configuration, strain) if axes else _isolated(np.asarray(configuration.positions))
    strains = None if found.strains is None else COULOMB * found.strains
    return Interactions(COULOMB * found.potentials, COULOMB * found.gradients, strains)


def _isolated(positions: np.ndarray) -> Interactions:
    """Return 1/r and its gradients."""
    vectors = positions[:, None] - positions
    r = np.sqrt((vectors**2).sum(axis=-1))
    np.fill_diagonal(r, np.inf)
    return Interactions(1 / r, np.ascontiguousarray(np.moveaxis(-vectors / r[..., None] ** 3, -1, 0)), None)


def _periodic(configuration: Configuration, strain: bool) -> Interactions:
    """Return Ewald's sums of each pair of atoms."""
    n, volume = configuration.n, configuration.volume
    alpha = math.sqrt(math.pi) * (n / volume**2) ** (1 / 6)
    near, far = _near(configuration, alpha, strain), _far(configuration, alpha, strain)
    potentials = near.potentials + far.potentials - math.pi / (alpha**2 * volume)
    potentials[np.diag_indices(n)] -= 2 * alpha / math.sqrt(math.pi)
    if near.strains is None or far.strains is None:
        return Interactions(potentials, near.gradients + far.gradients, None)
    strains = near.strains + far.strains
    strains[np.diag_indices(3)] += math.pi / (alpha**2 * volume)
    return Interactions(potentials, near.gradients + far.gradients, strains)


def _near(configuration: Configuration, alpha: float, strain: bool) -> Interactions:
    """Return the sums of erfc(alpha r) / r over images."""
    n, positions, cell = configuration.n, np.asarray(configuration.positions), np.asarray(configuration.cell)
    first, second, shifts = neighbor_pairs(positions, REACH / alpha, cell=cell)
    vectors = positions[second] + shifts @ cell - positions[first]
    r = np.sqrt((vectors**2).sum(axis=1))
    value = erfc(alpha * r) / r
    slope = -(value + 2 * alpha / math.sqrt(math.pi) * np.exp(-((alpha * r) ** 2))) / r
    place = first * n + second

    def summed(terms: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.bincount(place, weights=terms, minlength=n * n).reshape(n, n)
        return found

    along = vectors.T * (slope / r)
    gradients = np.stack([summed(-a) for a in along])
    strains = np.stack([np.stack([summed(a * b) for b in vectors.T]) for a in along]) if strain else None
    return Interactions(summed(value), gradients, strains)


def _far(configuration: Configuration, alpha: float, strain: bool) -> Interactions:
    """Return the sums of 4 pi / (V k^2) exp(-k^2 / (4 alpha^2)) cos(k r) over modes."""
    cell, top = np.asarray(configuration.cell), 2 * alpha * REACH
    most = [int(top * length / (2 * math.pi)) for length in np.linalg.norm(cell, axis=1)]
    orders = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    orders = orders[len(orders) // 2 + 1 :]  # one of each pair of opposite modes, without 0
    modes = 2 * math.pi * orders @ np.linalg.inv(cell).T
    squares = (modes**2).sum(axis=1)
    modes, squares = modes[squares <= top**2], squares[squares <= top**2]
    weights = 8 * math.pi / configuration.volume * np.exp(-squares / (4 * alpha**2)) / squares
    phases = np.asarray(configuration.positions) @ modes.T
    cosines, sines = np.cos(phases), np.sin(phases)

    def even(of_modes: np.ndarray) -> np.ndarray:
        found: np.ndarray = (cosines * of_modes) @ cosines.T + (sines * of_modes) @ sines.T
        return found

    def odd(of_modes: np.ndarray) -> np.ndarray:
        half = (cosines * of_modes) @ sines.T
        found: np.ndarray = half - half.T
        return found

    potentials = even(weights)
    gradients = np.stack([odd(weights * k) for k in modes.T])
    if not strain:
        return Interactions(potentials, gradients, None)
    scaled = 2 * weights * (1 / squares + 1 / (4 * alpha**2))
    strains = np.stack([np.stack([even(scaled * a * b) for b in modes.T]) for a in modes.T])
    strains[np.diag_indices(3)] -= potentials
    return Interactions(potentials, gradients, strains)


def _terms_vjp(douts: tuple[Any, Any, Any], residuals: Any) -> tuple[Array]:
    """Return the gradient by the charges: potentials are linear in them, forces and virials quadratic."""
    of_potentials, of_forces, of_virials = douts
    charges, parts = residuals
    found, start = np.zeros(charges.shape), 0
    for k, part in enumerate(parts):
        rows = slice(start, start + len(part.potentials))
        q, start = charges[rows, 0].astype(np.float64), rows.stop
        total = np.zeros(len(q))
        if of_potentials is not None:
            total += part.potentials @ of_potentials[rows, 0]
        if of_forces is not None:
            for slopes, along in zip(part.gradients, of_forces[rows].T):
                total += slopes @ (q * along) - along * (slopes @ q)
        if of_virials is not None and part.strains is not None:
            total += np.tensordot(of_virials[k], part.strains, 2) @ q
        found[rows, 0] = total
    return (found.astype(charges.dtype),)


@op(vjp=_terms_vjp)
def coulomb_terms(charges: Array, *, parts: Sequence[Interactions]) -> tuple[tuple[Array, Array, Array], Any]:
    """Return dE / dq, and forces and virials at fixed charges, of several configurations.

    Parameters
    ----------
    charges : (n, 1) array or variable
        Of all atoms, one configuration after the other.
    parts : sequence of Interactions
        Of each configuration.

    Returns
    -------
    potentials : (n, 1) array or variable
        dE / dq_i = sum_j A_ij q_j, so that E is half the sum of q_i dE / dq_i.
    forces : (n, 3) array or variable
    virials : (configurations, 3, 3) array or variable
        dE / d(strain) at fixed charges; 0 where the strains are not known.
    """
    potentials, forces = np.empty(charges.shape), np.empty((len(charges), 3))
    virials, start = np.zeros((len(parts), 3, 3)), 0
    for k, part in enumerate(parts):
        rows = slice(start, start + len(part.potentials))
        q, start = charges[rows, 0].astype(np.float64), rows.stop
        potentials[rows, 0] = part.potentials @ q
        forces[rows] = -(q * (part.gradients @ q)).T
        if part.strains is not None:
            virials[k] = 0.5 * (part.strains @ q) @ q
    found = tuple(a.astype(charges.dtype, copy=False) for a in (potentials, forces, virials))
    return (found[0], found[1], found[2]), (charges, parts)
