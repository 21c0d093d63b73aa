"""The reaction field of charges in a dielectric cavity: a molecule of one permittivity in a solvent of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import as_finite
from sci.errors import InvalidValueError
from sci.potentials import Particles, RangeSeparatedPotential, direct_sum
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.poisson.boundary import beyond_face
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["ReactionField", "reaction_field"]

DIRECT = 300
"""Up to so many charges the Coulomb potential on the grid is summed directly."""


@dataclass(frozen=True)
class ReactionField:
    """The potential that the polarized solvent adds, on a grid, and the energy of the charges in it.

    Parameters
    ----------
    values : (n0, n1, n2) float64 array
        e/angstrom, at the cell centers.
    origin : (3,) float64 array
        Center of the first cell, angstrom.
    spacing : float
    at_charges : (n,) float64 array
        Values at the charges, interpolated.
    energy : float
        Solvation energy from a medium of the inner permittivity, half the sum of charge times potential, e^2/angstrom;
        `sci.units.COULOMB` makes it eV.
    result : SolveResult
    """

    values: np.ndarray
    origin: np.ndarray
    spacing: float
    at_charges: np.ndarray
    energy: float
    result: SolveResult


def reaction_field(
    particles: Particles,
    radii: Any = None,
    *,
    spacing: float = 0.5,
    padding: float = 8.0,
    inside: float = 2.0,
    outside: float = 80.0,
    rtol: float = 1e-8,
    preconditioner: Callable[[PoissonOperator], Any] = Multigrid,
) -> ReactionField:
    """Solve -div(eps grad phi) = 4 pi rho around charges in a cavity of spheres, for the reaction field.

    With phi = phi_C / inside + phi_R and phi_C the Coulomb potential of the charges, phi_R solves

        -div(eps grad phi_R) = div((eps - inside) grad phi_C) / inside,

    whose right-hand side lies outside of the cavity, where phi_C is smooth: no charge is smeared over cells.

    Parameters
    ----------
    particles : Particles
        Positions (n, 3) in angstrom and charges (n,) in e, on the host.
    radii : (n,) array_like, optional
        Radius of each sphere, angstrom; those of the particles by default. Zero for charges inside of other spheres.
    spacing : float
        Width of a cell, angstrom.
    padding : float
        Solvent around the spheres, angstrom.
    inside, outside : float
        Relative permittivities.
    rtol : float
        Of the residual.
    preconditioner : callable
        Makes one from the operator.

    Returns
    -------
    ReactionField

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    A cell that the surface cuts has the harmonic mean of the two permittivities by volume, from 27 samples. The walls
    have the potential of the charges in pure solvent, exact for a sphere. The energy of a Born ion is too large
    by about 0.45 (spacing / radius)^2.

    References
    ----------
    Born, Z. Phys. 1, 45 (1920), for the ion; Geng, Yu and Wei, J. Chem. Phys. 127, 114106 (2007), for the splitting.

    Examples
    --------
    >>> from sci.potentials import Particles
    >>> from sci.applications.solvation import reaction_field
    >>> ion = reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [2.0])
    >>> exact = -0.5 * (1 / 2.0 - 1 / 80.0) / 2.0
    >>> bool(abs(ion.energy / exact - 1) < 0.03)
    True
    """
    given = particles.radii if radii is None else radii
    if given is None:
        raise InvalidValueError("the particles have no radii; give radii, or read a file that holds them, such as PQR")
    sizes = as_finite(given, "radii", shape=(particles.n,))
    if (
        sizes.min() < 0
        or sizes.max() <= 0
        or not (spacing > 0 and padding >= 2 * spacing and inside > 0 and outside > 0)
    ):
        raise InvalidValueError(
            f"radii from {sizes.min():g}, spacing {spacing}, padding {padding}, permittivities {inside} and {outside}: "
            "expected positive numbers, radii of zero or more, and a padding of at least two cells"
        )
    low = (particles.positions - sizes[:, None]).min(axis=0) - padding
    high = (particles.positions + sizes[:, None]).max(axis=0) + padding
    counts = np.ceil((high - low) / spacing).astype(int)
    origin = 0.5 * (low + high) - 0.5 * (counts - 1) * spacing
    filled = cavity_fraction(particles.positions, sizes, origin, spacing, tuple(counts))
    permittivity = 1 / (filled / inside + (1 - filled) / outside)
    A = PoissonOperator(np.ones(tuple(counts), dtype=bool), spacing, coefficient=permittivity)
    coulomb = _coulomb(particles, origin, spacing, counts)
    b = A.boundary_source(coulomb * (1 / outside - 1 / inside))
    here, change = coulomb[A.interior], inside / spacing**2
    for axis, side, link, wall in A.faces():
        excess = link + wall - change
        excess[np.abs(excess) < 1e-12 * change] = 0.0
        b += excess * (beyond_face(coulomb, axis, side) - here) / inside
    result = cg(A, b, M=preconditioner(A), rtol=rtol)
    at_charges = _interpolate(result.x, (particles.positions - origin) / spacing)
    energy = 0.5 * float(particles.charges @ at_charges)
    return ReactionField(result.x, origin, spacing, at_charges, energy, result)


def cavity_fraction(
    positions: np.ndarray, radii: np.ndarray, origin: np.ndarray, spacing: float, counts: tuple[int, ...]
) -> np.ndarray:
    """Return the part of each cell that lies in a union of spheres, from 27 samples a cell.

    Parameters
    ----------
    positions : (n, 3) array
    radii : (n,) array
    origin : (3,) array
        Center of the first cell.
    spacing : float
    counts : (3,) int
    """
    fine = np.zeros(tuple(3 * n for n in counts), dtype=bool)
    step, start = spacing / 3, origin - spacing / 3
    for center, radius in zip(positions, radii):
        first = np.maximum(np.floor((center - radius - start) / step).astype(int), 0)
        last = np.minimum(np.ceil((center + radius - start) / step).astype(int) + 1, fine.shape)
        squares = [(start[a] + step * np.arange(first[a], last[a]) - center[a]) ** 2 for a in range(3)]
        distance = squares[0][:, None, None] + squares[1][:, None] + squares[2]
        part = fine[tuple(slice(i, j) for i, j in zip(first, last))]
        part |= distance <= radius**2
    n0, n1, n2 = counts
    return np.asarray(fine.reshape(n0, 3, n1, 3, n2, 3).mean(axis=(1, 3, 5)))


def _coulomb(particles: Particles, origin: np.ndarray, spacing: float, counts: np.ndarray) -> np.ndarray:
    """Return the Coulomb potential on the grid and one layer around it."""
    axes = [origin[a] + spacing * np.arange(-1, counts[a] + 1) for a in range(3)]
    if particles.n <= DIRECT:
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        return np.asarray(direct_sum(particles, points.reshape(-1, 3)).reshape(points.shape[:3]))
    low, high = particles.positions.min(axis=0), particles.positions.max(axis=0)
    reach = max(max(float(low[a] - axes[a][0]), float(axes[a][-1] - high[a])) for a in range(3))
    phi = RangeSeparatedPotential(particles, 1e-6, padding=reach + spacing)
    return np.asarray(phi.on_grid(*axes))


def _interpolate(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return trilinear interpolation at `places`, in cells from the first center."""
    cell = np.clip(np.floor(places).astype(int), 0, np.array(values.shape) - 2)
    weight = places - cell
    total = np.zeros(len(places))
    for corner in np.ndindex(2, 2, 2):
        part = np.prod(np.where(np.array(corner) == 1, weight, 1 - weight), axis=1)
        total += part * values[tuple((cell + corner).T)]
    return total
