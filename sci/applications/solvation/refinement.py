"""Extrapolation to spacing zero of what several grids give, and the errors that it states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.applications.solvation.cavity import Cavity, coverings, surrounding_box
from sci.potentials import Particles

__all__ = ["COARSER", "SHIFTS", "Extrapolated", "default_spacing", "extrapolated"]

COARSER = 1.6
"""Ratio of the two spacings that the extrapolation uses."""
MOST_CELLS = 8_000_000
"""The spacing that is chosen by default makes no larger grid."""
SHIFTS = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
"""Places of the coarse grid, in cells: the spread of a potential over them is the part of its error that no
extrapolation removes, from where the surface cuts the cells."""
SECOND_ORDER = 0.2
"""The error of a charge's own potential on the fine grid is at most this times x^2 of that of its image in the sphere
that covers it best, x = spacing / depth: measured for charges at random places in spheres, by
`python benchmarks/reaction_field.py`. Extrapolation leaves (1.6 x)^2 of it."""


@dataclass(frozen=True)
class Extrapolated:
    """Potentials at the charges and the energy at spacing zero, with their errors.

    Parameters
    ----------
    at_charges, at_charges_error : (n,) float64 array
    energy, energy_error : float
        Half the sum of charge times potential.
    """

    at_charges: np.ndarray
    at_charges_error: np.ndarray
    energy: float
    energy_error: float


def extrapolated(fine: Cavity, values: np.ndarray, shifted: np.ndarray) -> Extrapolated:
    """Return Richardson's extrapolation of the potentials at the charges.

    Parameters
    ----------
    fine : Cavity
    values : (n,) array
        On the fine grid.
    shifted : (4, n) array
        On the coarse grids.
    """
    particles, spacing = fine.particles, fine.spacing
    depths = coverings(particles, fine.radii)[0]
    charges, difference = particles.charges, values - shifted.mean(axis=0)
    resolved = (COARSER * spacing <= depths) | (charges == 0)
    difference[resolved] /= COARSER**2 - 1
    at_charges = values + np.where(resolved, difference, 0.0)
    own = own_error(particles, fine.radii, spacing) * abs(1 / fine.inside - 1 / fine.outside)
    return Extrapolated(
        at_charges,
        abs(difference) + np.ptp(shifted, axis=0) + own,
        0.5 * float(charges @ at_charges),
        0.5 * float(abs(charges @ difference) + np.ptp(shifted @ charges) + np.linalg.norm(charges * own)),
    )


def own_error(particles: Particles, radii: np.ndarray, spacing: float) -> np.ndarray:
    """Return the error of each charge's own potential that two spacings may not show: see `SECOND_ORDER`.

    In units of 1 / inside - 1 / outside, in which the potential of the image in a conducting sphere of radius R is
    q R / (s (2 R - s)).
    """
    found = np.zeros(particles.n)
    held = particles.charges != 0
    depths, around = (a[held] for a in coverings(particles, radii))
    x = spacing / depths
    image = abs(particles.charges[held]) * around / (depths * (2 * around - depths))
    found[held] = SECOND_ORDER * x**2 * np.minimum(1, (COARSER * x) ** 2) * image
    return found


def default_spacing(particles: Particles, radii: np.ndarray, depths: np.ndarray, padding: float) -> float:
    """Return a third of the least depth of a charge, at most 0.5, limited by the size of the grid."""
    shallow = depths[(particles.charges != 0) & (depths > 0)]
    wanted = min(0.5, float(shallow.min()) / 3) if shallow.size else 0.5
    low, high = surrounding_box(particles, radii, padding)
    return max(wanted, float(np.cbrt(np.prod(high - low) / MOST_CELLS)))
