"""A smoke plume around an obstacle, in the plane or in space: advection along characteristics, pressure by a solver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.errors import InvalidValueError, ShapeError
from sci.solvers.krylov.cg import SolveResult, cg
from sci.solvers.multigrid.preconditioner import Multigrid
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["SmokeFrame", "SmokePlume", "ball"]


@dataclass(frozen=True, repr=False)
class SmokeFrame:
    """The state after one step.

    Parameters
    ----------
    time : float
        Time since the start, in the unit of the plume's steps.
    density : (*grid) float64 array
        Of smoke, in [0, 1], at cell centers.
    velocity : tuple of arrays
        One for each axis, on the faces: one longer along its own axis.
    pressure : (*grid) float64 array
    source : (*grid) float64 array or None
        Right-hand side of the pressure equation; None in frames from files of schema 1.
    result : SolveResult

    Examples
    --------
    >>> from sci.applications import SmokePlume, ball
    >>> shape = (8, 12)
    >>> plume = SmokePlume(shape, ball(shape, (0.5, 0.7), 0.1), ball(shape, (0.5, 0.2), 0.2), spacing=1 / 8)
    >>> (frame,) = plume.run(0.1, 1)
    >>> frame.time, frame.density.shape
    (0.1, (8, 12))
    """

    time: float
    density: np.ndarray
    velocity: tuple[np.ndarray, ...]
    pressure: np.ndarray
    source: np.ndarray | None
    result: SolveResult

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.density.shape))
        return f"SmokeFrame(time={self.time:g}, {shape} cells, {self.result.iterations} iterations of the pressure)"


def ball(shape: tuple[int, ...], center: tuple[float, ...], radius: float) -> np.ndarray:
    """Return the cells of a grid in a ball; lengths are parts of the grid's first axis.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    center : tuple of float
        In lengths of the first axis.
    radius : float
        In the same lengths.

    Returns
    -------
    array of bool
    """
    axes = np.meshgrid(*((np.arange(n) + 0.5) / shape[0] for n in shape), indexing="ij", sparse=True)
    return np.asarray(sum((a - c) ** 2 for a, c in zip(axes, center)) <= radius**2)


class SmokePlume:
    """Inviscid flow driven by the buoyancy of smoke, which rises along the last axis from an inlet.

    Each step adds buoyancy, carries velocity and density along the flow, and takes the gradient of a pressure off the
    velocity, so that it has no divergence: -laplace p = -div u / dt. The bottom, the sides and the obstacle let nothing
    through; the top is open.

    Parameters
    ----------
    shape : tuple of int
        Cells, two axes or three.
    obstacle, inlet : (*grid) bool array
        Solid cells, and cells whose density is kept at 1.
    spacing : float
    buoyancy : float
        Acceleration of pure smoke.
    rtol : float
        Of the pressure solve.
    preconditioner : callable
        Makes one from the operator, once.

    Notes
    -----
    Advection goes back along the flow by the midpoint rule and interpolates linearly: stable at any step, but
    diffusive.

    References
    ----------
    Stam, Stable fluids, SIGGRAPH 1999; Bridson, Fluid simulation for computer graphics (2015), chapters 3 to 6.

    Examples
    --------
    >>> from sci.applications.smoke import SmokePlume, ball
    >>> plume = SmokePlume((32, 48), ball((32, 48), (0.5, 0.7), 0.12), ball((32, 48), (0.5, 0.1), 0.1))
    >>> frames = list(plume.run(0.5, 3))
    >>> frames[-1].time, frames[-1].result.converged
    (1.5, True)
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        obstacle: np.ndarray,
        inlet: np.ndarray,
        *,
        spacing: float = 1.0,
        buoyancy: float = 1.0,
        rtol: float = 1e-6,
        preconditioner: Callable[[PoissonOperator], Any] = Multigrid,
    ) -> None:
        self.shape, ndim = tuple(shape), len(shape)
        for name, array in (("obstacle", obstacle), ("inlet", inlet)):
            if array.shape != self.shape or array.dtype != bool:
                raise ShapeError(f"{name} has shape {array.shape} and dtype {array.dtype}; expected bool {self.shape}")
        self.fluid, self.inlet = ~obstacle, inlet & ~obstacle
        walls = [("neumann", "neumann")] * (ndim - 1) + [("neumann", "dirichlet")]
        self.A = PoissonOperator(self.fluid, spacing, walls, neumann_body=True)
        self.M = preconditioner(self.A)
        self.spacing, self.buoyancy, self.rtol = float(spacing), float(buoyancy), float(rtol)
        self.open_faces = [self._open(axis) for axis in range(ndim)]
        self.density = self.inlet.astype(np.float64)
        self.velocity = [np.zeros(face.shape) for face in self.open_faces]
        self.time = 0.0

    def __repr__(self) -> str:
        cells = " x ".join(map(str, self.shape))
        return f"SmokePlume({cells} cells, spacing={self.spacing:g}, buoyancy={self.buoyancy:g}, rtol={self.rtol:g})"

    def _open(self, axis: int) -> np.ndarray:
        """Return the faces across an axis that fluid can pass."""
        cells = np.moveaxis(self.fluid, axis, 0)
        faces = np.zeros((cells.shape[0] + 1, *cells.shape[1:]), dtype=bool)
        faces[1:-1] = cells[1:] & cells[:-1]
        if axis == len(self.shape) - 1:
            faces[-1] = cells[-1]
        return np.moveaxis(faces, 0, axis)

    def run(self, dt: float, steps: int) -> Iterator[SmokeFrame]:
        """Yield the frame after each of `steps` steps of length `dt`."""
        for _ in range(steps):
            yield self.step(dt)

    def step(self, dt: float) -> SmokeFrame:
        """Move on by `dt` and return the frame.

        Raises
        ------
        InvalidValueError
            If dt is not positive.
        """
        if not 0 < dt < np.inf:
            raise InvalidValueError(f"dt is {dt}; expected a positive number")
        up = len(self.shape) - 1
        lifted = np.moveaxis(self.velocity[up], up, 0)
        smoke = np.moveaxis(self.density, up, 0)
        lifted[1:-1] += 0.5 * dt * self.buoyancy * (smoke[1:] + smoke[:-1])
        lifted[-1] += dt * self.buoyancy * smoke[-1]
        self._advect(dt)
        source, result = self._project(dt)
        self.time += dt
        velocity = tuple(v.copy() for v in self.velocity)
        return SmokeFrame(self.time, self.density.copy(), velocity, result.x, source, result)

    def _advect(self, dt: float) -> None:
        old = [v * face for v, face in zip(self.velocity, self.open_faces)]
        moved = [_carried(old, v, axis, dt / self.spacing) for axis, v in enumerate(old)]
        density = _carried(old, self.density, None, dt / self.spacing)
        self.density = np.where(self.inlet, 1.0, density * self.fluid)
        self.velocity = [v * face for v, face in zip(moved, self.open_faces)]

    def divergence(self) -> np.ndarray:
        """Return the divergence of the velocity in the fluid cells."""
        total = sum(np.diff(v, axis=axis) for axis, v in enumerate(self.velocity))
        return np.asarray(total / self.spacing * self.fluid)

    def _project(self, dt: float) -> tuple[np.ndarray, SolveResult]:
        source = -self.divergence() / dt
        result = cg(self.A, source, M=self.M, rtol=self.rtol)
        for axis, face in enumerate(self.open_faces):
            ends = [(1, 1) if k == axis else (0, 0) for k in range(len(self.shape))]
            gradient = np.diff(np.pad(result.x, ends), axis=axis) / self.spacing
            self.velocity[axis] -= dt * gradient * face
        return source, result


def _carried(velocity: list[np.ndarray], values: np.ndarray, axis: int | None, step: float) -> np.ndarray:
    """Return values at cell centers (axis None) or on the faces of an axis, carried along the flow for `step` cells."""
    offset = [0.0 if k == axis else 0.5 for k in range(values.ndim)]
    places = list(np.meshgrid(*(np.arange(n) + o for n, o in zip(values.shape, offset)), indexing="ij"))
    half = [p - 0.5 * step * v for p, v in zip(places, _at(velocity, places))]
    origin = [p - step * v for p, v in zip(places, _at(velocity, half))]
    return _interpolated(values, [p - o for p, o in zip(origin, offset)])


def _at(velocity: list[np.ndarray], places: list[np.ndarray]) -> list[np.ndarray]:
    """Return the components of the velocity at places, in cells from the corner of the grid."""
    return [
        _interpolated(v, [p - (0.0 if k == axis else 0.5) for k, p in enumerate(places)])
        for axis, v in enumerate(velocity)
    ]


def _interpolated(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Return linear interpolation of values at places in index units, those outside moved to the edge."""
    low, weights = [], []
    for place, n in zip(places, values.shape):
        inside = np.clip(place, 0, n - 1)
        first = np.minimum(inside.astype(np.int64), max(n - 2, 0))
        low.append(first)
        weights.append(inside - first)
    total = np.zeros(places[0].shape)
    for corner in np.ndindex((2,) * values.ndim):
        part = np.ones(total.shape)
        for c, w in zip(corner, weights):
            part *= w if c else 1 - w
        index = tuple(np.minimum(k + c, n - 1) for k, c, n in zip(low, corner, values.shape))
        total += part * values[index]
    return total
