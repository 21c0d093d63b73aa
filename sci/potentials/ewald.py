"""Ewald's sum written out, the oracle of periodic cells, and the parts of it that they share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erfc, erfcx

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_points, namespace, to_device, to_host
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.potentials.forcefield.images import cell_images, wrapped, wrapped_fractions
from sci.potentials.forcefield.near import near_long_range
from sci.potentials.particles import Particles, with_short_periods, without_overflow
from sci.potentials.radial.kernels import Coulomb, GaussianSum, RadialKernel
from sci.potentials.radial.split import COINCIDENT, Split, split_of_gaussians
from sci.potentials.range_separated.short_range import ShortRange

__all__ = [
    "complement",
    "ewald_split",
    "ewald_sum",
    "ewald_values",
    "images_in_box",
    "mode_counts",
    "mode_influence",
    "mode_orders",
    "neutralizing_constant",
    "screened_tolerance",
    "short_slope",
    "structure_factors",
    "triangular_basis",
    "usual_alpha",
]

SPLIT, MANY_CHARGES = 7.0, 100_000
"""The exponent times the edge of the cell, for so many charges; it grows with the sixth root of more of them."""
BLOCK_ENTRIES = 1 << 22
COULOMB = Coulomb()
COMBINED = 4
ALPHA = 0.5
"""alpha over the cube root of the density: where pairs within the cutoff and Fourier modes take the same time."""
LEAST_EXPONENT = 40.0
"""-log of the smallest weight of a Gaussian of a screened long range over the largest."""


@entry
def ewald_sum(
    particles: Particles,
    points: ArrayLike,
    *,
    tol: float = 1e-12,
    kernel: RadialKernel | None = None,
    gradient: bool = False,
) -> Any:
    r"""Return the potential of a periodic cell by Ewald's sum over all modes and charges.

    The same definition as that of `PeriodicPotential`, without moments, boxes or tensors, and with an exponent that
    depends on the cell alone.

    Parameters
    ----------
    particles : Particles
        With a `cell`.
    points : (m, 3) float64
        Anywhere, angstrom, on the device of the particles. At a particle, the potential is that of all the others.
    tol : float
        Relative error, 1e-14 to 0.1.
    kernel : Coulomb or Yukawa, optional
        1/r unless given.
    gradient : bool
        Return the gradient too.

    Returns
    -------
    potential : (m,) float64, e/angstrom
    gradient : (m, 3) float64, e/angstrom^2, if asked for

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    8 K (n + m) flops for K modes and n charges, K being 2,000 to 10,000 for up to 100,000 charges, and about 2 n pairs
    a point.

    References
    ----------
    P. P. Ewald, Ann. Phys. 369 (1921) 253.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, ewald_sum
    >>> cscl = Particles([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], [1.0, -1.0], cell=np.eye(3))
    >>> round(float(-ewald_sum(cscl, cscl.positions)[0]) * 3**0.5 / 2, 8)
    1.76267477
    """
    if particles.cell is None:
        raise InvalidValueError("the particles have no cell; pass Particles(..., cell=...) with the periods as rows")
    if not 1e-14 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-14 to 0.1")
    xp = namespace(particles.positions)
    points = as_points(points, xp=xp)
    if namespace(points) is not xp:
        raise DeviceMismatchError("points and particles lie on different devices; move one of them first")
    out = ewald_values(particles, points, tol, gradient, kernel=kernel)
    without_overflow(out, "the sum")
    return (out[:, 0], out[:, 1:]) if gradient else out[:, 0]


def ewald_values(
    particles: Particles,
    points: Array,
    tol: float,
    gradient: bool,
    apart: float = COINCIDENT,
    kernel: RadialKernel | None = None,
) -> Array:
    """Return potentials (m, 1), or with gradients (m, 4), by Ewald's sum; charges within `apart` are left out."""
    particles, kernel = with_short_periods(particles), kernel or Coulomb()
    cell = to_host(particles.cell)
    volume = abs(float(np.linalg.det(cell)))
    alpha = SPLIT * max(1.0, particles.n / MANY_CHARGES) ** (1 / 6) / volume ** (1 / 3)
    tol = screened_tolerance(tol, kernel, volume / particles.n)
    split = ewald_split(alpha, 0.1 * tol, kernel)
    out = _reciprocal(particles, points, split, 2 * alpha * math.sqrt(math.log(10 / tol)), gradient)
    out[:, 0] += neutralizing_constant(split, particles.total_charge, volume)
    _add_real_space(out, particles, points, split, apart)
    if apart > COINCIDENT:
        sources = particles.positions, particles.charges
        rows, near = near_long_range(points, *sources, particles.cell, split.gaussians, apart)
        out[rows] -= near[:, : out.shape[1]]
    return out


def screened_tolerance(tol: float, kernel: RadialKernel, volume: float) -> float:
    """Return the tolerance relative to 1/r that leaves `tol` of what screening leaves at the usual distance.

    `volume` is that of a particle.
    """
    return tol * math.exp(-min(kernel.kappa * volume ** (1 / 3), 30.0))


def _add_real_space(out: Array, particles: Particles, points: ArrayLike, split: Split, apart: float) -> None:
    if not len(points):
        return
    cell, inverse = particles.cell, np.linalg.inv(to_host(particles.cell))
    heights = 1 / np.linalg.norm(inverse, axis=0)
    images, numbers = cell_images(wrapped_fractions(particles.positions, cell), cell, split.cutoff / heights)
    short = ShortRange.of(images, particles.charges[numbers], split)
    short.add_at(out, wrapped(points, cell)[1], apart)


def _reciprocal(particles: Particles, points: ArrayLike, split: Split, k_max: float, gradient: bool) -> Array:
    """Return the sum over the modes, (m, 1) or (m, 4)."""
    xp, inverse = namespace(points), to_device(np.linalg.inv(to_host(particles.cell)), namespace(points))
    counts = mode_counts(to_host(particles.cell), k_max)
    orders = [to_device(n, xp) for n in mode_orders(counts)]
    influence, k = mode_influence(inverse, counts, split, k_max)
    factors = structure_factors(particles.positions @ inverse, particles.charges, counts)
    width = len(orders[1]) * len(orders[2])
    block = max(1, BLOCK_ENTRIES // width)
    weighted = factors * influence
    parts = [weighted, *((1j * k[..., axis] * weighted) for axis in range(3 if gradient else 0))]
    out = xp.empty((len(points), len(parts)))
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        first, rest = _waves(points[rows] @ inverse, orders, 1)
        for column, part in enumerate(parts):
            out[rows, column] = ((rest @ part.reshape(len(orders[0]), width).T) * first).sum(axis=1).real
    return out


def structure_factors(fractions: Array, charges: Array, n_modes: tuple[int, ...]) -> Array:
    """Return sum_j q_j exp(-2 pi i n s_j) of charges at fractional coordinates s (n, 3), for all modes n."""
    orders = [to_device(n, namespace(fractions)) for n in mode_orders(n_modes)]
    width = len(orders[1]) * len(orders[2])
    block = max(1, BLOCK_ENTRIES // width)
    factors = namespace(fractions).zeros((len(orders[0]), width), dtype=complex)
    for start in range(0, len(charges), block):
        rows = slice(start, start + block)
        first, rest = _waves(fractions[rows], orders, -1)
        factors += (charges[rows, None] * first).T @ rest
    return factors.reshape(*map(len, orders))


def _waves(fractions: Array, orders: list[Array], sign: int) -> tuple[Array, Array]:
    """Return exp(2 pi i sign n s) along the first axis, and its products along the two others, flattened."""
    xp = namespace(fractions)
    first, second, third = (xp.exp(2j * sign * math.pi * fractions[:, a, None] * n) for a, n in enumerate(orders))
    return first, (second[:, :, None] * third[:, None, :]).reshape(len(fractions), -1)


def ewald_split(alpha: float, tol: float, kernel: RadialKernel = COULOMB) -> Split:
    r"""Return the split of a kernel into Ewald's long range, as Gaussians, and a short range, which `tol` cuts off.

    L(r) = (2 / sqrt pi) \int_0^alpha exp(-t^2 r^2 - kappa^2 / (4 t^2)) dt, erf(alpha r) / r without screening.
    """
    # The integrands are analytic, and Gauss' rule exact to rounding; with screening in log t, where both ends decay.
    x, w = np.polynomial.legendre.leggauss(60 if kernel.kappa == 0 else 120)
    if kernel.kappa == 0:
        t, weights = alpha * (x + 1) / 2, alpha * w / math.sqrt(math.pi)
    else:
        least = min(kernel.kappa / (2 * math.sqrt(LEAST_EXPONENT)), alpha / 2)
        half = 0.5 * math.log(alpha / least)
        t = least * np.exp(half * (x + 1))
        weights = 2 / math.sqrt(math.pi) * half * w * t * np.exp(-((kernel.kappa / (2 * t)) ** 2))
    reach = np.linspace(0.5, 9, 4000)
    cutoff = float(reach[np.flatnonzero(complement(reach / alpha, alpha, kernel.kappa) < tol)[0]]) / alpha
    return split_of_gaussians(kernel, alpha, cutoff, GaussianSum(t, weights), tol)


def complement(r: np.ndarray, alpha: float, kappa: float) -> np.ndarray:
    """Return r times the short range of Ewald's split: erfc(alpha r), or what screening makes of it."""
    x, shift = alpha * r, kappa / (2 * alpha)
    common = np.exp(-x * x - shift * shift)
    right = np.where(x >= shift, common * erfcx(np.abs(x - shift)), np.exp(-kappa * r) * erfc(x - shift))
    found: np.ndarray = 0.5 * (common * erfcx(x + shift) + right)
    return found


def short_slope(r: np.ndarray, alpha: float, kappa: float) -> np.ndarray:
    """Return the derivative of the short range by the distance."""
    x, shift = alpha * r, kappa / (2 * alpha)
    common = np.exp(-x * x - shift * shift)
    right = np.where(x >= shift, common * erfcx(np.abs(x - shift)), np.exp(-kappa * r) * erfc(x - shift))
    screened = 0.5 * kappa * (common * erfcx(x + shift) - right) - 2 * alpha / math.sqrt(math.pi) * common
    found: np.ndarray = (screened - complement(r, alpha, kappa) / r) / r
    return found


def neutralizing_constant(split: Split, charge: float, volume: float) -> float:
    r"""Return the constant that the neutralizing background adds, e/angstrom; a screened sum needs none.

    -(4 pi Q / V) \int_0^c r erfc(alpha r) dr, the mean of the short range within its cutoff c, so that the potential
    has mean zero; -pi Q / (alpha^2 V) for an endless one.
    """
    if split.kernel.kappa > 0:
        return 0.0
    x = split.alpha * split.cutoff
    part = x * x / 2 * math.erfc(x) + math.erf(x) / 4 - x * math.exp(-x * x) / (2 * math.sqrt(math.pi))
    return -4 * math.pi * part * charge / (split.alpha**2 * volume)


def mode_counts(cell: np.ndarray, k_max: float) -> tuple[int, int, int]:
    """Return the largest order along each axis of modes up to `k_max`: |n_i| = |k . a_i| / (2 pi)."""
    n1, n2, n3 = (int(k_max * a / (2 * math.pi)) for a in np.linalg.norm(cell, axis=1))
    return n1, n2, n3


def mode_orders(n_modes: tuple[int, ...]) -> list[np.ndarray]:
    """Return the orders n of the modes along each axis; those along the last from 0, for the potential is real."""
    m1, m2, m3 = n_modes
    return [np.arange(-m1, m1 + 1), np.arange(-m2, m2 + 1), np.arange(m3 + 1)]


def mode_influence(inverse: Array, n_modes: tuple[int, ...], split: Split, k_max: float) -> tuple[Array, Array]:
    """Return (4 pi / V) exp(-K / (4 alpha^2)) / K for each mode, doubled for those of n3 > 0, and k (..., 3).

    K = k^2 + kappa^2; without screening there is no mode k = 0.
    """
    xp = namespace(inverse)
    n1, n2, n3 = (xp.asarray(n, dtype=float) for n in mode_orders(n_modes))
    reciprocal, per_volume = 2 * math.pi * inverse.T, abs(float(np.linalg.det(to_host(inverse))))
    k = sum(n * row for n, row in zip((n1[:, None, None, None], n2[:, None, None], n3[:, None]), reciprocal))
    k2 = (k * k).sum(axis=-1)
    inside = (k2 + split.kernel.kappa > 0) & (k2 <= k_max**2)
    k2 = xp.where(inside, k2 + split.kernel.kappa**2, 1.0)
    influence = xp.where(inside, xp.exp(-k2 / (4 * split.alpha**2)) / k2, 0.0) * (4 * math.pi * per_volume)
    influence[:, :, 1:] *= 2.0
    return influence, k


def images_in_box(
    fractions: Array, charges: Array, cell: Array, low: np.ndarray, high: np.ndarray
) -> tuple[Array, Array]:
    """Return positions and charges of all images in the box [low, high]."""
    xp = namespace(fractions)
    corners = np.array(np.meshgrid(*zip(low, high))).reshape(3, -1).T @ np.linalg.inv(to_host(cell))
    first = np.ceil(corners.min(axis=0) - 1 - 1e-9).astype(int)
    last = np.floor(corners.max(axis=0) + 1e-9).astype(int)
    sides, places, found = (xp.asarray(low), xp.asarray(high)), [], []
    for shift in np.ndindex(*(last - first + 1)):
        moved = (fractions + xp.asarray(np.array(shift) + first, dtype=float)) @ cell
        near = ((moved >= sides[0]) & (moved <= sides[1])).all(axis=1)
        places.append(moved[near])
        found.append(charges[near])
    return xp.ascontiguousarray(xp.concatenate(places)), xp.concatenate(found)


def triangular_basis(cell: np.ndarray) -> np.ndarray | None:
    """Return periods of the same lattice of which the first lies along x and the second in the xy plane, if there are.

    Primitive cells of centered lattices in the usual orientation have them: of the face-centered cubic one with the
    rows (0, a, a), (a, 0, a), (a, a, 0) they are (2a, 0, 0), (a, a, 0), (a, 0, a). A cell that is turned at will has
    none. Combinations of up to `COMBINED` times each period are searched.
    """
    steps = np.arange(-COMBINED, COMBINED + 1)
    vectors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    vectors[np.abs(vectors) < 1e-12 * np.abs(cell).max()] = 0.0
    rows = []
    for axis in range(3):
        chosen = vectors[(vectors[:, axis + 1 :] == 0).all(axis=1) & (vectors[:, axis] > 0)]
        if not len(chosen):
            return None
        nearest = chosen[chosen[:, axis] < chosen[:, axis].min() * (1 + 1e-9)]
        rows.append(nearest[np.argmin(np.linalg.norm(nearest, axis=1))])
    found = np.array(rows)
    volume = abs(float(np.linalg.det(cell)))
    return found if abs(float(np.prod(np.diag(found))) - volume) < 1e-9 * volume else None


def usual_alpha(particles: Particles) -> float:
    """Return the split, 1/angstrom, that suits the density of the particles of a cell."""
    return float(ALPHA * (particles.n / abs(float(np.linalg.det(to_host(particles.cell))))) ** (1 / 3))
