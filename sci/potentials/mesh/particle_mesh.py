"""Energy, forces and stress of charges in one evaluation: pairs within a cutoff, all the rest on a mesh."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, ArrayLike, as_points, is_device_array, namespace, to_host
from sci.distributed import Comm, agreed, size
from sci.errors import InvalidValueError, ShapeError
from sci.potentials.forcefield.corrections import apply_exclusions
from sci.potentials.forcefield.virial import exclusion_strain
from sci.potentials.measured.error import MeasuredError, compare, energy_error, warn_above
from sci.potentials.measured.measure import ENERGY_FACTOR, field_floor
from sci.potentials.mesh.errors import ChargeSizes
from sci.potentials.mesh.evaluate import ROUNDING_SHARE, mesh_sums, near_sums
from sci.potentials.mesh.on_device import DeviceMesh, device_mesh
from sci.potentials.mesh.plan import MeshPlan, check_plan, plan_mesh
from sci.potentials.mesh.reciprocal import mesh_virial
from sci.potentials.mesh.surroundings import Alone, Cell, Sample, surroundings_of
from sci.potentials.particles import Particles, without_overflow
from sci.potentials.radial.kernels import Coulomb
from sci.potentials.radial.split import COINCIDENT

__all__ = ["LEAST_TOL", "NoMeshError", "ParticleMesh"]

SINGLE, FAR_SINGLE = 1e-6, 2e-7
"""Rounding of a force in float32 over the usual force, see `_usual_force`, and over that of the total charge."""
CHECKED = 0.05
"""Error of the mesh that others are compared with, over theirs."""
FEW = 256
"""Charges of a cell up to which errors are measured against Ewald's sum: those of few may cancel in the energy, which a
mesh of a 20th of their size does not tell."""
ROUNDED = 1e-3
"""Errors that plans are made for differ by this times themselves at least, so that many frames have one plan."""
ROUNDS, LEAST_TOL = 4, 1e-10
SLAB_TOL = 1e-8
"""What images of slabs add where `force_error` takes the place of a tolerance: the room grows with its logarithm."""


class NoMeshError(InvalidValueError):
    """No mesh reaches the tolerance."""


class _Found(NamedTuple):
    """One evaluation, and the plan that it was made with."""

    plan: MeshPlan
    energy: float
    potentials: Array
    forces: Array
    near_virial: np.ndarray | None
    modes: Array | None
    force_size: float
    """Root mean square force, e^2/angstrom^2."""


@collective_entry
class ParticleMesh:
    r"""Isolated charges, or charges that repeat with a cell, evaluated once, at the charges themselves, on a mesh.

    The potential of a cell is that of `PeriodicPotential`: mean zero over the cell, a neutralizing background for a
    total charge, no surface; that of isolated charges vanishes far away. 1/r is B + S with B of few modes, which are
    summed on a grid, and S zero beyond a cutoff, summed by pairs.

    Parameters
    ----------
    particles : Particles
        The rows of their `cell`, if they have one, may be any three periods. Particles outside of the cell are moved
        into it. Pairs of their `exclusions` are left out or scaled.
    tol : float
        Relative L2 error of the forces, 1e-10 to 0.1; that of the energy is below 10 times as much of sum |q phi|.
    force_error : float, optional
        Root mean square error of a force, e^2/angstrom^2, in place of `tol`: evaluations of cells that differ little,
        as those of a simulation, then have one plan.
    slab : bool
        Repeat the particles along the first two rows of `cell` alone, as in `PeriodicPotential`: the grid has room
        along the normal, and the sums the dipole correction.
    comm : mpi4py communicator, optional
        Every rank passes the same particles, and gets all results. Ranks share pairs and grid; the constructor, which
        then evaluates, is collective, all else is local.

    Raises
    ------
    InvalidValueError
        For a tolerance out of range, or one that no mesh reaches: `PeriodicPotential` or `RangeSeparatedPotential` then
        does.

    Notes
    -----
    Cutoff, bandwidth, grid and window are the fastest ones whose error formulas promise the tolerance; float32 serves
    where it is exact enough. The formulas hold for charges without correlation; neutral molecules lie 2 to 4 times
    below. `predicted_error` says what they promise, `measured_error` compares with another mesh, whose split is Ewald's
    and whose error is 20 times smaller, or with sums over all pairs where charges are isolated. The grid of these has
    twice the points along each axis, and holds B at all distances in place of its modes.

    The interpolant is differentiated, so that forces are the derivative of an energy; they sum to about the error of
    one of them, not to zero. O(N log N).

    References
    ----------
    U. Essmann et al., J. Chem. Phys. 103 (1995) 8577, for the mesh; `sci.potentials.mesh.prolate` for the split.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import ParticleMesh, Particles
    >>> cscl = Particles([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], [1.0, -1.0], cell=np.eye(3))
    >>> mesh = ParticleMesh(cscl, 1e-6)
    >>> round(-mesh.energy() * 3**0.5 / 2, 5), mesh.predicted_error < 1e-6
    (1.76267, True)
    """

    def __init__(
        self,
        particles: Particles,
        tol: float = 1e-5,
        *,
        force_error: float | None = None,
        slab: bool = False,
        comm: Comm = None,
    ) -> None:
        with agreed(comm, "ParticleMesh") as agreement:
            _check(particles, tol, force_error, slab)
            agreement.same(positions=particles.positions, charges=particles.charges, cell=particles.cell)
            agreement.same(tol=tol, force_error=force_error, slab=slab)
        self.particles, self.tol, self.comm = particles, tol, comm
        self._around: Cell | Alone = surroundings_of(particles, tol if force_error is None else SLAB_TOL, slab)
        self.volume, self._given, self.slab = self._around.occupied, force_error, slab
        self._charges = to_host(particles.charges)
        self._largest = float(np.abs(self._charges).max())
        self._steps: DeviceMesh | None = None
        self._later: ParticleMesh | None = None
        self._sizes = ChargeSizes.of(self._charges, self.volume)
        self._first = self._planned(tol * self._usual_force if force_error is None else force_error)
        self._kept = self._converged() if size(comm) > 1 else None  # now, while all ranks take part

    def __repr__(self) -> str:
        plan = self._first if self._kept is None else self._kept.plan
        return (
            f"ParticleMesh({self.particles.n} charges{' in a slab' if self.slab else ''}, tol={self.tol:g}, {plan!r})"
        )

    @property
    def first_plan(self) -> MeshPlan:
        """The plan before the forces are known."""
        return self._first

    @property
    def plan(self) -> MeshPlan:
        """How the cell is evaluated: not known before the forces are, as errors are relative to them."""
        return self._found.plan

    @functools.cached_property
    def _usual_force(self) -> float:
        """The mean square charge over the square of the usual distance: below the force on a charge in a liquid."""
        mean = self._sizes.strength * math.sqrt(self.volume / self.particles.n)
        return float((mean or 1.0) * (self.particles.n / self.volume) ** (2 / 3))

    def _planned(self, error: float) -> MeshPlan:
        rounding = SINGLE * self._usual_force + FAR_SINGLE * self._around.far_force()
        single, key, filled = rounding <= ROUNDING_SHARE * error, self._around.key, self._around.filled
        plan = plan_mesh(key, self._sizes.rounded_up(ROUNDED), _rounded_down(error), single, filled)
        if plan is None:
            other = "PeriodicPotential" if filled is None else "RangeSeparatedPotential, or direct_sum"
            raise NoMeshError(
                f"no mesh reaches an error of {error:.2g} e^2/angstrom^2 in the forces; expected a larger tol, or use "
                f"{other}"
            )
        return plan

    def energy(self) -> float:
        """Return the energy, of one cell if there is one, 1/2 sum_i q_i phi(y_i), in e^2/angstrom."""
        return self._found.energy

    def forces(self) -> Array:
        """Return the forces on the particles, (n, 3) in e^2/angstrom^2."""
        return self._found.forces.copy()

    def energy_and_forces(self) -> tuple[float, Array]:
        """Return `energy` and `forces`; the evaluation is one in any case."""
        return self.energy(), self.forces()

    def potentials(self) -> Array:
        """Return the potential at each particle, (n,) in e/angstrom: of all others that count, and of its own images.

        It is the derivative of the energy by the charge of the particle.
        """
        return self._found.potentials.copy()

    def stress(self) -> np.ndarray:
        """Return the derivative of the energy by strain over the volume, as `periodic_stress`.

        Returns
        -------
        (3, 3) float64, e^2/angstrom^4
            On the host. Its trace is minus the energy over the volume.

        Raises
        ------
        InvalidValueError
            For isolated charges and slabs, which have no volume: their `virial` is minus the derivative by strain.
        """
        if self._around.cell is None or self.slab:
            raise InvalidValueError("the particles have no cell, and so no stress; expected a cell, or use virial()")
        return self._strained(self._around.cell) / self._around.volume

    def _strained(self, cell: np.ndarray) -> np.ndarray:
        """Return the derivative of the energy of a cell by strain, without that of a dipole correction."""
        p, (plan, _, _, _, near, modes, _) = self._around.particles, self._found
        left_out, apart = exclusion_strain(p, Coulomb())
        if near is None or apart > COINCIDENT:  # what close pairs that do not count would add cancels all digits
            near = near_sums(p.positions, p.charges, cell, plan, self._sizes.strength, apart).virial
        far = mesh_virial(modes, cell, plan.split, plan.grid, plan.order)
        background = 0.5 * p.total_charge * self._around.background(plan.split.background)
        found: np.ndarray = left_out - near - far - background * np.eye(3)
        return found

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def virial(self) -> np.ndarray:
        r"""Return the virial W_ab = -dE / d strain_ab = \sum r_a f_b over pairs, (3, 3) in e^2/angstrom, on the host.

        Of a cell, minus the stress times the volume; of isolated charges \sum_i x_i f_i about the middle, symmetric.
        """
        if self._around.cell is not None:
            lacking = 0.0 if self._around.slab is None else self._around.slab.virial()
            return np.asarray(lacking - self._strained(self._around.cell))
        places = self.particles.positions
        found = to_host((places - places.mean(axis=0)).T @ self._found.forces)
        return np.asarray(without_overflow(0.5 * (found + found.T), "the virial"))

    def common_force(self) -> float:
        """Return the root mean square force, e^2/angstrom^2, where those above three times the median count as that."""
        xp = namespace(self._found.forces)
        sizes = xp.sqrt((self._found.forces**2).sum(axis=1))
        return float(xp.sqrt((xp.minimum(sizes, 3 * xp.median(sizes)) ** 2).mean()))

    @property
    def predicted_error(self) -> float:
        """Predicted relative L2 error of the forces: of split, mesh and rounding, without a comparison."""
        return self.plan.force_error / self._scale(self._found.force_size)

    @property
    def _found(self) -> _Found:
        if self._kept is None:
            self._kept = self._converged()
        return self._kept

    def _converged(self) -> _Found:
        """Return the evaluation, made anew with another plan where the forces turn out smaller than was supposed."""
        plan = self._first
        for _ in range(ROUNDS):
            found = self._evaluate(plan, self.comm)
            allowed = self.tol * self._scale(found.force_size)
            if self._given is not None or plan.force_error <= allowed:
                return found
            plan = self._planned(allowed)
        return self._evaluate(plan, self.comm)

    def _scale(self, force_size: float) -> float:
        """Return the root mean square force, or the floor below which forces have canceled."""
        floor = (self._largest or 1.0) * field_floor(self._charges, (self.volume / self.particles.n) ** (1 / 3), True)
        return max(force_size, floor) or 1.0

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def _evaluate(self, plan: MeshPlan, comm: Comm = None) -> _Found:
        mesh = self._on_device(self._around, plan) if size(comm) == 1 else None
        return self._at(self._around, plan, comm, mesh, False)

    @np.errstate(over="ignore", invalid="ignore")
    def _checked(self, around: Cell | Alone, plan: MeshPlan) -> _Found:
        """Evaluate a plan that others are compared with."""
        return self._at(around, plan, None, self._on_device(around, plan), True)

    def _on_device(self, around: Cell | Alone, plan: MeshPlan, apart: float = COINCIDENT) -> DeviceMesh | None:
        """Return the mesh of a device, or None on the host."""
        background = around.background(plan.split.background)
        charges = self.particles.charges
        return device_mesh(charges, self._largest, around, plan, self._sizes.strength, background, apart)

    def _at(self, around: Cell | Alone, plan: MeshPlan, comm: Comm, mesh: DeviceMesh | None, checks: bool) -> _Found:
        """Evaluate a plan for particles with the same charges, anywhere."""
        p = around.particles
        if mesh is not None:
            totals = mesh.evaluate(p.positions)
            if not totals.finite:
                raise InvalidValueError("forces or the energy overflow float64; pass the charges in another unit")
            kept: tuple[np.ndarray | None, Array | None] = totals.near_virial, None
            if around.filled is None:
                kept = totals.near_virial, mesh.modes
            if p.exclusions is None and around.slab is None:
                return _Found(plan, totals.energy, mesh.potentials, mesh.forces, *kept, totals.force_size)
            potentials, forces = mesh.potentials, mesh.forces
        else:
            sums = mesh_sums(around.places(), p.charges, around.cell, plan, self._sizes.strength, comm)
            potentials, forces = sums.potentials + around.background(plan.split.background), sums.forces
            kept = sums.near_virial, sums.modes
        if around.slab is not None:
            lacking = namespace(potentials).zeros((p.n, 4))
            around.slab.add_to(lacking, p.positions)
            potentials, forces = potentials + lacking[:, 0], forces - p.charges[:, None] * lacking[:, 1:]
        return self._whole(around, plan, potentials, forces, *kept, checks)

    def _whole(
        self,
        around: Cell | Alone,
        plan: MeshPlan,
        potentials: Array,
        forces: Array,
        near_virial: np.ndarray | None,
        modes: Array | None,
        checks: bool,
    ) -> _Found:
        """Leave out pairs that do not count, and sum."""
        p = around.particles
        if p.exclusions is not None:
            potentials, forces = self._excluded(around, potentials, forces, checks)
        energy = float(without_overflow(0.5 * (p.charges * potentials).sum(keepdims=True), "the energy")[0])
        forces = without_overflow(forces, "forces")
        largest = float(namespace(forces).abs(forces).max()) or 1.0
        force_size = largest * math.sqrt(float(((forces / largest) ** 2).sum()) / len(forces))
        return _Found(plan, energy, potentials, forces, near_virial, modes, force_size)

    def moved(self, positions: ArrayLike) -> tuple[float, Array]:
        """Return energy and forces of the same charges at other positions, in the same cell and with the same plan.

        Parameters
        ----------
        positions : (n, 3) float64
            Where the particles are now, angstrom, on their device.

        Returns
        -------
        float, (n, 3) float64
            As `energy_and_forces`.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError

        Notes
        -----
        For the steps of a simulation. The error of the forces is that of the plan, `plan.force_error`; isolated charges
        that leave the box of the plan are planned anew. On a device nothing waits for the host before the results: the
        work of a step is recorded at the second call, as a graph of CUDA, and launched as one from then on, but for
        pairs that are left out. Collective if the constructor was.
        """
        if self._later is not None:
            return self._later.moved(positions)
        mesh = self._stepped(positions) if is_device_array(self.particles.positions) and size(self.comm) == 1 else None
        if mesh is not None:
            return mesh
        with agreed(self.comm, "moved") as agreement:
            places = as_points(positions, xp=namespace(self.particles.positions))
            if len(places) != self.particles.n:
                raise ShapeError(
                    f"positions has {len(places)} rows; expected {self.particles.n}, one for each particle"
                )
            agreement.same(positions=places)
            particles = replace(self.particles, positions=places)
        around = self._around.at(particles)
        if around is None:
            given = {"force_error": self._given, "slab": self.slab, "comm": self.comm}
            self._steps, self._later = None, ParticleMesh(particles, self.tol, **given)
            return self._later.energy_and_forces()
        found = self._at(around, self.plan, self.comm, None, False)
        return found.energy, found.forces

    def _stepped(self, positions: ArrayLike) -> tuple[float, Array] | None:
        """Return a step on a device; None where the host must look at the positions first."""
        p, xp = self.particles, namespace(self.particles.positions)
        places = xp.asarray(positions)
        if self.slab or places.shape != (p.n, 3) or places.dtype != np.float64 or not is_device_array(positions):
            return None
        if self._steps is None:
            # Where all pairs count, charges that meet make forces that are no numbers: told below.
            self._steps = self._on_device(self._around, self.plan, COINCIDENT if p.exclusions is not None else -1.0)
            totals = None if self._steps is None else self._steps.evaluate(places)
        else:
            totals = self._steps.replay(places)
        if self._steps is None or totals is None or totals.outside or not totals.finite:
            return None
        if p.exclusions is None:
            return totals.energy, self._steps.forces.copy()
        here = self._around.at(replace(p, positions=places.copy()))
        assert here is not None
        found = self._whole(here, self.plan, self._steps.potentials, self._steps.forces, None, None, False)
        return found.energy, found.forces

    def _excluded(self, around: Cell | Alone, potentials: Array, forces: Array, checks: bool) -> tuple[Array, Array]:
        """Return potentials and forces without the pairs that are left out."""
        p, xp = around.particles, namespace(potentials)
        fields = xp.concatenate([potentials[:, None], xp.zeros((p.n, 3))], axis=1)
        # Of a charge of zero the gradient is not known, and not wanted.
        fields[:, 1:] = -forces / xp.where(p.charges == 0, 1.0, p.charges)[:, None]
        fields = apply_exclusions(fields, p, Coulomb(), functools.partial(around.apart, self.tol, checks))
        return fields[:, 0], -p.charges[:, None] * fields[:, 1:]

    def measured_error(self, quantity: str = "forces") -> MeasuredError:
        """Return the error of energy or forces, measured against a mesh with another split and a 20th of the error.

        The energy has what that mesh may be wrong by added to its error. Up to 256 particles, and 256 of them where no
        mesh is so exact, are compared with `ewald_sum`; isolated charges, 256 of them or more, with sums over all
        pairs.

        Parameters
        ----------
        quantity : "energy" or "forces"

        Returns
        -------
        MeasuredError

        Raises
        ------
        InvalidValueError
            For another quantity.

        Warns
        -----
        ToleranceWarning
            Once, if `tol` holds and is missed.
        """
        if quantity not in ("energy", "forces"):
            raise InvalidValueError(f"quantity is {quantity!r}; expected 'energy' or 'forces'")
        found = self._errors[quantity]
        limit = self.tol * (ENERGY_FACTOR if quantity == "energy" else 1.0)
        if self._given is None and found.relative > limit and "_warned" not in self.__dict__:
            self.__dict__["_warned"] = True
            warn_above(found, limit, "build it with a smaller tol")
        return found

    @functools.cached_property
    def _errors(self) -> dict[str, MeasuredError]:
        p, xp = self.particles, namespace(self.particles.positions)
        plan = None
        if self._around.filled is None and p.n > FEW:
            sizes = self._sizes.rounded_up(ROUNDED)
            around = self._around.exact()
            plan = check_plan(around.key, sizes, _rounded_down(CHECKED * self.plan.force_error))
        if plan is None:
            return self._compared(self._around.sample())
        exact = self._checked(around, plan)
        sizes = np.abs(to_host(p.charges * exact.potentials))
        ones, together = np.ones(p.n), np.zeros(p.n, dtype=np.int64)
        return self._compared(Sample(xp.arange(p.n), exact.potentials, exact.forces, sizes, ones, together, CHECKED))

    def _compared(self, exact: Sample) -> dict[str, MeasuredError]:
        """Return the errors at chosen particles, of potentials and forces."""
        q, here = self.particles.charges[exact.rows], self._found
        unit = float(namespace(q).abs(self.particles.charges).max()) or 1.0
        floor = field_floor(self.particles.charges, (self.volume / self.particles.n) ** (1 / 3), True)
        missed = to_host((q / unit) * (here.potentials[exact.rows] - exact.potentials))
        energy = energy_error(missed, exact.sizes / unit, exact.weights, exact.clusters, exact.wrong)
        error = here.forces[exact.rows] - exact.forces
        force = compare(error / unit, exact.forces / unit, exact.weights, floor)
        pairs = {"energy": energy, "forces": force}
        return {name: MeasuredError(name, *pair, {"particles": pair}, len(q)) for name, pair in pairs.items()}


def _rounded_down(error: float) -> float:
    """Return one of few numbers just below."""
    return math.exp(math.floor(math.log(error) / ROUNDED) * ROUNDED) if 1e-300 < error < 1e300 else error


def _check(particles: Particles, tol: float, force_error: float | None, slab: bool) -> None:
    if slab and particles.cell is None:
        raise InvalidValueError("the particles have no cell; expected one for slab=True, whose first two rows repeat")
    if not LEAST_TOL <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from {LEAST_TOL:g} to 0.1")
    if force_error is not None and not 0 < force_error < math.inf:
        raise InvalidValueError(f"force_error is {force_error}; expected a positive number (e^2/angstrom^2)")
