"""The nonlinear Poisson-Boltzmann equation of charges in a cavity, in a solvent with ions."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, pi, sqrt
from typing import Any

import numpy as np

from sci.applications.solvation.cavity import (
    Cavity,
    cavity_fraction,
    cavity_on_grid,
    charge_depths,
    checked_radii,
    require_inside,
    surrounding_box,
)
from sci.applications.solvation.refinement import COARSER, SHIFTS, default_spacing, extrapolated
from sci.errors import ConvergenceError, InvalidValueError
from sci.potentials import Particles
from sci.solvers.krylov.cg import cg
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.variational.energies import IonGas
from sci.solvers.variational.energy import Energy
from sci.solvers.variational.minimize import Minimum, minimize_energy
from sci.units import potential_factor

__all__ = ["Case", "Electrolyte", "PoissonBoltzmann", "chosen_grid", "poisson_boltzmann", "saturated_start"]

PER_LITER = 6.02214076e-4
"""Number per cubic angstrom of one mole per liter."""
FARTHER = 8.0
"""Angstrom by which the padding grows where the effect of the walls is measured."""
LINEAR = 1e-2
"""Relative residual of the linear solve that gives the start."""
WALL_CELLS = 2.0
"""Ratio of the spacing of those two grids and the fine one."""


@dataclass(frozen=True)
class Electrolyte:
    """Ions of two valences in a solvent, and their temperature.

    Parameters
    ----------
    ionic_strength : float
        Half the sum of concentration times valence squared, mole per liter.
    temperature : float
        Kelvin.
    valences : (int, int)
        One positive, one negative.
    ion_radius : float
        The centers of the ions stay so far from the spheres, angstrom.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.applications import Electrolyte
    >>> salt = Electrolyte(0.1)
    >>> round(salt.bjerrum_length / 78.5, 2), round(salt.debye_length(78.5), 2)
    (7.14, 9.62)
    """

    ionic_strength: float = 0.15
    temperature: float = 298.15
    valences: tuple[int, int] = (1, -1)
    ion_radius: float = 2.0

    def __post_init__(self) -> None:
        signs = sorted(self.valences)
        if not 0 < self.ionic_strength <= 100:
            raise InvalidValueError(
                f"ionic_strength is {self.ionic_strength}; expected more than 0 and at most 100 mol/L: without ions, "
                "use reaction_field"
            )
        if not 1 <= self.temperature <= 10_000:
            raise InvalidValueError(f"temperature is {self.temperature} K; expected 1 to 10,000")
        if len(signs) != 2 or not signs[0] < 0 < signs[1]:
            raise InvalidValueError(f"valences are {self.valences}; expected a positive and a negative integer")
        if not 0 <= self.ion_radius <= 100:
            raise InvalidValueError(f"ion_radius is {self.ion_radius}; expected 0 to 100 angstrom")

    @property
    def bjerrum_length(self) -> float:
        """Distance in vacuum at which two unit charges have the energy kT, angstrom."""
        return potential_factor("kT/e", self.temperature)

    @property
    def screening(self) -> float:
        """The k^2 of `IonGas`, 4 pi times the Bjerrum length times sum n z^2, 1/angstrom^2."""
        return 8 * pi * self.bjerrum_length * self.ionic_strength * PER_LITER

    @property
    def numbers(self) -> tuple[float, float]:
        """Ions of each valence per cubic angstrom."""
        a, b = (abs(z) for z in self.valences)
        pairs = 2 * self.ionic_strength * PER_LITER / (a * b * (a + b))
        return pairs * b, pairs * a

    def debye_length(self, permittivity: float) -> float:
        """Return the distance over which ions screen a weak potential, angstrom."""
        return sqrt(permittivity / self.screening)


@dataclass(frozen=True)
class PoissonBoltzmann:
    """The potential of charges in a cavity, in a solvent with ions, and their solvation energy.

    Parameters
    ----------
    potential : (n0, n1, n2) float64 array
        Total potential at the cell centers of the fine grid, kT/e, not extrapolated. A charge counts as a ball as large
        as its depth below the surface: outside of the cavity that is the potential of the point.
    accessible : (n0, n1, n2) float64 array
        Part of each cell that ions enter.
    origin : (3,) float64 array
        Center of the first cell, angstrom.
    spacing : float
        Of the fine grid, angstrom.
    at_charges : (n,) float64 array
        Potential of solvent and ions at the charges, e/angstrom, extrapolated to spacing zero.
    at_charges_error : (n,) float64 array
        Estimated error of each.
    energy : float
        Solvation energy from a medium of the inner permittivity without ions, e^2/angstrom; `sci.units.COULOMB` makes
        it eV. Half the sum of charge times potential, plus the osmotic term of the ions.
    energy_error : float
        Estimated error of the energy, e^2/angstrom.
    osmotic_energy : float
        The part of the energy that vanishes for weak potentials, e^2/angstrom.
    electrolyte : Electrolyte
    minimum : Minimum
        Of the fine grid.

    Examples
    --------
    >>> from sci.applications import Electrolyte, poisson_boltzmann
    >>> from sci.potentials import Particles
    >>> ion = poisson_boltzmann(Particles([[0.0, 0.0, 0.0]], [1.0]), [3.0], Electrolyte(0.5), spacing=1.0)
    >>> ion.minimum.converged, ion.potential.shape == ion.accessible.shape
    (True, True)
    """

    potential: np.ndarray
    accessible: np.ndarray
    origin: np.ndarray
    spacing: float
    at_charges: np.ndarray
    at_charges_error: np.ndarray
    energy: float
    energy_error: float
    osmotic_energy: float
    electrolyte: Electrolyte
    minimum: Minimum

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.potential.shape))
        return (
            f"PoissonBoltzmann(energy {self.energy:.6g} +- {self.energy_error:.2g} e^2/angstrom, "
            f"{len(self.at_charges)} charges, {self.electrolyte.ionic_strength:g} mol/L, {shape} cells of "
            f"{self.spacing:.3g} angstrom, {self.minimum.iterations} steps)"
        )


def poisson_boltzmann(
    particles: Particles,
    radii: Any = None,
    electrolyte: Electrolyte | None = None,
    *,
    spacing: float | None = None,
    cells: int | None = None,
    padding: float = 12.0,
    inside: float = 2.0,
    outside: float = 78.5,
    rtol: float = 1e-6,
) -> PoissonBoltzmann:
    """Solve -div(eps grad phi) = 4 pi rho + 4 pi sum z n exp(-z phi / kT) around charges in a cavity of spheres.

    With u = phi / kT in units of e, and u = w + r, w the Coulomb potential of the charges over `inside`, the regular
    part r is the minimum of the convex energy

        h^3 [ r'A r / 2 - b'r + sum of k^2 sum n (exp(-z (w + r)) - 1) / sum n z^2 ],    A = -div(eps grad),

    where b is the source of `reaction_field` and k^2 the screening in cells that ions enter. Newton's method finds it
    (`minimize_energy`) from the solution of the linear equation, saturated as over a charged plane. The energy is
    computed on two spacings and extrapolated to spacing zero.

    Parameters
    ----------
    particles : Particles
        Positions (n, 3) in angstrom and charges (n,) in e, on the host.
    radii : (n,) array_like, optional
        Radius of each sphere, angstrom; those of the particles by default.
    electrolyte : Electrolyte, optional
        0.15 mol/L of ions of valence 1 and -1 at 298.15 K by default.
    spacing : float, optional
        Width of a cell of the fine grid, angstrom; by default as for `reaction_field`.
    cells : int, optional
        In place of `spacing`: cells along each axis of a cubic grid.
    padding : float
        Solvent around the spheres, angstrom.
    inside, outside : float
        Relative permittivities.
    rtol : float
        Of the dual norm of the derivative of the energy.

    Returns
    -------
    PoissonBoltzmann
        With an estimate of its error.

    Raises
    ------
    InvalidValueError
        For numbers out of range, and for a charge that lies in no sphere.
    ConvergenceError
        If Newton's method does not converge in 50 steps.
    ShapeError

    Notes
    -----
    Beyond the walls the potential is that of the charges in pure solvent, screened as around a sphere of the volume
    that ions do not enter: exact far from a weakly charged sphere. The stated error has the parts of that of
    `reaction_field`, and the change that 8 angstrom more of padding make, on cells of twice the width.

    The energy, that of Sharp and Honig from a medium of the inner permittivity, is

        sum q phi_R / 2 - kT sum over cells of h^3 n (z u exp(-z u) / 2 + exp(-z u) - 1), summed over the ions.

    References
    ----------
    Sharp and Honig, J. Phys. Chem. 94, 7684 (1990); Chern, Liu and Wang, Methods Appl. Anal. 10, 309 (2003), for the
    splitting; Holst and Saied, J. Comput. Chem. 16, 337 (1995), for inexact Newton and multigrid.

    Examples
    --------
    >>> from sci.applications import poisson_boltzmann, reaction_field
    >>> from sci.potentials import Particles
    >>> ion = Particles([[0.0, 0.0, 0.0]], [1.0])
    >>> screened, bare = poisson_boltzmann(ion, [2.0], spacing=0.5), reaction_field(ion, [2.0], outside=78.5)
    >>> bool(screened.energy < bare.energy)
    True
    """
    electrolyte = Electrolyte() if electrolyte is None else electrolyte
    sizes = checked_radii(particles, radii)
    if min(inside, outside) <= 0 or not 0 < rtol < 1:
        raise InvalidValueError(
            f"permittivities {inside} and {outside}, rtol {rtol}: expected positive numbers, and rtol below 1"
        )
    require_inside(particles, charge_depths(particles, sizes))
    box, spacing = chosen_grid(particles, sizes, spacing, cells, padding)
    case = Case(particles, sizes, electrolyte, inside, outside, rtol)
    fine, coarse = case.solve(box, spacing), [case.solve(box, COARSER * spacing, shift) for shift in SHIFTS]
    found = extrapolated(fine.cavity, fine.at_charges, np.array([other.at_charges for other in coarse]))
    osmotic = np.array([other.osmotic for other in coarse])
    change = (fine.osmotic - float(osmotic.mean())) / (COARSER**2 - 1)
    walls, walls_energy = case.wall_effect(box, WALL_CELLS * spacing)
    return PoissonBoltzmann(
        fine.potential,
        fine.accessible,
        fine.cavity.origin,
        spacing,
        found.at_charges,
        found.at_charges_error + walls,
        found.energy + fine.osmotic + change,
        found.energy_error + abs(change) + float(np.ptp(osmotic)) + walls_energy,
        fine.osmotic + change,
        electrolyte,
        fine.minimum,
    )


def chosen_grid(
    particles: Particles, radii: Any, spacing: float | None, cells: int | None, padding: float
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Return the box of the fine grid and the width of its cells, from the options of `poisson_boltzmann`.

    Raises
    ------
    InvalidValueError, ShapeError
    """
    sizes = checked_radii(particles, radii)
    if spacing is not None and cells is not None:
        raise InvalidValueError(f"spacing is {spacing} and cells {cells}; expected one of the two")
    box = surrounding_box(particles, sizes, padding)
    if cells is not None:
        box, spacing = _cube(box, cells)
    if spacing is None:
        spacing = default_spacing(particles, sizes, charge_depths(particles, sizes), padding)
    if not (spacing > 0 and padding >= 2 * spacing):
        raise InvalidValueError(f"spacing is {spacing} and padding {padding}; expected a padding of two cells or more")
    return box, float(spacing)


def _cube(box: tuple[np.ndarray, np.ndarray], cells: int) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Return the cube around a box, and the width of its cells."""
    if not 8 <= cells <= 1024:
        raise InvalidValueError(f"cells is {cells}; expected 8 to 1024 along each axis")
    low, high = box
    middle, half = 0.5 * (low + high), 0.5 * float((high - low).max())
    return (middle - half, middle + half), 2 * half / cells


@dataclass(frozen=True, eq=False)
class _Solution:
    """What one grid gives."""

    cavity: Cavity
    minimum: Minimum
    potential: np.ndarray
    accessible: np.ndarray
    at_charges: np.ndarray
    osmotic: float


@dataclass(frozen=True, eq=False)
class Case:
    """A molecule in a solvent, to be put on grids.

    Parameters
    ----------
    particles : Particles
    radii : (n,) array
    electrolyte : Electrolyte
    inside, outside : float
        Relative permittivities.
    rtol : float
        Of the minimum.
    """

    particles: Particles
    radii: np.ndarray
    electrolyte: Electrolyte
    inside: float
    outside: float
    rtol: float

    def problem(
        self, box: tuple[np.ndarray, np.ndarray], spacing: float, shift: tuple[float, float, float] = SHIFTS[0]
    ) -> tuple[Cavity, Energy]:
        """Return the cavity and the energy of r on a grid."""
        cavity = cavity_on_grid(self.particles, self.radii, box, spacing, shift, self.inside, self.outside)
        salt = self.electrolyte
        swollen = np.where(self.radii > 0, self.radii + salt.ion_radius, 0.0)
        filled = cavity_fraction(self.particles.positions, swollen, cavity.origin, spacing, cavity.counts)
        accessible, length = 1 - filled, salt.bjerrum_length
        walls = cavity.coulomb * (self._screened(cavity, filled) / self.outside - 1 / self.inside)
        shift_by = length / self.inside * cavity.coulomb[cavity.A.interior]
        ions = IonGas(salt.screening * accessible, shift_by, valences=salt.valences, numbers=salt.numbers)
        return cavity, Energy(cavity.A, ions, f=length * cavity.source(walls), diffusion=1.0)

    def _screened(self, cavity: Cavity, filled: np.ndarray) -> np.ndarray:
        """Return exp(-(r - a) / d) / (1 + a / d) around the sphere of the volume that ions do not enter.

        On the grid and one layer around it; r from the center of the charged spheres, at least a.
        """
        length = self.electrolyte.debye_length(self.outside)
        around = (3 * float(filled.sum()) * cavity.spacing**3 / (4 * pi)) ** (1 / 3)
        weights = self.radii**3
        center = weights @ self.particles.positions / weights.sum()
        axes = [cavity.origin[a] - center[a] + cavity.spacing * np.arange(-1, cavity.counts[a] + 1) for a in range(3)]
        distance = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij", sparse=True)))
        return np.asarray(np.exp(-(np.maximum(distance, around) - around) / length) / (1 + around / length))

    def solve(
        self, box: tuple[np.ndarray, np.ndarray], spacing: float, shift: tuple[float, float, float] = SHIFTS[0]
    ) -> _Solution:
        """Return the solution on one grid, moved by `shift` cells."""
        cavity, energy = self.problem(box, spacing, shift)
        minimum = minimize_energy(energy, saturated_start(energy), rtol=self.rtol, maxiter=50)
        if not minimum.converged:
            raise ConvergenceError(f"{minimum!r} on cells of {spacing:.3g} angstrom; use a larger rtol or a finer grid")
        salt, ions = self.electrolyte, energy.density
        assert isinstance(ions, IonGas)
        potential = minimum.u + ions.shift
        accessible = ions.strength / salt.screening
        inside = np.where(accessible > 0, potential, 0.0)
        density = sum(n * _osmotic(-z * inside) for n, z in zip(salt.numbers, salt.valences))
        osmotic = float((accessible * density).sum()) * spacing**3 / salt.bjerrum_length
        return _Solution(
            cavity, minimum, potential, accessible, cavity.at_charges(minimum.u) / salt.bjerrum_length, osmotic
        )

    def wall_effect(self, box: tuple[np.ndarray, np.ndarray], spacing: float) -> tuple[np.ndarray, float]:
        """Return the change of the potentials at the charges and of the energy by whole cells of more padding."""
        more = spacing * np.ceil(FARTHER / spacing)
        near, far = self.solve(box, spacing), self.solve((box[0] - more, box[1] + more), spacing)
        change = far.at_charges - near.at_charges
        energy = 0.5 * float(self.particles.charges @ change) + far.osmotic - near.osmotic
        return abs(change), abs(energy)


def _osmotic(y: np.ndarray) -> np.ndarray:
    """Return 1 + y exp(y) / 2 - exp(y), without what a neutral sum cancels: y / 2."""
    small = abs(y) < 0.3
    inside, series = np.where(small, y, 0.0), np.zeros_like(y)
    for k in range(14, 2, -1):
        series = series * inside + (k - 2) / (2 * factorial(k))
    return np.asarray(np.where(small, series * inside**3, 0.5 * y * np.expm1(y) - (np.expm1(y) - y)))


def saturated_start(energy: Energy) -> np.ndarray:
    """Return the start of Newton's method: the solution r of the linear equation, its u made 2/z asinh(z u / 2).

    Over a charged plane the linear equation has the potential s at the surface, and the full one of ions of valence z
    and -z has 2/z asinh(z s / 2) (Grahame). From s Newton's method would come down by about 1/z a step, over which the
    exponential is linear. Where no ions enter the energy is quadratic, and Newton's method is right from any start.
    """
    ions = energy.density
    assert isinstance(ions, IonGas)
    A = energy.A.with_reaction(ions.strength)
    linear = cg(A, energy.source - ions.strength * ions.shift, M=Multigrid(A), rtol=LINEAR).x
    total = linear + ions.shift
    z = np.where(total > 0, -min(ions.valences), max(ions.valences))
    return np.asarray(np.where(ions.strength > 0, 2 / z * np.arcsinh(z * total / 2) - ions.shift, linear))
