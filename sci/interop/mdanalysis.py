"""An MDAnalysis analysis: electrostatic energies, forces and potentials of the frames of a trajectory."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.interop.packages import missing
from sci.potentials import (
    Coulomb,
    Exclusions,
    FramePlan,
    Particles,
    PeriodicPotential,
    RadialKernel,
    Yukawa,
    direct_sum,
    energy_and_forces,
    plan_frames,
)
from sci.units import energy_factor, potential_factor

try:
    from MDAnalysis.analysis.base import AnalysisBase
    from MDAnalysis.lib.mdamath import triclinic_vectors
except ImportError as error:
    raise missing("MDAnalysis") from error

__all__ = ["Electrostatics", "exclusions"]


def exclusions(atoms: Any, *, scale14: float = 1.0) -> Exclusions:
    """Return the exclusions of a group of atoms from the bonds of its topology.

    Parameters
    ----------
    atoms : MDAnalysis.AtomGroup
        With bonds: of PSF, PRMTOP, TPR and other files, or guessed by MDAnalysis.
    scale14 : float
        Factor of 1-4 pairs, 0 to 1: 1/1.2 in AMBER, 0.5 in OPLS, 1 in CHARMM.

    Returns
    -------
    Exclusions
        Atoms are numbered by their place in the group.

    Raises
    ------
    InvalidValueError
        For a topology without bonds.

    Examples
    --------
    >>> import MDAnalysis
    >>> from sci.interop.mdanalysis import exclusions
    >>> water = MDAnalysis.Universe.empty(3, trajectory=True)
    >>> water.add_TopologyAttr("bonds", [(0, 1), (0, 2)])
    >>> exclusions(water.atoms)
    Exclusions(3 pairs left out and 0 scaled, of 3 atoms)
    """
    universe = atoms.universe
    found = getattr(universe, "bonds", None)
    if found is None:
        raise InvalidValueError("the topology names no bonds; read others, or use sci.potentials.bonds_by_distance")
    bonds = np.asarray(found.indices, dtype=np.int64).reshape(-1, 2)
    return Exclusions.from_bonds(bonds, len(universe.atoms), scale14=scale14).of_atoms(atoms.indices)


class Electrostatics(AnalysisBase):  # type: ignore[misc]
    """The electrostatics of a group of atoms in every frame: energy, forces and, at chosen places, the potential.

    Parameters
    ----------
    atoms : MDAnalysis.AtomGroup
        With charges. Only the atoms of the group interact; other forces are not in it.
    tol : float
        Relative L2 error, 1e-11 to 0.1: of the forces for isolated frames, of the potential for periodic ones.
    kappa : float
        Screening, 1/angstrom: pairs interact by exp(-kappa r)/r.
    periodic : bool, optional
        Sum over all images of the box of each frame, or over none. Unless given, the frames are periodic if the first
        one has a box.
    exclusions : Exclusions, optional
        Pairs of atoms of the group that are left out or scaled, such as `exclusions(atoms, scale14=1 / 1.2)`.
    points : (m, 3) array, angstrom, optional
        Places where the potential of the group is computed in each frame.
    **settings
        Those of `MDAnalysis.analysis.base.AnalysisBase`.

    Attributes
    ----------
    results.energies : (frames,) float64, kJ/mol
    results.forces : (frames, atoms, 3) float64, kJ/(mol angstrom)
    results.potentials : (frames, m) float64, volt
        With `points` only.

    Raises
    ------
    InvalidValueError
        For atoms without charges, or with charges that are all zero; in `run`, for a frame without a box where the
        frames are periodic, and as `sci.potentials.plan_frames`.

    Notes
    -----
    Units are those of MDAnalysis, whose coordinates are float32: an error of 1e-7 of the coordinates is in the results.
    How frames are evaluated is chosen at the first one. Energies of periodic frames are those of one cell, with a
    conducting boundary, and a neutralizing background for a net charge. The attributes `frames` and `times` are those
    of `AnalysisBase`.

    Examples
    --------
    >>> import MDAnalysis
    >>> import numpy as np
    >>> from sci.interop.mdanalysis import Electrostatics
    >>> ions = MDAnalysis.Universe.empty(2, trajectory=True)
    >>> ions.add_TopologyAttr("charges", [1.0, -1.0])
    >>> ions.atoms.positions = [[0, 0, 0], [0, 0, 2]]
    >>> found = Electrostatics(ions.atoms, points=np.array([[0.0, 0.0, 1.0]])).run()
    >>> print(np.round(found.results.energies, 3), np.round(found.results.potentials, 3))
    [-694.677] [[0.]]
    """

    _analysis_algorithm_is_parallelizable = False

    def __init__(
        self,
        atoms: Any,
        *,
        tol: float = 1e-6,
        kappa: float = 0.0,
        periodic: bool | None = None,
        exclusions: Exclusions | None = None,
        points: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(atoms.universe.trajectory, **settings)
        charges = getattr(atoms, "charges", None)
        if charges is None or not np.any(charges):
            raise InvalidValueError("the atoms have no charges; read a topology that names them, or add the charges")
        if not 0 <= kappa < float("inf"):
            raise InvalidValueError(f"kappa is {kappa}; expected a number that is not negative (1/angstrom)")
        self.atoms, self.tol, self.kappa, self.periodic = atoms, tol, kappa, periodic
        self.exclusions = exclusions
        self.points = None if points is None else np.ascontiguousarray(points, dtype=np.float64)
        self._charges = np.asarray(charges, dtype=np.float64)

    def __repr__(self) -> str:
        """Return the number of atoms and the settings."""
        return f"Electrostatics({len(self.atoms)} atoms, tol={self.tol:g}, kappa={self.kappa:g})"

    def _prepare(self) -> None:
        self._plan: FramePlan | None = None
        self._periodic = self.periodic
        self.results.energies = np.zeros(self.n_frames)
        self.results.forces = np.zeros((self.n_frames, len(self.atoms), 3))
        if self.points is not None:
            self.results.potentials = np.zeros((self.n_frames, len(self.points)))

    def _single_frame(self) -> None:
        particles = self._particles()
        if self._plan is None:
            kernel: RadialKernel = Yukawa(self.kappa) if self.kappa > 0 else Coulomb()
            self._plan = plan_frames(particles, self.tol, kernel=kernel, accuracy="forces")
        energy, forces = energy_and_forces(particles, self._plan)
        self.results.energies[self._frame_index] = energy_factor("kJ/mol") * energy
        self.results.forces[self._frame_index] = energy_factor("kJ/mol") * forces
        if self.points is not None:
            self.results.potentials[self._frame_index] = potential_factor("V") * self._at_points(particles)

    def _particles(self) -> Particles:
        box = self.atoms.dimensions
        has_box = box is not None and bool(np.all(box[:3] > 0))
        if self._periodic is None:
            self._periodic = has_box
        if self._periodic and not has_box:
            raise InvalidValueError(f"frame {self._ts.frame} has no box; expected one, as the frames are periodic")
        cell = np.asarray(triclinic_vectors(box), dtype=np.float64) if self._periodic else None
        positions = self.atoms.positions.astype(np.float64)
        return Particles(positions, self._charges, cell=cell, exclusions=self.exclusions)

    def _at_points(self, particles: Particles) -> np.ndarray:
        """Return the potential at the points, e/angstrom."""
        assert self._plan is not None
        if particles.cell is None:
            return np.asarray(direct_sum(particles, self.points, kernel=self._plan.radial))
        return np.asarray(
            PeriodicPotential(particles, self.tol, kernel=self._plan.radial, alpha=self._plan.alpha)(self.points)
        )
