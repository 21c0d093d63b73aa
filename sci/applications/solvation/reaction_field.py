"""The reaction field of charges in a dielectric cavity: a molecule of one permittivity in a solvent of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.applications.solvation.cavity import (
    Cavity,
    cavity_on_grid,
    charge_depths,
    checked_radii,
    require_inside,
    surrounding_box,
)
from sci.applications.solvation.refinement import COARSER, SHIFTS, default_spacing, extrapolated
from sci.errors import InvalidValueError
from sci.potentials import Particles
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["ReactionField", "reaction_field"]


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
    sizes = checked_radii(particles, radii)
    depths = charge_depths(particles, sizes)
    if spacing is None and inside > 0 and outside > 0:
        spacing = default_spacing(particles, sizes, depths, padding)
    if not (spacing is not None and spacing > 0 and padding >= 2 * spacing and inside > 0 and outside > 0):
        raise InvalidValueError(
            f"spacing {spacing}, padding {padding}, permittivities {inside} and {outside}: expected positive numbers, "
            "and a padding of at least two cells"
        )
    require_inside(particles, depths)
    box = surrounding_box(particles, sizes, padding)

    def solve(width: float, shift: tuple[float, float, float]) -> tuple[Cavity, SolveResult]:
        cavity = cavity_on_grid(particles, sizes, box, width, shift, inside, outside)
        source = cavity.source(cavity.coulomb * (1 / outside - 1 / inside))
        return cavity, cg(cavity.A, source, M=preconditioner(cavity.A), rtol=rtol)

    fine, result = solve(spacing, SHIFTS[0])
    coarse = [solve(COARSER * spacing, shift) for shift in SHIFTS]
    found = extrapolated(
        fine, fine.at_charges(result.x), np.array([cavity.at_charges(other.x) for cavity, other in coarse])
    )
    return ReactionField(
        result.x,
        fine.origin,
        spacing,
        found.at_charges,
        found.at_charges_error,
        found.energy,
        found.energy_error,
        result,
    )
