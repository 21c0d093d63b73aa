"""Energies and forces of the frames of a trajectory, with one plan for all of them."""

from __future__ import annotations

import functools
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, to_host
from sci.errors import InvalidValueError
from sci.potentials.direct import direct_sum_packed, pack
from sci.potentials.ewald import usual_alpha
from sci.potentials.forcefield.corrections import apply_exclusions
from sci.potentials.measured.error import MeasuredError
from sci.potentials.measured.measure import ENERGY_FACTOR, measure_at_particles
from sci.potentials.mesh.particle_mesh import LEAST_TOL, NoMeshError, ParticleMesh
from sci.potentials.particles import Particles, without_overflow
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.radial.kernels import Coulomb, RadialKernel, Yukawa
from sci.potentials.radial.split import COINCIDENT, Split, continuous, split_kernel
from sci.potentials.range_separated.build import (
    CHEBYSHEV_SHARE,
    Accuracy,
    build_long_range,
    charge_scale,
    close_pairs,
)
from sci.potentials.range_separated.cost import build_seconds, choose_split, target_seconds
from sci.potentials.range_separated.potential import RangeSeparatedPotential
from sci.tensor.boxes.grid import BoxGrid

__all__ = [
    "FramePlan",
    "FrameResult",
    "Trajectory",
    "compute_frame",
    "energy_and_forces",
    "frame_domain",
    "plan_frames",
]

Method = Literal["direct", "format", "periodic", "mesh"]

STEP, MARGIN = 4.0, 1.0
"""Boxes around the charges end on multiples of STEP angstrom, at least MARGIN away, so that many frames share one."""
FRAME_PLACES = 256
"""Particles of a frame at which its errors are measured."""
DIRECT_PAIR, LEAST_SECONDS = 4.2e-10, 2e-3
"""Seconds of a pair, with its force, in a direct sum, and of a mesh for few charges."""
MESH_ROUNDS = 4
"""Meshes that are tried until the error that is measured on the first frame is below the tolerance."""


@entry
@dataclass(frozen=True)
class FramePlan:
    """What all frames of a trajectory have in common; a frame's result depends on it and on nothing else.

    Parameters
    ----------
    method : "direct", "format", "periodic" or "mesh"
        The sum over all pairs, a `RangeSeparatedPotential`, a `PeriodicPotential`, or a `ParticleMesh`.
    tol : float
        Relative error of the potential that every frame is computed to.
    kernel : "coulomb" or "yukawa"
    kappa : float
        Screening, 1/angstrom.
    alpha : float
        Where the ranges part, 1/angstrom; 0 for "direct". Of a mesh: of a `PeriodicPotential` for points between its
        charges; 0 where they are isolated.
    n : int
        Particles of a frame.
    build_tol : float
        Tolerance of the parts of the format, found on the first frame; 0 stands for `tol`.
    accuracy : "potential" or "forces"
        What `tol` holds for in the format.
    continuous : bool
        Whether the short range ends at zero, as for particles in close pairs.
    force_error : float
        Root mean square error of a force that a mesh aims for, e^2/angstrom^2, found on the first frame.

    Examples
    --------
    >>> from sci.datasets import load_dataset
    >>> from sci.potentials import plan_frames
    >>> plan_frames(load_dataset("ions")[0], tol=1e-6).n
    64
    """

    method: Method
    tol: float
    kernel: str
    kappa: float
    alpha: float
    n: int
    build_tol: float = 0.0
    accuracy: Accuracy = "potential"
    continuous: bool = False
    force_error: float = 0.0

    @property
    def radial(self) -> RadialKernel:
        """The radial kernel."""
        return Yukawa(self.kappa) if self.kernel == Yukawa.name else Coulomb()

    @property
    def periodic(self) -> bool:
        """Whether the frames have a cell."""
        return self.method == "periodic" or (self.method == "mesh" and self.alpha > 0)

    @property
    def promises(self) -> tuple[str, ...]:
        """Which of "energy" and "forces" `tol` holds for; that of the energy is 10 times larger."""
        return ("energy",) if self.method == "format" and self.accuracy == "potential" else ("energy", "forces")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@entry
@dataclass(frozen=True, eq=False)
class FrameResult:
    """Energy and forces of one frame, and their measured errors.

    Parameters
    ----------
    energy : float, e^2/angstrom
        Of a periodic frame: of one cell.
    forces : (n, 3) float64, e^2/angstrom^2
    errors : (2, 2) float64
        Relative and worst error, as in `MeasuredError`: of the energy in the first row, of the forces in the second.

    Examples
    --------
    >>> from sci.datasets import load_dataset
    >>> from sci.potentials import compute_frame, plan_frames
    >>> ions = load_dataset("ions")[0]
    >>> compute_frame(ions, plan_frames(ions)).forces.shape
    (64, 3)
    """

    energy: float
    forces: Array
    errors: np.ndarray

    def __repr__(self) -> str:
        (energy, _), (forces, _) = self.errors
        return (
            f"FrameResult(energy={self.energy:.6g}, {len(self.forces)} forces, errors {energy:.1e} of the energy, "
            f"{forces:.1e} of the forces)"
        )


@entry
@dataclass(frozen=True, eq=False)
class Trajectory:
    """Energies and forces of the finished frames of a trajectory, with their measured errors.

    Parameters
    ----------
    frames : (n,) int64
        Number of each frame in its file, from 0.
    energies : (n,) float64, e^2/angstrom
        Of a periodic frame: of one cell.
    forces : (n, n_particles, 3) float64, e^2/angstrom^2
    n_frames : int
        Frames that were asked for, finished or not.
    errors : (n, 2, 2) float64, optional
        Those of each `FrameResult`: [:, 0] of the energy, [:, 1] of the forces, each relative and worst. None in files
        that were written before errors were measured.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Trajectory
    >>> Trajectory(np.arange(2), np.zeros(2), np.zeros((2, 5, 3)), 10).n_frames
    10
    """

    frames: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    n_frames: int
    errors: np.ndarray | None = None

    def __repr__(self) -> str:
        done, particles = self.forces.shape[:2]
        return f"Trajectory({done} of {self.n_frames} frames, {particles} particles, {self.forces.nbytes} bytes)"

    def measured_error(self, quantity: str = "forces") -> MeasuredError:
        """Return the largest errors over the finished frames.

        Parameters
        ----------
        quantity : "energy" or "forces"

        Returns
        -------
        MeasuredError
            Its one group is the frame with the largest relative error; up to 256 particles of each frame were compared.

        Raises
        ------
        InvalidValueError
            For another quantity, or a file without measured errors.
        """
        if quantity not in ("energy", "forces"):
            raise InvalidValueError(f"quantity is {quantity!r}; expected 'energy' or 'forces'")
        if self.errors is None or not len(self.errors):
            raise InvalidValueError("there are no measured errors of these frames; compute the trajectory again")
        found = self.errors[:, ("energy", "forces").index(quantity)]
        place = int(found[:, 0].argmax())
        pair = float(found[place, 0]), float(found[place, 1])
        places = len(found) * min(FRAME_PLACES, self.forces.shape[1])
        worst = float(found[:, 1].max())
        return MeasuredError(quantity, pair[0], worst, {f"frame {self.frames[place]}": pair}, places)


@entry
def plan_frames(
    first: Particles,
    tol: float = 1e-6,
    *,
    kernel: RadialKernel | None = None,
    accuracy: Accuracy = "potential",
    method: str = "auto",
) -> FramePlan:
    """Choose from the first frame how the frames of a trajectory are evaluated.

    Parameters
    ----------
    first : Particles
        With a `cell`, all frames are periodic.
    tol : float
        Relative L2 error, 1e-11 to 0.1; the direct sum is exact.
    kernel : Coulomb or Yukawa, optional
        1/r unless given.
    accuracy : "potential" or "forces"
        What `tol` holds for in the format of isolated frames; it is measured on the first one. On a mesh, and in
        periodic frames, it holds for both.
    method : "auto", "direct", "format" or "mesh"
        "auto" takes what the cost model finds fastest for isolated frames, and the mesh for periodic ones, or the
        format, a `PeriodicPotential`, for a tolerance that no mesh reaches.

    Returns
    -------
    FramePlan

    Raises
    ------
    InvalidValueError
    """
    kernel = kernel or Coulomb()
    if method not in ("auto", "direct", "format", "mesh"):
        raise InvalidValueError(f"method is {method!r}; expected 'auto', 'direct', 'format' or 'mesh'")
    if not 1e-11 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-11 to 0.1")
    if first.cell is not None:
        if method == "direct":
            raise InvalidValueError("the frames have a periodic cell; expected the method 'auto', 'format' or 'mesh'")
        return _plan_periodic(first, tol, kernel, method)
    direct = DIRECT_PAIR * first.n**2
    if method == "direct" or (method == "auto" and direct < LEAST_SECONDS):
        return FramePlan("direct", tol, kernel.name, kernel.kappa, 0.0, first.n)
    mesh = _mesh_seconds(first, tol, kernel, method)
    domain, eps = frame_domain(first.positions), CHEBYSHEV_SHARE * tol
    counts = np.diff(to_host(BoxGrid(domain, (16, 16, 16)).sort(first.positions)[1]))
    split = choose_split(kernel, tol, eps, domain, counts, first.n)
    volume = math.prod(b - a for a, b in domain)
    seconds = build_seconds(split, domain, eps, first.n)
    seconds += target_seconds(split, domain, first.n / volume, first.n, tol)
    if method == "auto" and direct < min(seconds, mesh):
        return FramePlan("direct", tol, kernel.name, kernel.kappa, 0.0, first.n)
    if method == "mesh" or (method == "auto" and mesh < seconds):
        error = _mesh_error(first, tol, method)
        if error is not None:
            return FramePlan("mesh", tol, kernel.name, 0.0, 0.0, first.n, force_error=error)
    phi = RangeSeparatedPotential(first, tol, kernel=kernel, accuracy=accuracy, expected_targets=first.n)
    alpha = 0.0 if phi.split.all_short else float(phi.split.alpha)
    return FramePlan(
        "format",
        tol,
        kernel.name,
        kernel.kappa,
        alpha,
        first.n,
        phi.build_tol or tol,
        accuracy,
        close_pairs(first.positions, phi.split.cutoff),
    )


def _on_mesh(tol: float, kernel: RadialKernel, method: str) -> bool:
    """Return True if a mesh takes tolerance and kernel; refuse them if one is asked for."""
    found = method in ("auto", "mesh") and tol >= LEAST_TOL and kernel.kappa == 0
    if method == "mesh" and not found:
        raise InvalidValueError(
            f"no mesh takes tol {tol:g} and kappa {kernel.kappa:g}; expected {LEAST_TOL:g} or more, and no screening, "
            "or the method 'auto'"
        )
    return found


def _mesh_seconds(first: Particles, tol: float, kernel: RadialKernel, method: str) -> float:
    """Return the model's time of isolated charges on a mesh; infinite if there is none."""
    if _on_mesh(tol, kernel, method):
        with suppress(NoMeshError):
            return LEAST_SECONDS + ParticleMesh(first, tol).first_plan.seconds
    return math.inf


def _plan_periodic(first: Particles, tol: float, kernel: RadialKernel, method: str) -> FramePlan:
    """Plan a mesh whose error, measured on the first frame, is below the tolerance, or the format if there is none."""
    error = _mesh_error(first, tol, method) if _on_mesh(tol, kernel, method) else None
    if error is None:
        return FramePlan("periodic", tol, kernel.name, kernel.kappa, usual_alpha(first), first.n)
    return FramePlan("mesh", tol, kernel.name, 0.0, usual_alpha(first), first.n, force_error=error)


def _mesh_error(first: Particles, tol: float, method: str) -> float | None:
    """Return the error of a force that a mesh is to aim for; None if none reaches the tolerance."""
    try:
        mesh = ParticleMesh(first, tol)
        aim = max(mesh.plan.force_error, 0.7 * tol * mesh.common_force())
        mesh = ParticleMesh(first, tol, force_error=aim)
        for _ in range(MESH_ROUNDS):
            excess = max(mesh.measured_error("forces").relative, mesh.measured_error("energy").relative / ENERGY_FACTOR)
            if excess <= tol:
                return mesh.plan.force_error
            mesh = ParticleMesh(first, tol, force_error=0.7 * mesh.plan.force_error * tol / excess)
    except NoMeshError:
        if method == "mesh":
            raise
    return None


@entry
def compute_frame(particles: Particles, plan: FramePlan) -> FrameResult:
    """Return energy and forces of a frame, with errors that are measured at 256 of its particles, or at all by a mesh.

    Parameters
    ----------
    particles : Particles
        With a `cell` if and only if the plan is periodic; the cell may change from frame to frame.
    plan : FramePlan

    Returns
    -------
    FrameResult

    Raises
    ------
    InvalidValueError
        If the frame does not fit the plan.

    Notes
    -----
    The particles are compared with direct sums over all pairs, or with `ewald_sum`, which takes a third of the time of
    a periodic frame; a mesh with another one, see `ParticleMesh.measured_error`. The direct method is exact: its errors
    are 0.

    Examples
    --------
    >>> from sci.potentials import Particles, compute_frame, plan_frames
    >>> pair = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, -1.0])
    >>> found = compute_frame(pair, plan_frames(pair))
    >>> found.energy, found.forces[0].round(6) + 0.0, float(found.errors.max())
    (-0.5, array([0.  , 0.  , 0.25]), 0.0)
    """
    phi = _potential(particles, plan)
    if phi is None:
        return FrameResult(*_direct(particles, plan), np.zeros((2, 2)))
    energy, forces = phi.energy_and_forces()
    if isinstance(phi, ParticleMesh):
        errors = {quantity: phi.measured_error(quantity) for quantity in ("energy", "forces")}
    else:
        errors = measure_at_particles(phi, ("energy", "forces"), FRAME_PLACES)
    return FrameResult(energy, forces, np.array([(e.relative, e.worst) for e in errors.values()]))


@entry
def energy_and_forces(
    particles: Particles, plan: FramePlan | None = None, *, tol: float | None = None
) -> tuple[float, Array]:
    """Return energy, e^2/angstrom, and forces, (n, 3) in e^2/angstrom^2, as `compute_frame`, but no errors.

    Parameters
    ----------
    particles : Particles
    plan : FramePlan, optional
        From `plan_frames`, for many frames. Without it the method is chosen for these particles and `tol`.
    tol : float, optional
        Relative L2 error of the forces, 1e-11 to 0.1, in place of a plan; 1e-6 unless given.

    Returns
    -------
    (float, array)

    Raises
    ------
    InvalidValueError
        If the frame does not fit the plan, or for a plan with a tolerance.

    Notes
    -----
    One evaluation of potential and gradient at the particles serves both. Splits are kept for the boxes met last, plans
    and modes of a mesh for the cells.

    Examples
    --------
    >>> from sci.datasets import load_dataset
    >>> from sci.potentials import energy_and_forces
    >>> energy, forces = energy_and_forces(load_dataset("ions")[0], tol=1e-4)
    >>> forces.shape
    (64, 3)
    """
    if plan is not None and tol is not None:
        raise InvalidValueError("plan and tol are both given; expected one of them, for a plan has its own tol")
    if plan is None:
        return _once(particles, 1e-6 if tol is None else tol)
    phi = _potential(particles, plan)
    return _direct(particles, plan) if phi is None else phi.energy_and_forces()


def _once(particles: Particles, tol: float) -> tuple[float, Array]:
    """Return energy and forces by the method that is fastest for one evaluation."""
    if not 1e-11 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-11 to 0.1")
    direct = DIRECT_PAIR * particles.n**2 if particles.cell is None else math.inf
    if tol >= LEAST_TOL and direct > LEAST_SECONDS:
        with suppress(NoMeshError):
            mesh = ParticleMesh(particles, tol)
            if LEAST_SECONDS + mesh.first_plan.seconds < direct:
                return mesh.energy_and_forces()
    if particles.cell is not None:
        return PeriodicPotential(particles, tol).energy_and_forces()
    plan = plan_frames(particles, tol, accuracy="forces")
    phi = _potential(particles, plan)
    return _direct(particles, plan) if phi is None else phi.energy_and_forces()


def _potential(
    particles: Particles, plan: FramePlan
) -> RangeSeparatedPotential | PeriodicPotential | ParticleMesh | None:
    """Return the potential of a frame; None where the plan sums all pairs."""
    if particles.n != plan.n:
        raise InvalidValueError(f"the frame has {particles.n} particles; expected {plan.n}, as in the first frame")
    if (particles.cell is not None) != plan.periodic:
        has = "a periodic cell" if particles.cell is not None else "no cell"
        raise InvalidValueError(f"the frame has {has}, unlike the first frame; expected a cell in all frames or none")
    if plan.method == "mesh":
        return ParticleMesh(particles, plan.tol, force_error=plan.force_error)
    if plan.method == "periodic":
        return PeriodicPotential(particles, plan.tol, kernel=plan.radial, alpha=plan.alpha)
    return None if plan.method == "direct" else _in_format(particles, plan)


def _direct(particles: Particles, plan: FramePlan) -> tuple[float, Array]:
    charges, packed = particles.charges, pack(particles)

    def apart(points: Array, gradient: bool, distance: float) -> Array:
        return direct_sum_packed(points, packed, plan.radial, gradient, distance)

    found = apply_exclusions(apart(particles.positions, True, COINCIDENT), particles, plan.radial, apart)
    energy = 0.5 * float(without_overflow((charges * found[:, 0]).sum(), "the energy"))
    return energy, without_overflow(-charges[:, None] * found[:, 1:], "forces")


def _in_format(particles: Particles, plan: FramePlan) -> RangeSeparatedPotential:
    domain = frame_domain(particles.positions)
    tol = plan.build_tol or plan.tol
    split = _split(plan.radial, tol, domain, plan.alpha, plan.continuous)
    scale = charge_scale(particles.charges)
    long_range = build_long_range(particles.positions, particles.charges, split, domain, tol, scale)
    return RangeSeparatedPotential.from_parts(
        particles, long_range, split, plan.tol, accuracy=plan.accuracy, build_tol=tol, expected_targets=plan.n
    )


def frame_domain(positions: ArrayLike) -> tuple[tuple[float, float], ...]:
    """Return the box of a frame, on multiples of STEP angstrom, so that many frames share one."""
    low = np.floor((to_host(positions.min(axis=0)) - MARGIN) / STEP) * STEP
    high = np.ceil((to_host(positions.max(axis=0)) + MARGIN) / STEP) * STEP
    return tuple(zip(low.tolist(), high.tolist()))


@functools.lru_cache(maxsize=16)
def _split(
    kernel: RadialKernel, tol: float, domain: tuple[tuple[float, float], ...], alpha: float, ends_at_zero: bool
) -> Split:
    split = split_kernel(kernel, tol, math.dist(*zip(*domain)), alpha)
    return continuous(split) if ends_at_zero else split
