"""Charges and point dipoles: potentials, fields, energies, forces and torques, isolated and periodic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from sci.arguments import entry
from sci.backend import ArrayLike, as_finite, as_points, namespace
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.potentials.ewald import (
    complement,
    ewald_split,
    mode_counts,
    mode_influence,
    neutralizing_constant,
    screened_tolerance,
    short_slope,
    structure_factors,
)
from sci.potentials.forcefield.corrections import PairList, close_pairs_of, listed_pairs
from sci.potentials.forcefield.images import cell_images, wrapped, wrapped_fractions
from sci.potentials.measured.error import MeasuredError, compare, energy_error
from sci.potentials.measured.places import particle_sample
from sci.potentials.particles import Particles, with_short_periods, without_overflow
from sci.potentials.radial.kernels import Coulomb, GaussianSum, RadialKernel
from sci.potentials.radial.split import COINCIDENT, Split

__all__ = ["DipoleResult", "dipole_energy_and_forces", "dipole_field"]

BLOCK = 1 << 20
"""Pairs, or products of points and modes, whose arrays exist at once."""
LEAST_SPLIT = 5.0
"""The exponent times the edge of a cell with few charges."""
SAMPLE, EXACT_SHARE, ANOTHER = 256, 0.01, 1.25
"""Particles that errors are measured at, and tolerance and exponent of the sum that is taken for exact, over those."""
_QUANTITIES = ("energy", "forces", "torques", "potential", "field")
SYMMETRIC = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Entries of a symmetric matrix, in the order of its columns here."""


@dataclass(frozen=True, eq=False)
class DipoleJob:
    """Charges and dipoles, and how they were summed.

    Parameters
    ----------
    particles : Particles
    dipoles : (n, 3) float64, e angstrom
    tol : float
    kernel : Coulomb or Yukawa
    """

    particles: Particles
    dipoles: np.ndarray
    tol: float
    kernel: RadialKernel

    def __repr__(self) -> str:
        return f"DipoleJob({self.particles!r}, tol={self.tol:g}, {self.kernel!r})"

    def sample(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return some particles, their weights and clusters, and derivatives there (s, 10), to more digits."""
        p, dipoles = self.particles, self.dipoles
        charges = np.asarray(p.charges)
        largest = np.abs(charges).max(), np.linalg.norm(dipoles, axis=1).max()
        sizes = sum(a / (b or 1.0) for a, b in zip((np.abs(charges), np.linalg.norm(dipoles, axis=1)), largest))
        rows, weights, clusters = particle_sample(p.positions, sizes, SAMPLE)
        tol = max(EXACT_SHARE * self.tol, 1e-14)
        if p.cell is None:
            exact = _all_pairs(p, dipoles, p.positions[rows], self.kernel, 4, _least(p), np.longdouble)
        else:
            exact = _sums(p, dipoles, p.positions[rows], tol, self.kernel, True, ANOTHER)
        exact += _left_out(p, dipoles, self.kernel, tol, ANOTHER)[rows]
        return rows, weights, clusters, exact


@entry
@dataclass(frozen=True, eq=False)
class DipoleResult:
    """Energy of charges and dipoles, with the forces and torques on them.

    Parameters
    ----------
    energy : float, e^2/angstrom
        Of a cell: of one cell.
    forces : (n, 3) float64, e^2/angstrom^2
    torques : (n, 3) float64, e^2/angstrom
        mu x E about each particle.
    potentials : (n,) float64, e/angstrom
        At the particles, of all others that count: dE / dq.
    fields : (n, 3) float64, e/angstrom^2
        -dE / dmu.
    job : DipoleJob, optional
        What was computed, which errors are measured from.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, dipole_energy_and_forces
    >>> pair = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, 0.0])
    >>> dipole_energy_and_forces(pair, np.array([[0.0, 0, 0], [0.0, 0, 0.5]])).energy
    -0.125
    """

    energy: float
    forces: np.ndarray
    torques: np.ndarray
    potentials: np.ndarray
    fields: np.ndarray
    job: DipoleJob | None = None

    def __repr__(self) -> str:
        return f"DipoleResult(energy={self.energy:.6g}, {len(self.forces)} particles)"

    def measured_error(self, quantity: str = "forces") -> MeasuredError:
        """Return the error of a quantity at 256 particles, those with the largest charges and dipoles among them.

        Cells are compared with another split at a hundredth of the tolerance, isolated sums with sums in extended
        precision.

        Parameters
        ----------
        quantity : "energy", "forces", "torques", "potential" or "field"
            Of the energy, over the sum of |q phi| + |mu . grad phi|; of all else, over the root mean square.

        Returns
        -------
        MeasuredError

        Raises
        ------
        InvalidValueError
            For another quantity, or a result that was put together by hand.
        """
        if quantity not in _QUANTITIES:
            raise InvalidValueError(f"quantity is {quantity!r}; expected one of {', '.join(_QUANTITIES)}")
        if self.job is None:
            raise InvalidValueError("the result does not know what it is of; expected one of dipole_energy_and_forces")
        rows, weights, clusters, exact = self.job.sample()
        q, mu = np.asarray(self.job.particles.charges)[rows], self.job.dipoles[rows]
        value, slope = exact[:, 0], exact[:, 1:4]
        here = self.potentials[rows], -self.fields[rows]
        if quantity == "energy":
            missed = q * (here[0] - value) + (mu * (here[1] - slope)).sum(axis=1)
            pair = energy_error(missed, np.abs(q * value) + np.abs((mu * slope).sum(axis=1)), weights, clusters)
        else:
            found, true = {
                "potential": (here[0][:, None], value[:, None]),
                "field": (-here[1], -slope),
                "forces": (self.forces[rows], _forces(q, mu, exact)),
                "torques": (self.torques[rows], -np.cross(mu, slope)),
            }[quantity]
            pair = compare(found - true, true, weights)
        return MeasuredError(quantity, *pair, {"particles": pair}, len(rows))


@entry
@np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
def dipole_energy_and_forces(
    particles: Particles, dipoles: ArrayLike, *, tol: float = 1e-10, kernel: RadialKernel | None = None
) -> DipoleResult:
    r"""Return the energy of charges and point dipoles, with forces and torques.

    E = 1/2 \sum_i [q_i phi(y_i) + mu_i . grad phi(y_i)], phi(x) = \sum_j (q_j + mu_j . grad_j) K(|x - y_j|) over all
    others; F_i = -q_i grad phi - (mu_i . grad) grad phi, torque mu_i x E.

    Parameters
    ----------
    particles : Particles
        With a `cell`, the sum is over all images, without a surface (conducting boundary), and a net charge has a
        uniform background. Exclusions leave out and scale dipoles as they do charges.
    dipoles : (n, 3) float64, e angstrom
    tol : float
        Relative error of the sum over a cell, 1e-12 to 0.1; isolated sums are exact.
    kernel : Coulomb or Yukawa, optional
        1/r unless given.

    Returns
    -------
    DipoleResult

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        Also for results that overflow.
    DeviceMismatchError
        For arrays on a device: these sums are on the host.

    Notes
    -----
    All pairs, O(n^2), or Ewald's sum with derivatives up to the third, O(n^1.5), on one core.

    References
    ----------
    Toukmaji, Sagui, Board and Darden, J. Chem. Phys. 113 (2000) 10913, for the recursion of the derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, dipole_energy_and_forces
    >>> pair = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, 0.0])
    >>> found = dipole_energy_and_forces(pair, np.array([[0.0, 0, 0], [0.5, 0, 0]]))
    >>> (found.torques[1] + 0.0).tolist()
    [0.0, -0.125, 0.0]
    """
    dipoles = _checked(particles, dipoles, tol)
    sums = _sums(particles, dipoles, particles.positions, tol, kernel or Coulomb(), second=True)
    sums += _left_out(particles, dipoles, kernel or Coulomb(), tol)
    value, slope = sums[:, 0], sums[:, 1:4]
    charges = np.asarray(particles.charges)
    energy = 0.5 * float((charges * value).sum() + (dipoles * slope).sum())
    forces = _forces(charges, dipoles, sums)
    torques = -np.cross(dipoles, slope)
    for part in (np.float64(energy), forces, torques, value, slope):
        without_overflow(part, "energy, forces or torques")
    return DipoleResult(energy, forces, torques, value, -slope, DipoleJob(particles, dipoles, tol, kernel or Coulomb()))


@entry
def dipole_field(
    particles: Particles,
    dipoles: ArrayLike,
    points: ArrayLike,
    *,
    tol: float = 1e-10,
    kernel: RadialKernel | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return potential and field of charges and point dipoles at points.

    Parameters
    ----------
    particles : Particles
        Charges may be zero. With a `cell`, the sum is over all images.
    dipoles : (n, 3) float64, e angstrom
    points : (m, 3) float64, angstrom
        At a point closer than 1e-8 angstrom to a particle the result is that of all others.
    tol, kernel
        As of `dipole_energy_and_forces`.

    Returns
    -------
    potential : (m,) float64, e/angstrom
    field : (m, 3) float64, e/angstrom^2

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, dipole_field
    >>> one = Particles([[0.0, 0.0, 0.0]], [0.0])
    >>> potential, field = dipole_field(one, np.array([[0.0, 0, 1.0]]), np.array([[0.0, 0, 2.0]]))
    >>> float(potential[0]), float(field[0, 2])
    (0.25, 0.25)
    """
    dipoles = _checked(particles, dipoles, tol)
    points = as_points(points, xp=np)
    found = _sums(particles, dipoles, points, tol, kernel or Coulomb(), second=False)
    without_overflow(found, "potential and field")
    return found[:, 0], -found[:, 1:4]


def _forces(charges: np.ndarray, dipoles: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Return -q grad phi - (mu . grad) grad phi for derivatives (m, 10)."""
    found: np.ndarray = -charges[:, None] * sums[:, 1:4] - np.einsum("nab,nb->na", _matrices(sums[:, 4:]), dipoles)
    return found


def _checked(particles: Particles, dipoles: ArrayLike, tol: float) -> np.ndarray:
    if namespace(particles.positions) is not np or namespace(dipoles) is not np:
        raise DeviceMismatchError("dipoles are summed on the host; pass particles.to_host() and host arrays")
    if not 1e-12 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-12 to 0.1")
    return np.asarray(as_finite(dipoles, "dipoles", shape=(particles.n, 3), xp=np))


def _matrices(columns: np.ndarray) -> np.ndarray:
    """Return symmetric matrices (n, 3, 3) of their entries (n, 6)."""
    found = np.empty((len(columns), 3, 3))
    for column, (a, b) in enumerate(SYMMETRIC):
        found[:, a, b] = found[:, b, a] = columns[:, column]
    return found


def _terms(d: np.ndarray, charge: np.ndarray, dipole: np.ndarray, b: list[np.ndarray]) -> list[np.ndarray]:
    """Return value, gradient, and second derivatives where b has four entries, of single sources at distances d.

    b_0 = K(r), b_{l + 1} = -b_l' / r.
    """
    along = (dipole * d).sum(axis=-1)
    common = charge * b[1] + along * b[2]
    out = [charge * b[0] + along * b[1]]
    out += [dipole[..., a] * b[1] - common * d[..., a] for a in range(3)]
    if len(b) > 3:
        outer = charge * b[2] + along * b[3]
        for i, j in SYMMETRIC:
            mixed = dipole[..., i] * d[..., j] + dipole[..., j] * d[..., i]
            out.append(outer * d[..., i] * d[..., j] - b[2] * mixed - (common if i == j else 0.0))
    return out


def _whole(r: np.ndarray, kappa: float, orders: int) -> list[np.ndarray]:
    """Return b_0, b_1, ... of exp(-kappa r) / r."""
    b = [np.exp(-kappa * r) / r]
    b.append(b[0] * (1 + kappa * r) / r**2)
    while len(b) < orders:
        b.append(((2 * len(b) - 1) * b[-1] + kappa**2 * b[-2]) / r**2)
    return b


def _short(r: np.ndarray, split: Split, orders: int) -> list[np.ndarray]:
    """Return b_0, b_1, ... of the short range: (nabla^2 - kappa^2) S is the smeared charge of the split."""
    alpha, kappa = split.alpha, split.kernel.kappa
    b = [complement(r, alpha, kappa) / r, -short_slope(r, alpha, kappa) / r]
    smeared = 4 * alpha**3 / math.sqrt(math.pi) * np.exp(-((alpha * r) ** 2) - (kappa / (2 * alpha)) ** 2)
    while len(b) < orders:
        b.append(((2 * len(b) - 1) * b[-1] + kappa**2 * b[-2] + smeared) / r**2)
        smeared = smeared * 2 * alpha**2
    return b


def _long(r: np.ndarray, gaussians: GaussianSum, orders: int) -> list[np.ndarray]:
    """Return b_0, b_1, ... of a sum of Gaussians, which are finite at r = 0."""
    square = gaussians.exponents**2
    waves = gaussians.weights * np.exp(-square * (r * r)[..., None])
    return [(waves * (2 * square) ** order).sum(axis=-1) for order in range(orders)]


def _least(particles: Particles) -> float:
    """Return the distance below which pairs are summed apart, where some are left out."""
    close = close_pairs_of(particles, listed_pairs(particles))
    return COINCIDENT if close is None else close.reach


def _all_pairs(
    particles: Particles,
    dipoles: np.ndarray,
    points: np.ndarray,
    kernel: RadialKernel,
    orders: int,
    least: float,
    dtype: type[np.floating[Any]] = np.float64,
) -> np.ndarray:
    """Sum over all pairs farther than `least` in a dtype; return (m, 10), or (m, 4) of three orders."""
    positions, charges, mu = (np.asarray(a, dtype=dtype) for a in (particles.positions, particles.charges, dipoles))
    out, step = np.zeros((len(points), 10 if orders == 4 else 4)), max(1, BLOCK // particles.n)
    for start in range(0, len(points), step):
        d = points[start : start + step, None].astype(dtype) - positions
        r = np.sqrt((d * d).sum(axis=2))
        apart = r > least
        b = [np.where(apart, v, 0.0) for v in _whole(np.where(apart, r, 1.0), kernel.kappa, orders)]
        terms = _terms(d, charges, mu, b)
        out[start : start + step] = np.stack([t.sum(axis=1) for t in terms], axis=1)
    return out


def _sums(
    particles: Particles,
    dipoles: np.ndarray,
    points: np.ndarray,
    tol: float,
    kernel: RadialKernel,
    second: bool,
    wider: float = 1.0,
) -> np.ndarray:
    """Return value, gradient and, if asked for, second derivatives at points, (m, 4) or (m, 10)."""
    width, orders = (10, 4) if second else (4, 3)
    least = _least(particles) if second else COINCIDENT
    if particles.cell is None:
        return _all_pairs(particles, dipoles, points, kernel, orders, least)
    out = np.zeros((len(points), width))
    particles = with_short_periods(particles)
    split, k_max, volume = _cell_split(particles, tol, kernel, wider)
    _add_modes(out, particles, dipoles, points, split, k_max)
    out[:, 0] += neutralizing_constant(split, particles.total_charge, volume)
    for rows, sources, d in _neighbors(particles, points, split.cutoff):
        r = np.linalg.norm(d, axis=1)
        apart = r > least
        own = ~apart & (r <= COINCIDENT)
        for chosen, sign, radial in ((apart, 1.0, None), (own, -1.0, split.gaussians)):
            if not chosen.any():
                continue
            b = _short(r[chosen], split, orders) if radial is None else _long(r[chosen], radial, orders)
            terms = _terms(d[chosen], particles.charges[sources[chosen]], dipoles[sources[chosen]], b)
            for column, term in enumerate(terms):
                out[:, column] += sign * np.bincount(rows[chosen], weights=term, minlength=len(out))
    return out


def _cell_split(
    particles: Particles, tol: float, kernel: RadialKernel, wider: float = 1.0
) -> tuple[Split, float, float]:
    """Return the split, the largest wave number and the volume; derivatives are given a hundredth of the tolerance."""
    cell = np.asarray(particles.cell)
    volume = abs(float(np.linalg.det(cell)))
    alpha = wider * LEAST_SPLIT * max(1.0, particles.n / 100) ** (1 / 6) / volume ** (1 / 3)
    eps = 1e-3 * screened_tolerance(tol, kernel, volume / particles.n)
    return ewald_split(alpha, eps, kernel), 2 * alpha * math.sqrt(math.log(10 / eps)), volume


def _add_modes(
    out: np.ndarray, particles: Particles, dipoles: np.ndarray, points: np.ndarray, split: Split, k_max: float
) -> None:
    inverse = np.linalg.inv(np.asarray(particles.cell))
    counts = mode_counts(np.asarray(particles.cell), k_max)
    influence, k = mode_influence(inverse, counts, split, k_max)
    fractions = particles.positions @ inverse
    factors = structure_factors(fractions, particles.charges, counts)
    for axis in range(3):
        factors = factors - 1j * k[..., axis] * structure_factors(fractions, dipoles[:, axis].copy(), counts)
    chosen = influence > 0
    weights, waves = (factors * influence)[chosen], k[chosen]
    parts = [weights, *((1j * waves[:, a] * weights) for a in range(3))]
    parts += [-waves[:, a] * waves[:, b] * weights for a, b in SYMMETRIC] if out.shape[1] > 4 else []
    columns = np.stack(parts, axis=1)
    step = max(1, BLOCK // max(len(waves), 1))
    for start in range(0, len(points), step):
        phase = points[start : start + step] @ waves.T
        out[start : start + step] += np.cos(phase) @ columns.real - np.sin(phase) @ columns.imag


def _neighbors(
    particles: Particles, points: np.ndarray, cutoff: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows of points, sources, and vectors from sources or their images within the cutoff to points."""
    cell = np.asarray(particles.cell)
    margin = cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)
    images, numbers = cell_images(wrapped_fractions(particles.positions, cell), cell, margin)
    tree, places = cKDTree(images), wrapped(points, cell)[1]
    density = len(images) / max(float(np.prod(np.ptp(images, axis=0))), 1e-9) if len(images) > 1 else 1.0
    step = max(1, int(BLOCK / (1 + 4.2 * cutoff**3 * density)))
    for start in range(0, len(places), step):
        found = tree.query_ball_point(places[start : start + step], cutoff)
        rows = start + np.repeat(np.arange(len(found)), [len(f) for f in found])
        near = np.concatenate([np.asarray(f, dtype=np.int64) for f in found]) if len(rows) else np.empty(0, np.int64)
        yield rows, numbers[near], places[rows] - images[near]


def _left_out(
    particles: Particles, dipoles: np.ndarray, kernel: RadialKernel, tol: float, wider: float = 1.0
) -> np.ndarray:
    """Return the contribution of exclusions to the sums at the particles, (n, 10)."""
    out, listed = np.zeros((particles.n, 10)), listed_pairs(particles)
    if listed is None:
        return out
    close = close_pairs_of(particles, listed)
    far = listed if close is None else close.far
    apart = far.distances > COINCIDENT
    far = far.where(apart)
    _add_pairs(out, far, particles, dipoles, [(far.scales - 1) * b for b in _whole(far.distances, kernel.kappa, 4)])
    if close is not None:
        near = close.near
        r = np.where(near.scales > 0, near.distances, 1.0)
        b = [near.scales * v for v in _whole(r, kernel.kappa, 4)]
        if particles.cell is not None:
            split = _cell_split(particles, tol, kernel, wider)[0]
            # A sum over modes holds the long range of all; coincident ones have been taken out with their own.
            there = near.distances > COINCIDENT
            b = [v - np.where(there, w, 0.0) for v, w in zip(b, _long(near.distances, split.gaussians, 4))]
        _add_pairs(out, near, particles, dipoles, b)
    return out


def _add_pairs(
    out: np.ndarray, pairs: PairList, particles: Particles, dipoles: np.ndarray, b: list[np.ndarray]
) -> None:
    for own, other, sign in ((pairs.first, pairs.second, 1.0), (pairs.second, pairs.first, -1.0)):
        terms = _terms(sign * pairs.vectors, particles.charges[other], dipoles[other], b)
        for column, term in enumerate(terms):
            out[:, column] += np.bincount(own, weights=term, minlength=len(out))
