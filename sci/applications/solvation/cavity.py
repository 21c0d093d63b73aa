"""A cavity of spheres on a grid: its cells, the potential of the charges, and the problem of the reaction field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sci.backend import as_finite
from sci.errors import InvalidValueError
from sci.potentials import Particles, RangeSeparatedPotential, direct_sum
from sci.solvers.poisson.boundary import beyond_face
from sci.solvers.poisson.operator import PoissonOperator

__all__ = [
    "Cavity",
    "cavity_fraction",
    "cavity_on_grid",
    "charge_depths",
    "checked_radii",
    "coverings",
    "interpolate",
    "require_inside",
    "surrounding_box",
]

DIRECT = 300
"""Up to so many charges the Coulomb potential on the grid is summed directly."""
TOUCHING = 1e-8
"""Particles closer than this to a point, in angstrom, are left out of the Coulomb potential there."""


@dataclass(frozen=True, eq=False)
class Cavity:
    """Charges in a cavity of spheres, on a grid.

    Parameters
    ----------
    particles : Particles
    radii : (n,) float64 array
        Of the spheres, angstrom.
    origin : (3,) float64 array
        Center of the first cell.
    spacing : float
        Width of a cell.
    counts : (int, int, int)
        Cells along each axis.
    inside, outside : float
        Relative permittivities.
    """

    particles: Particles
    radii: np.ndarray
    origin: np.ndarray
    spacing: float
    counts: tuple[int, int, int]
    inside: float
    outside: float

    @cached_property
    def A(self) -> PoissonOperator:
        """The operator -div(eps grad). Cells that the surface cuts have the harmonic mean of eps by volume."""
        filled = cavity_fraction(self.particles.positions, self.radii, self.origin, self.spacing, self.counts)
        permittivity = 1 / (filled / self.inside + (1 - filled) / self.outside)
        return PoissonOperator(np.ones(self.counts, dtype=bool), self.spacing, coefficient=permittivity)

    @cached_property
    def coulomb(self) -> np.ndarray:
        """Coulomb potential on the grid and one layer around it, e/angstrom, of charges that are balls."""
        values = _coulomb(self.particles, self.origin, self.spacing, np.array(self.counts))
        depths = charge_depths(self.particles, self.radii)
        _spread(values, self.particles, depths, self.origin - self.spacing, self.spacing)
        return values

    def source(self, walls: np.ndarray) -> np.ndarray:
        """Return b of A phi_R = b, for a reaction field `walls` on the grid with a layer around it."""
        A, coulomb = self.A, self.coulomb
        b = A.boundary_source(walls)
        here, change = coulomb[A.interior], self.inside / self.spacing**2
        for axis, side, link, wall in A.faces():
            excess = link + wall - change
            excess[np.abs(excess) < 1e-12 * change] = 0.0
            b += excess * (beyond_face(coulomb, axis, side) - here) / self.inside
        return np.asarray(b)

    def at_charges(self, values: np.ndarray) -> np.ndarray:
        """Return the values of a field at the particles, by trilinear interpolation."""
        return interpolate(values, (self.particles.positions - self.origin) / self.spacing)


def cavity_on_grid(
    particles: Particles,
    radii: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    spacing: float,
    shift: tuple[float, float, float],
    inside: float,
    outside: float,
) -> Cavity:
    """Return the cavity on a grid that covers a box (low, high), in the middle of it and moved by `shift` cells."""
    low, high = box
    n0, n1, n2 = np.ceil((high - low) / spacing - 1e-9).astype(int).tolist()
    origin = 0.5 * (low + high) - 0.5 * (np.array([n0, n1, n2]) - 1) * spacing + np.array(shift) * spacing
    return Cavity(particles, radii, origin, spacing, (n0, n1, n2), inside, outside)


def checked_radii(particles: Particles, radii: Any) -> np.ndarray:
    """Return the radii that are meant: those given, or those of the particles.

    Raises
    ------
    InvalidValueError, ShapeError
    """
    given = particles.radii if radii is None else radii
    if given is None:
        raise InvalidValueError("the particles have no radii; give radii, or read a file that holds them, such as PQR")
    sizes = np.asarray(as_finite(given, "radii", shape=(particles.n,)))
    if sizes.min() < 0 or sizes.max() <= 0:
        raise InvalidValueError(
            f"radii from {sizes.min():g} to {sizes.max():g} angstrom: expected positive radii, or zero for atoms "
            "within the spheres of others"
        )
    return sizes


def charge_depths(particles: Particles, radii: np.ndarray) -> np.ndarray:
    """Return the depth of each particle in the sphere that covers it best, angstrom; negative outside of all."""
    return coverings(particles, radii)[0]


def coverings(particles: Particles, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def require_inside(particles: Particles, depths: np.ndarray) -> None:
    """Refuse a charge that lies in no sphere.

    Raises
    ------
    InvalidValueError
    """
    outside = np.flatnonzero((particles.charges != 0) & (depths <= 0))
    if outside.size:
        k = int(outside[0])
        place = ", ".join(f"{x:.6g}" for x in particles.positions[k])
        raise InvalidValueError(
            f"charge {k} (counted from 0) at ({place}) lies {-depths[k]:.3g} angstrom outside of all spheres; expected "
            "every charge inside of the cavity: give it a radius, or enlarge that of the atom it is bound to"
        )


def surrounding_box(particles: Particles, radii: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the low and the high corner of the box that holds all spheres, and `padding` around them."""
    low = (particles.positions - radii[:, None]).min(axis=0) - padding
    high = (particles.positions + radii[:, None]).max(axis=0) + padding
    return low, high


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


def interpolate(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return trilinear interpolation at `places`, in cells from the first center."""
    cell = np.clip(np.floor(places).astype(int), 0, np.array(values.shape) - 2)
    weight = places - cell
    total = np.zeros(len(places))
    for corner in np.ndindex(2, 2, 2):
        part = np.prod(np.where(np.array(corner) == 1, weight, 1 - weight), axis=1)
        total += part * values[tuple((cell + corner).T)]
    return total
