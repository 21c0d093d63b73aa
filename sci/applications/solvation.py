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

__all__ = ["ReactionField", "cavity_fraction", "reaction_field"]

DIRECT = 300
"""Up to so many charges the Coulomb potential on the grid is summed directly."""
COARSER = 1.6
"""Ratio of the two spacings that the extrapolation uses."""
MOST_CELLS = 8_000_000
"""The spacing that is chosen by default makes no larger grid."""
TOUCHING = 1e-8
"""Particles closer than this to a point, in angstrom, are left out of the Coulomb potential there."""
SHIFTS = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
"""Places of the coarse grid, in cells: the spread of a potential over them is the part of its error that no
extrapolation removes, from where the surface cuts the cells."""
SECOND_ORDER = 0.2
"""The error of a charge's own potential on the fine grid is at most this times x^2 of that of its image in the sphere
that covers it best, x = spacing / depth: measured for charges at random places in spheres, by
`python benchmarks/reaction_field.py`. Extrapolation leaves (1.6 x)^2 of it."""


@dataclass(frozen=True)
class ReactionField:
    """The potential that the polarized solvent adds, on a grid, and the energy of the charges in it.

    Parameters
    ----------
    values : (n0, n1, n2) float64 array
        e/angstrom, at the cell centers of the fine grid; not extrapolated.
    origin : (3,) float64 array
        Center of the first cell, angstrom.
    spacing : float
        Of the fine grid, angstrom.
    at_charges : (n,) float64 array
        Potential at the charges, extrapolated to spacing zero.
    at_charges_error : (n,) float64 array
        Estimated error of each.
    energy : float
        Solvation energy from a medium of the inner permittivity, half the sum of charge times potential, e^2/angstrom;
        `sci.units.COULOMB` makes it eV.
    energy_error : float
        Estimated error of the energy, e^2/angstrom.
    result : SolveResult
        Of the fine grid.

    Examples
    --------
    >>> from sci.applications import reaction_field
    >>> from sci.potentials import Particles
    >>> ion = reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [3.0], spacing=1.0)
    >>> bool(abs(ion.energy - 0.5 * (1 / 80 - 1 / 2) / 3) < ion.energy_error)
    True
    """

    values: np.ndarray
    origin: np.ndarray
    spacing: float
    at_charges: np.ndarray
    at_charges_error: np.ndarray
    energy: float
    energy_error: float
    result: SolveResult

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.values.shape))
        return (
            f"ReactionField(energy {self.energy:.6g} +- {self.energy_error:.2g} e^2/angstrom, {len(self.at_charges)} "
            f"charges, {shape} cells of {self.spacing:.3g} angstrom)"
        )


def reaction_field(
    particles: Particles,
    radii: Any = None,
    *,
    spacing: float | None = None,
    padding: float = 8.0,
    inside: float = 2.0,
    outside: float = 80.0,
    rtol: float = 1e-8,
    preconditioner: Callable[[PoissonOperator], Any] = Multigrid,
) -> ReactionField:
    """Solve -div(eps grad phi) = 4 pi rho around charges in a cavity of spheres, for the reaction field.

    With phi = phi_C / inside + phi_R and phi_C the Coulomb potential of the charges, phi_R solves

        -div(eps grad phi_R) = div((eps - inside) grad phi_C) / inside,

    whose right-hand side lies outside of the cavity, where phi_C is smooth. The potential at the charges is computed on
    two spacings and extrapolated to spacing zero.

    Parameters
    ----------
    particles : Particles
        Positions (n, 3) in angstrom and charges (n,) in e, on the host.
    radii : (n,) array_like, optional
        Radius of each sphere, angstrom; those of the particles by default. Zero for charges inside of other spheres.
    spacing : float, optional
        Width of a cell of the fine grid, angstrom. By default 0.5, or a third of the depth of the charge that is
        nearest to the surface, but no grid of more than 8 million cells.
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
        With an estimate of its error.

    Raises
    ------
    InvalidValueError
        For numbers out of range, and for a charge that lies in no sphere.
    ShapeError

    Notes
    -----
    A cell that the surface cuts has the harmonic mean of the two permittivities by volume, of a plane at the distance
    and with the normal of the surface. Each charge is a ball as large as its depth s below the surface: outside of it,
    and so in the solvent, it has the field of the point. The error is then of second order: with x = h / s on a grid of
    spacing h, 0.1 to 0.2 x^2 of the potential of the charge's image, less than 0.1 x^2 for a Born ion.

    Extrapolation is Richardson's, with one grid of spacing h and four of 1.6 h, half a cell from one another, and costs
    twice the fine grid. A charge that the coarse cells do not resolve, s < 1.6 h, is not extrapolated. The stated error
    is the sum of the correction (without extrapolation, of the difference), of the spread over the four grids, which
    differ in nothing but where the surface cuts their cells, and of what two spacings may not see: 0.2 x^2 of the
    potential of the image, and (1.6 x)^2 of that where it is extrapolated. `benchmarks/reaction_field.py` compares it
    with the truth at random places. It covers the cells, not the walls: these have the potential of the charges in pure
    solvent, exact for a charge at the center of a sphere.

    References
    ----------
    Born, Z. Phys. 1, 45 (1920), for the ion; Kirkwood, J. Chem. Phys. 2, 351 (1934), for charges in a sphere; Geng, Yu
    and Wei, J. Chem. Phys. 127, 114106 (2007), for the splitting.

    Examples
    --------
    >>> from sci.potentials import Particles
    >>> from sci.applications import reaction_field
    >>> ion = reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [2.0])
    >>> exact = -0.5 * (1 / 2.0 - 1 / 80.0) / 2.0
    >>> bool(abs(ion.energy - exact) <= ion.energy_error <= 0.03 * abs(exact))
    True
    """
    given = particles.radii if radii is None else radii
    if given is None:
        raise InvalidValueError("the particles have no radii; give radii, or read a file that holds them, such as PQR")
    sizes = as_finite(given, "radii", shape=(particles.n,))
    depths = _depths(particles, sizes)
    if spacing is None and inside > 0 and outside > 0 and sizes.max() > 0:
        spacing = _default_spacing(particles, sizes, depths, padding)
    if (
        sizes.min() < 0
        or sizes.max() <= 0
        or not (spacing is not None and spacing > 0 and padding >= 2 * spacing and inside > 0 and outside > 0)
    ):
        raise InvalidValueError(
            f"radii from {sizes.min():g}, spacing {spacing}, padding {padding}, permittivities {inside} and {outside}: "
            "expected positive numbers, radii of zero or more, and a padding of at least two cells"
        )
    _require_inside(particles, depths)
    settings = (particles, sizes, padding, inside, outside, rtol, preconditioner)
    values, origin, result, fine = _solve(spacing, (0.0, 0.0, 0.0), *settings)
    shifted = np.array([_solve(COARSER * spacing, shift, *settings)[-1] for shift in SHIFTS])
    resolved = (COARSER * spacing <= depths) | (particles.charges == 0)
    charges, difference = particles.charges, fine - shifted.mean(axis=0)
    difference[resolved] /= COARSER**2 - 1
    at_charges = fine + np.where(resolved, difference, 0.0)
    own = _own_error(particles, sizes, spacing) * abs(1 / inside - 1 / outside)
    return ReactionField(
        values,
        origin,
        spacing,
        at_charges,
        abs(difference) + np.ptp(shifted, axis=0) + own,
        0.5 * float(charges @ at_charges),
        0.5 * float(abs(charges @ difference) + np.ptp(shifted @ charges) + np.linalg.norm(charges * own)),
        result,
    )


def _own_error(particles: Particles, radii: np.ndarray, spacing: float) -> np.ndarray:
    """Return the error of each charge's own potential that two spacings may not show: see `SECOND_ORDER`.

    In units of 1 / inside - 1 / outside, in which the potential of the image in a conducting sphere of radius R is
    q R / (s (2 R - s)).
    """
    found = np.zeros(particles.n)
    held = particles.charges != 0
    depths, around = (a[held] for a in _covers(particles, radii))
    x = spacing / depths
    image = abs(particles.charges[held]) * around / (depths * (2 * around - depths))
    found[held] = SECOND_ORDER * x**2 * np.minimum(1, (COARSER * x) ** 2) * image
    return found


def _depths(particles: Particles, radii: np.ndarray) -> np.ndarray:
    """Return the depth of each particle in the sphere that covers it best, angstrom; negative outside of all."""
    return _covers(particles, radii)[0]


def _covers(particles: Particles, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the depth of each particle in the sphere that covers it best, and the radius of that sphere."""
    spheres = radii > 0
    centers, sizes = particles.positions[spheres], radii[spheres]
    depths, around = np.full(particles.n, -np.inf), np.full(particles.n, np.inf)
    for start in range(0, particles.n if len(centers) else 0, 1000):
        block = slice(start, start + 1000)
        offsets = particles.positions[block, None] - centers
        inner = sizes - np.sqrt((offsets**2).sum(axis=2))
        best = inner.argmax(axis=1)
        depths[block], around[block] = inner[np.arange(len(best)), best], sizes[best]
    return depths, around


def _require_inside(particles: Particles, depths: np.ndarray) -> None:
    outside = np.flatnonzero((particles.charges != 0) & (depths <= 0))
    if outside.size:
        k = int(outside[0])
        place = ", ".join(f"{x:.6g}" for x in particles.positions[k])
        raise InvalidValueError(
            f"charge {k} (counted from 0) at ({place}) lies {-depths[k]:.3g} angstrom outside of all spheres; expected "
            "every charge inside of the cavity: give it a radius, or enlarge that of the atom it is bound to"
        )


def _default_spacing(particles: Particles, radii: np.ndarray, depths: np.ndarray, padding: float) -> float:
    """Return a third of the least depth of a charge, at most 0.5, limited by the size of the grid."""
    shallow = depths[(particles.charges != 0) & (depths > 0)]
    wanted = min(0.5, float(shallow.min()) / 3) if shallow.size else 0.5
    low, high = _box(particles, radii, padding)
    return max(wanted, float(np.cbrt(np.prod(high - low) / MOST_CELLS)))


def _box(particles: Particles, radii: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    low = (particles.positions - radii[:, None]).min(axis=0) - padding
    high = (particles.positions + radii[:, None]).max(axis=0) + padding
    return low, high


def _solve(
    spacing: float,
    shift: tuple[float, float, float],
    particles: Particles,
    radii: np.ndarray,
    padding: float,
    inside: float,
    outside: float,
    rtol: float,
    preconditioner: Callable[[PoissonOperator], Any],
) -> tuple[np.ndarray, np.ndarray, SolveResult, np.ndarray]:
    """Return the potential on one grid, the grid's origin, the result, and the potential at the charges.

    The grid is moved by `shift`, in cells.
    """
    low, high = _box(particles, radii, padding)
    counts = np.ceil((high - low) / spacing).astype(int)
    origin = 0.5 * (low + high) - 0.5 * (counts - 1) * spacing + np.array(shift) * spacing
    filled = cavity_fraction(particles.positions, radii, origin, spacing, tuple(counts))
    permittivity = 1 / (filled / inside + (1 - filled) / outside)
    A = PoissonOperator(np.ones(tuple(counts), dtype=bool), spacing, coefficient=permittivity)
    coulomb = _coulomb(particles, origin, spacing, counts)
    _spread(coulomb, particles, _depths(particles, radii), origin - spacing, spacing)
    b = A.boundary_source(coulomb * (1 / outside - 1 / inside))
    here, change = coulomb[A.interior], inside / spacing**2
    for axis, side, link, wall in A.faces():
        excess = link + wall - change
        excess[np.abs(excess) < 1e-12 * change] = 0.0
        b += excess * (beyond_face(coulomb, axis, side) - here) / inside
    result = cg(A, b, M=preconditioner(A), rtol=rtol)
    return result.x, origin, result, _interpolate(result.x, (particles.positions - origin) / spacing)


def cavity_fraction(
    positions: np.ndarray, radii: np.ndarray, origin: np.ndarray, spacing: float, counts: tuple[int, ...]
) -> np.ndarray:
    """Return the part of each cell that lies in a union of spheres, the surface in a cell taken for a plane.

    Parameters
    ----------
    positions : (n, 3) array
    radii : (n,) array
    origin : (3,) array
        Center of the first cell.
    spacing : float
    counts : (3,) int

    Returns
    -------
    (*counts) float64 array
    """
    reach = 2.0
    distance = np.full(counts, -reach)  # inside of the surface, in cells
    for center, radius in zip((positions - origin) / spacing, radii / spacing):
        if radius > 0:
            first = np.maximum(np.floor(center - radius - reach).astype(int), 0)
            last = np.minimum(np.ceil(center + radius + reach).astype(int) + 1, counts)
            squares = [(np.arange(first[a], last[a]) - center[a]) ** 2 for a in range(3)]
            square = squares[0][:, None, None] + squares[1][:, None] + squares[2]
            part = distance[tuple(slice(i, j) for i, j in zip(first, last))]
            np.maximum(part, radius - np.sqrt(square), out=part)
    filled = (distance > 0).astype(np.float64)
    cut = np.nonzero(abs(distance) < 0.5 * 3**0.5)
    slopes = []
    for axis, n in enumerate(counts):
        ahead, behind = list(cut), list(cut)
        ahead[axis], behind[axis] = np.minimum(cut[axis] + 1, n - 1), np.maximum(cut[axis] - 1, 0)
        slopes.append(abs(distance[tuple(ahead)] - distance[tuple(behind)]))
    filled[cut] = _below_plane(np.array(slopes), distance[cut])
    return filled


def _below_plane(normals: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return the part of a unit cube on one side of a plane.

    Parameters
    ----------
    normals : (3, n) array
        Absolute components, of any length.
    distance : (n,) array
        Of the plane from the center of the cube, positive if the center is on that side.

    References
    ----------
    Scardovelli and Zaleski, J. Comput. Phys. 164, 228 (2000).
    """
    # Small components are raised: the formula divides by all three.
    m = normals / np.maximum(np.sqrt((normals**2).sum(axis=0)), 1e-9)
    m = np.maximum(m, 0.02)
    total = m.sum(axis=0)
    m, alpha = m / total, np.clip(distance / total + 0.5, 0, 1)
    volume = alpha**3
    for side in m:
        volume = volume - np.maximum(alpha - side, 0) ** 3 + np.maximum(alpha - 1 + side, 0) ** 3
    return np.asarray(np.clip(volume / (6 * m[0] * m[1] * m[2]), 0, 1))


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


def _spread(coulomb: np.ndarray, particles: Particles, depths: np.ndarray, origin: np.ndarray, spacing: float) -> None:
    """Replace the potential of point charges by that of balls, in place: q (3 - (r / s)^2) / (2 s) for r < s.

    A ball as large as the depth s of its charge lies inside of the cavity and has the same field outside of it, hence
    the same reaction field. Where the surface cuts cells next to the charge, differences of 1 / r would be arbitrarily
    large, as a center of a cell comes arbitrarily near.
    """
    for place, charge, depth in zip((particles.positions - origin) / spacing, particles.charges, depths / spacing):
        if charge == 0 or depth <= 0:
            continue
        first = np.maximum(np.ceil(place - depth).astype(int), 0)
        last = np.minimum(np.floor(place + depth).astype(int) + 1, coulomb.shape)
        squares = [(np.arange(first[a], last[a]) - place[a]) ** 2 for a in range(3)]
        square = squares[0][:, None, None] + squares[1][:, None] + squares[2]
        ball = 0.5 * (3 - square / depth**2) / depth
        apart = square > (TOUCHING / spacing) ** 2
        point = np.divide(1.0, np.sqrt(square), out=np.zeros_like(square), where=apart)
        part = coulomb[tuple(slice(i, j) for i, j in zip(first, last))]
        part += np.where(square < depth**2, charge / spacing * (ball - point), 0.0)


def _interpolate(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return trilinear interpolation at `places`, in cells from the first center."""
    cell = np.clip(np.floor(places).astype(int), 0, np.array(values.shape) - 2)
    weight = places - cell
    total = np.zeros(len(places))
    for corner in np.ndindex(2, 2, 2):
        part = np.prod(np.where(np.array(corner) == 1, weight, 1 - weight), axis=1)
        total += part * values[tuple((cell + corner).T)]
    return total
