"""Slabs: two periods instead of three, from a cell with room between its images and what that room does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.potentials.ewald import ewald_values
from sci.potentials.forcefield.images import reduced_plane
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import RadialKernel

__all__ = ["Slab", "slab_values"]

RESERVE = 100.0
"""The interaction of images across the room over the tolerance, inverse."""


@dataclass(frozen=True, eq=False)
class Slab:
    r"""A cell of two periods and a normal, high enough for a sum over three periods to become one over two.

    In the plane, the sum over three periods holds for each pair the interaction -2 pi |z| / A of charged planes as
    -2 pi (|z| - z^2 / L - L / 6) / A, A the area and L the height of the cell. What is missing is

    E = (2 pi / V) (M^2 - Q \sum q z^2 - Q^2 L^2 / 12), M = \sum q z, Q = \sum q,

    the dipole correction. All other interactions of images decay as exp(-G (L - |z|)), G the smallest wave number of
    the plane; L is chosen so that they are below the tolerance.

    Parameters
    ----------
    normal : (3,) float64
    height : float
        L, angstrom.
    reach : float
        Largest |z_i - z_j| that L suffices for, angstrom.
    middle : float
        Origin of z, and what the positions are measured along the normal from.
    moments : (float, float, float)
        Sums of q, q z and q z^2.
    factor : float
        2 pi / V, or 0 for a screened kernel, whose images decay without it.

    References
    ----------
    Yeh and Berkowitz, J. Chem. Phys. 111 (1999) 3155; Ballenegger, Arnold and Cerdà, J. Chem. Phys. 131 (2009) 094107,
    for a net charge.
    """

    normal: np.ndarray
    height: float
    reach: float
    middle: float
    moments: tuple[float, float, float]
    factor: float

    @classmethod
    def of(cls, particles: Particles, tol: float, kernel: RadialKernel, reach: float = 0.0) -> tuple[Slab, Particles]:
        """Return the slab of the first two periods of particles, and the particles in its cell.

        Parameters
        ----------
        particles : Particles
            With a `cell`, of which the third row is not used.
        tol : float
        kernel : Coulomb or Yukawa
        reach : float
            Distance along the normal that is to be covered in any case, angstrom.
        """
        plane = to_host(particles.cell)[:2]
        short, long = reduced_plane(plane)
        area = float(np.linalg.norm(np.cross(*plane)))
        normal = np.cross(*plane) / area
        z, charges = to_host(particles.positions) @ normal, to_host(particles.charges)
        decay = 2 * math.pi * float(min(np.linalg.norm(short), np.linalg.norm(long))) / area
        if kernel.kappa > 0:
            decay = min(decay, kernel.kappa)
        reach = max(float(np.ptp(z)), reach)
        height = reach + math.log(RESERVE / tol) / decay
        middle = 0.5 * float(z.max() + z.min())
        z = z - middle
        moments = float(charges.sum()), float(charges @ z), float(charges @ z**2)
        factor = 0.0 if kernel.kappa > 0 else 2 * math.pi / (area * height)
        cell = to_device(np.concatenate([plane, height * normal[None]]), namespace(particles.positions))
        return cls(normal, height, reach, middle, moments, factor), replace(particles, cell=cell)

    def __repr__(self) -> str:
        return f"Slab(height={self.height:.4g}, reach={self.reach:.4g})"

    def needed_reach(self, points: Array, positions: Array) -> float:
        """Return the largest distance along the normal between a point and a particle, angstrom."""
        normal = to_device(self.normal, namespace(points))
        z, there = points @ normal, positions @ normal
        if not len(z):
            return 0.0
        return float(max(z.max() - there.min(), there.max() - z.min()))

    def potential(self, z: Array) -> Array:
        """Return the potential that the sum over three periods lacks, at heights `z` along the normal, e/angstrom."""
        charge, dipole, square = self.moments
        z = z - self.middle
        return self.factor * (2 * dipole * z - square - charge * z * z - charge * self.height**2 / 6)

    def on_grid(self, axes: list[Array]) -> Array:
        """Return that potential on the tensor grid of three axes."""
        x, y, z = (axis * float(part) for axis, part in zip(axes, self.normal))
        return self.potential(x[:, None, None] + y[:, None] + z)

    def add_to(self, out: Array, points: Array) -> None:
        """Add that potential, and its gradient where `out` is (m, 4)."""
        normal = to_device(self.normal, namespace(points))
        z = points @ normal
        out[:, 0] += self.potential(z)
        if out.shape[1] == 4:
            charge, dipole, _ = self.moments
            out[:, 1:] += (2 * self.factor * (dipole - charge * (z - self.middle)))[:, None] * normal

    def energy(self) -> float:
        """Return the energy that the sum over three periods lacks, e^2/angstrom."""
        charge, dipole, square = self.moments
        return self.factor * (dipole**2 - charge * square - charge**2 * self.height**2 / 12)

    def virial(self) -> np.ndarray:
        """Return -dE / d strain of that energy, (3, 3): E (1 - 2 n n)."""
        found: np.ndarray = self.energy() * (np.eye(3) - 2 * np.outer(self.normal, self.normal))
        return found


def slab_values(
    particles: Particles, points: Array, tol: float, gradient: bool, apart: float, kernel: RadialKernel
) -> Array:
    """Return potentials (m, 1), or with gradients (m, 4), by Ewald's sum, with the room that `tol` takes.

    Charges within `apart` of a point are left out.
    """
    slab, tall = Slab.of(particles, tol, kernel)
    needed = slab.needed_reach(points, particles.positions)
    if needed > slab.reach:
        slab, tall = Slab.of(particles, tol, kernel, needed)
    out = ewald_values(tall, points, tol, gradient, apart, kernel)
    slab.add_to(out, points)
    return out
