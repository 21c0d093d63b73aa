"""ASE calculators: energies, forces and stresses of point charges, and of trained potentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.atomistic import AtomisticPotential, Configuration
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article
from sci.interop.packages import missing
from sci.potentials import (
    Coulomb,
    Exclusions,
    FramePlan,
    ParticleMesh,
    Particles,
    PeriodicPotential,
    RadialKernel,
    Yukawa,
    energy_and_forces,
    periodic_stress,
    plan_frames,
)
from sci.units import COULOMB

try:
    from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
except ImportError as error:
    raise missing("ase") from error

__all__ = ["Electrostatics", "LearnedPotential"]

VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
"""Rows and columns of the six numbers of a stress in ASE."""


class Electrostatics(Calculator):  # type: ignore[misc]
    """The electrostatic energy of point charges, with forces and, for periodic cells, the stress.

    Charges are the atoms' initial charges unless they are given. Atoms without any periodic axis are an isolated
    system, atoms with two a slab, atoms with three a crystal with the conducting boundary of Ewald's sum, whose net
    charge is neutralized by a uniform background.

    Parameters
    ----------
    charges : (n,) sequence of float, optional
        In e, in the order of the atoms; `atoms.get_initial_charges()` unless given.
    tol : float
        Relative L2 error, 1e-11 to 0.1: of the forces for isolated systems, of the potential for periodic ones.
    kappa : float
        Screening, 1/angstrom: pairs interact by exp(-kappa r)/r.
    exclusions : Exclusions, optional
        Pairs of atoms that are left out or scaled.
    **settings
        Those of `ase.calculators.calculator.Calculator`.

    Raises
    ------
    InvalidValueError
        In a calculation: for atoms that are periodic along one axis, charges that are all zero, or two atoms in
        one place.
    ShapeError
        In a calculation: for another number of charges than of atoms.

    Notes
    -----
    Units are those of ASE: eV, angstrom, eV/angstrom^3. How the frames of a simulation are evaluated is chosen at the
    first one and kept, so that the energy is continuous; other atoms, charges or settings choose anew. Bonds,
    exclusions and all other forces are not in it: add calculators by `ase.calculators.mixing.SumCalculator`.

    Examples
    --------
    >>> from ase import Atoms
    >>> from sci.interop.ase import Electrostatics
    >>> ions = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.0]])
    >>> ions.calc = Electrostatics(charges=[1.0, -1.0])
    >>> print(round(ions.get_potential_energy(), 6))
    -7.199823
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "charges"]  # noqa: RUF012
    discard_results_on_any_change = True
    nolabel = True

    def __init__(
        self,
        charges: Sequence[float] | None = None,
        *,
        tol: float = 1e-6,
        kappa: float = 0.0,
        exclusions: Exclusions | None = None,
        **settings: Any,
    ) -> None:
        if not 0 <= kappa < float("inf"):
            raise InvalidValueError(f"kappa is {kappa}; expected a number that is not negative (1/angstrom)")
        if not 1e-11 <= tol <= 0.1:
            raise InvalidValueError(f"tol is {tol}; expected a number from 1e-11 to 0.1")
        self._plan: tuple[Any, FramePlan] | None = None
        self.exclusions = exclusions
        given = None if charges is None else [float(q) for q in charges]
        super().__init__(charges=given, tol=tol, kappa=kappa, **settings)

    def __repr__(self) -> str:
        """Return the settings."""
        charges = self.parameters["charges"]
        of = "the atoms' initial charges" if charges is None else f"{len(charges)} charges"
        return f"Electrostatics({of}, tol={self.parameters['tol']:g}, kappa={self.parameters['kappa']:g})"

    def calculate(
        self, atoms: Any = None, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = all_changes
    ) -> None:
        """Compute the properties of atoms, as ASE asks for them.

        Raises
        ------
        PropertyNotImplementedError
            For the stress of an isolated system.
        """
        super().calculate(atoms, properties, system_changes)
        particles = self._particles()
        if "stress" in properties and particles.cell is None:
            raise PropertyNotImplementedError("an isolated system has no stress; expected three periodic axes")
        if self.atoms.pbc.sum() == 2:
            if "stress" in properties:
                raise PropertyNotImplementedError("a slab has no stress; expected three periodic axes")
            slab = PeriodicPotential(particles, self.parameters["tol"], kernel=self._kernel, slab=True)
            energy, forces = slab.energy_and_forces()
        else:
            energy, forces, stress = self._evaluated(particles, "stress" in properties)
        self.results = {
            "energy": COULOMB * energy,
            "free_energy": COULOMB * energy,
            "forces": COULOMB * forces,
            "charges": particles.charges.copy(),
        }
        if "stress" in properties:
            self.results["stress"] = COULOMB * stress[VOIGT]

    def _evaluated(self, particles: Particles, stressed: bool) -> tuple[float, np.ndarray, np.ndarray]:
        """Return energy, forces and, of a cell if it is wanted, the stress."""
        plan, stress, tol = self._frame_plan(particles), np.zeros((3, 3)), self.parameters["tol"]
        if plan.method == "mesh":
            mesh = ParticleMesh(particles, tol, force_error=plan.force_error)
            return mesh.energy(), mesh.forces(), mesh.stress() if stressed else stress
        if stressed:
            stress = periodic_stress(PeriodicPotential(particles, tol, kernel=self._kernel))
        return *energy_and_forces(particles, plan), stress

    def _particles(self) -> Particles:
        """Check the atoms, and return their charges with the cell if they are periodic."""
        atoms = self.atoms
        given = self.parameters["charges"]
        charges = np.asarray(atoms.get_initial_charges() if given is None else given, dtype=np.float64)
        if len(charges) != len(atoms):
            raise ShapeError(f"there are {len(charges)} charges and {len(atoms)} atoms; expected one for each atom")
        if not charges.any():
            raise InvalidValueError(
                "all charges are zero; set them by atoms.set_initial_charges(...), or pass Electrostatics(charges=...)"
            )
        if atoms.pbc.sum() == 1:
            raise InvalidValueError(
                f"the atoms are periodic along the axis {int(np.flatnonzero(atoms.pbc)[0])} alone; expected none, two "
                "or three axes"
            )
        rows = np.array(atoms.cell)[np.argsort(~atoms.pbc, kind="stable")]  # those of a slab first
        if atoms.pbc.sum() == 2:
            rows[2] = np.cross(rows[0], rows[1])
        cell = rows if atoms.pbc.any() else None
        return Particles(atoms.positions.copy(), charges, cell=cell, exclusions=self.exclusions)

    @property
    def _kernel(self) -> RadialKernel:
        return Yukawa(self.parameters["kappa"]) if self.parameters["kappa"] > 0 else Coulomb()

    def _frame_plan(self, particles: Particles) -> FramePlan:
        """Return the plan of the frames before, if it is of these charges and settings, or a new one."""
        settings = (
            particles.charges.tobytes(),
            particles.cell is None,
            *(self.parameters[n] for n in ("tol", "kappa")),
        )
        if self._plan is None or self._plan[0] != settings:
            plan = plan_frames(particles, self.parameters["tol"], kernel=self._kernel, accuracy="forces")
            self._plan = (settings, plan)
        return self._plan[1]


class LearnedPotential(Calculator):  # type: ignore[misc]
    """A trained potential of atoms, with its Coulomb energy.

    Parameters
    ----------
    potential : AtomisticPotential
        Of `sci.atomistic.train_potential`, or loaded from the file of `sci atoms train`.
    **settings
        Those of `ase.calculators.calculator.Calculator`.

    Raises
    ------
    DTypeError
        For anything but an `AtomisticPotential`.
    InvalidValueError
        In a calculation: for a species that the potential does not know, by its atom; charges and atoms that are
        periodic along one axis; initial charges that were not set, where the potential takes them.

    Notes
    -----
    Units are those of ASE: eV, angstrom, eV/angstrom^3. A potential that takes the charges of configurations gets the
    atoms' initial charges; learned charges sum to those, or to 0 without any.

    Examples
    --------
    >>> from ase import Atoms
    >>> from sci.atomistic import AtomisticConfig, AtomisticPotential
    >>> from sci.interop.ase import LearnedPotential
    >>> ions = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.4]])
    >>> ions.calc = LearnedPotential(AtomisticPotential(AtomisticConfig(["Na", "Cl"], channels=2)))
    >>> ions.get_forces().shape
    (2, 3)
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012
    discard_results_on_any_change = True
    nolabel = True

    def __init__(self, potential: AtomisticPotential, **settings: Any) -> None:
        if not isinstance(potential, AtomisticPotential):
            raise DTypeError(f"potential is {with_article(type(potential).__name__)}; expected an AtomisticPotential")
        self.potential = potential
        super().__init__(**settings)

    def __repr__(self) -> str:
        """Return the potential."""
        return f"LearnedPotential({self.potential!r})"

    def calculate(
        self, atoms: Any = None, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = all_changes
    ) -> None:
        """Compute the properties of atoms, as ASE asks for them.

        Raises
        ------
        PropertyNotImplementedError
            For the stress of atoms that do not repeat along three axes.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        if "stress" in properties and not atoms.pbc.all():
            raise PropertyNotImplementedError("atoms without three periodic axes have no stress")
        kind, known = self.potential.config.charges, atoms.has("initial_charges")
        given = kind == "given" or (kind == "learned" and known)
        if given and not known:
            raise InvalidValueError("the atoms have no charges; set those they have by atoms.set_initial_charges(...)")
        configuration = Configuration(
            atoms.get_chemical_symbols(),
            atoms.positions.copy(),
            np.array(atoms.cell) if atoms.pbc.any() else None,
            atoms.pbc.tolist(),
            atoms.get_initial_charges() if given else None,
        )
        found = self.potential(configuration, stress="stress" in properties)
        self.results = {"energy": found.energy, "free_energy": found.energy, "forces": found.forces}
        if found.stress is not None:
            self.results["stress"] = np.asarray(found.stress)[VOIGT]
