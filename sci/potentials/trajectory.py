"""Energies and forces of the frames of a trajectory, with one plan for all of them."""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from sci.backend import Array, to_host
from sci.errors import InvalidValueError
from sci.potentials.direct import direct_sum
from sci.potentials.particles import Particles
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.radial.kernels import Coulomb, RadialKernel, Yukawa
from sci.potentials.radial.split import Split, split_kernel
from sci.potentials.range_separated.build import CHEBYSHEV_SHARE, Accuracy, build_long_range, charge_scale
from sci.potentials.range_separated.cost import build_seconds, choose_split, target_seconds
from sci.potentials.range_separated.potential import RangeSeparatedPotential
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["FramePlan", "Trajectory", "energy_and_forces", "plan_frames"]

Method = Literal["direct", "format", "periodic"]

STEP, MARGIN = 4.0, 1.0
"""Boxes around the charges end on multiples of STEP angstrom, at least MARGIN away, so that many frames share one."""
DIRECT_PAIR = 1.5e-9
"""Seconds of a pair, with its force, in a direct sum."""


@dataclass(frozen=True)
class FramePlan:
    """What all frames of a trajectory have in common; a frame's result depends on it and on nothing else.

    Parameters
    ----------
    method : "direct", "format" or "periodic"
        The sum over all pairs, a `RangeSeparatedPotential`, or a `PeriodicPotential`.
    tol : float
    kernel : "coulomb" or "yukawa"
    kappa : float
        Screening, 1/angstrom.
    alpha : float
        Where the ranges part, 1/angstrom; 0 for "direct".
    n : int
        Particles of a frame.
    build_tol : float
        Tolerance of the parts of the format, found on the first frame; 0 stands for `tol`.
    """

    method: Method
    tol: float
    kernel: str
    kappa: float
    alpha: float
    n: int
    build_tol: float = 0.0

    @property
    def radial(self) -> RadialKernel:
        """The radial kernel."""
        return Yukawa(self.kappa) if self.kernel == Yukawa.name else Coulomb()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Energies and forces of the finished frames of a trajectory.

    Parameters
    ----------
    frames : (n,) int64
        Number of each frame in its file, from 0.
    energies : (n,) float64, e^2/angstrom
        Of a periodic frame: of one cell.
    forces : (n, n_particles, 3) float64, e^2/angstrom^2
    n_frames : int
        Frames that were asked for, finished or not.
    """

    frames: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    n_frames: int

    def __repr__(self) -> str:
        done, particles = self.forces.shape[:2]
        return f"Trajectory({done} of {self.n_frames} frames, {particles} particles, {self.forces.nbytes} bytes)"


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
        1/r unless given; periodic frames take 1/r only.
    accuracy : "potential" or "forces"
        What `tol` holds for in isolated frames; it is measured on the first one.
    method : "auto", "direct" or "format"
        "auto" takes what the cost model finds faster for isolated frames.

    Raises
    ------
    InvalidValueError
    """
    kernel = kernel or Coulomb()
    if method not in ("auto", "direct", "format"):
        raise InvalidValueError(f"method is {method!r}; expected 'auto', 'direct' or 'format'")
    if not 1e-11 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-11 to 0.1")
    if first.cell is not None:
        if kernel.kappa != 0 or method == "direct":
            raise InvalidValueError("the frames have a periodic cell; expected no screening and method 'auto'")
        return FramePlan("periodic", tol, kernel.name, 0.0, float(PeriodicPotential(first, tol).alpha), first.n)
    domain, eps = _domain(first.positions), CHEBYSHEV_SHARE * tol
    counts = np.diff(to_host(BoxGrid(domain, (16, 16, 16)).sort(first.positions)[1]))
    split = choose_split(kernel, tol, eps, domain, counts, first.n)
    volume = math.prod(b - a for a, b in domain)
    seconds = build_seconds(split, domain, eps, first.n)
    seconds += target_seconds(split, domain, first.n / volume, first.n, tol)
    if method == "direct" or (method == "auto" and DIRECT_PAIR * first.n**2 < seconds):
        return FramePlan("direct", tol, kernel.name, kernel.kappa, 0.0, first.n)
    phi = RangeSeparatedPotential(first, tol, kernel=kernel, accuracy=accuracy, expected_targets=first.n)
    alpha = 0.0 if phi.split.all_short else float(phi.split.alpha)
    return FramePlan("format", tol, kernel.name, kernel.kappa, alpha, first.n, phi.build_tol or tol)


def energy_and_forces(particles: Particles, plan: FramePlan) -> tuple[float, Array]:
    """Return the energy of a frame, e^2/angstrom, and the forces on its particles, (n, 3) in e^2/angstrom^2.

    Parameters
    ----------
    particles : Particles
        With a `cell` if and only if the plan is periodic; the cell may change from frame to frame.
    plan : FramePlan

    Raises
    ------
    InvalidValueError
        If the frame does not fit the plan.

    Notes
    -----
    One evaluation of potential and gradient at the particles serves both. Splits are kept for the boxes met last.
    """
    if particles.n != plan.n:
        raise InvalidValueError(f"the frame has {particles.n} particles; expected {plan.n}, as in the first frame")
    if (particles.cell is not None) != (plan.method == "periodic"):
        has = "a periodic cell" if particles.cell is not None else "no cell"
        raise InvalidValueError(f"the frame has {has}, unlike the first frame; expected a cell in all frames or none")
    if plan.method == "direct":
        kernel = plan.radial
        value, slope = direct_sum(particles, particles.positions, kernel=kernel, gradient=True)
        charges = particles.charges
        return 0.5 * float((charges * value).sum()), -charges[:, None] * slope
    if plan.method == "periodic":
        return PeriodicPotential(particles, plan.tol, alpha=plan.alpha).energy_and_forces()
    return _in_format(particles, plan).energy_and_forces()


def _in_format(particles: Particles, plan: FramePlan) -> RangeSeparatedPotential:
    domain = _domain(particles.positions)
    tol = plan.build_tol or plan.tol
    split = _split(plan.radial, tol, domain, plan.alpha)
    scale = charge_scale(particles.charges)
    long_range = build_long_range(particles.positions, particles.charges, split, domain, tol, scale)
    return RangeSeparatedPotential.from_parts(
        particles, long_range, split, plan.tol, build_tol=tol, expected_targets=plan.n
    )


def _domain(positions: Array) -> tuple[tuple[float, float], ...]:
    low = np.floor((to_host(positions.min(axis=0)) - MARGIN) / STEP) * STEP
    high = np.ceil((to_host(positions.max(axis=0)) + MARGIN) / STEP) * STEP
    return tuple(zip(low.tolist(), high.tolist()))


@functools.lru_cache(maxsize=16)
def _split(kernel: RadialKernel, tol: float, domain: tuple[tuple[float, float], ...], alpha: float) -> Split:
    return split_kernel(kernel, tol, math.dist(*zip(*domain)), alpha)
