"""The stages of a learned V-cycle before and after a coarse correction, each in one pass through memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array
from sci.kernels import Kernel, bind, every_kernel, get_kernel, host_threads, launch, use_compiled
from sci.solvers.krylov.protocols import StepNumbers
from sci.solvers.learned.level import Level

__all__ = ["CgStep", "ascend", "descend", "in_one_pass", "planes"]

Stage: TypeAlias = Callable[[], object]
_SOURCE = "grid/cycle_stages.cu"


def planes(level: Level) -> Array:
    """Return the workspace of u for stages in one pass: one plane more for each step, two for the first."""
    p0, p1, p2 = level.layout.padded_shape
    return np.zeros((p0 + 2 * len(level.damping) - 1, p1, p2), np.float32)


def stage_kernel(name: str, variable: bool) -> Kernel:
    """Return an instance of `jacobi_descend` or `jacobi_ascend`; `variable` says whether the level has offdiag."""
    return get_kernel(_SOURCE, name, np.float32, np.float32 if variable else np.int8, variable)


def in_one_pass(level: Level) -> bool:
    """Return True if stages go in one pass: on one thread of a host with compiled kernels, and without a halo.

    On a device and with several threads a step is cut into blocks; on ranks it waits for its neighbors.
    """
    if level.grid.halo is not None or host_threads() > 1:
        return False
    return all(use_compiled(kernel, level.d) for kernel in every_kernel(_SOURCE))


def _numbers(level: Level, below: Level) -> tuple[Any, ...]:
    shapes = (*level.layout.padded_shape[1:], *below.layout.padded_shape[1:])
    return (level.interpolation, level.strides, level.whole, *shapes, len(level.damping))


def _arrays(level: Level, u: Array, f: Array) -> tuple[Array, ...]:
    return u, f, level.jacobi, level.transfer, level.d, level.given_offdiag, np.array(level.damping)


def _rows(level: Level, below: Level) -> Array:
    return np.zeros((6 + 4 * below.layout.padded_shape[1], level.layout.padded_shape[2]), np.float32)


def descend(level: Level, u: Array, f: Array, below: Level, below_f: Array) -> Stage:
    """Return a callable that runs the Jacobi steps from zero and restricts the residual to `below_f`.

    Parameters
    ----------
    level, below : Level
    u : array
        Of `planes`.
    f, below_f : padded array
    """
    ends = (_rows(level, below), below.jacobi, below_f, *_numbers(level, below), level.correction_scale)
    return bind(stage_kernel("jacobi_descend", level.variable), 1, *_arrays(level, u, f), *ends)


def ascend(
    level: Level, u: Array, f: Array, below: Level, correction: Array, energies: bool = False
) -> tuple[Stage, Array, Array]:
    """Return a callable that adds the interpolated coarse `correction` and runs the steps in reverse order.

    Returns
    -------
    stage : callable
    result : padded array
        The view of u that holds the result.
    products : (2,) array
        f'u after it, and u'A u if `energies`.
    """
    scratch = np.zeros(below.layout.padded_shape[2] + level.layout.padded_shape[2], np.float32)
    products = np.zeros(2)
    ends = (scratch, correction, products, *_numbers(level, below), int(energies))
    stage = bind(stage_kernel("jacobi_ascend", level.variable), 1, *_arrays(level, u, f), *ends)
    return stage, u[: level.layout.padded_shape[0]], products


@dataclass(frozen=True, eq=False)
class CgStep:
    """A step of conjugate gradients for an operator without offdiag, and the way down of the next cycle, in one pass.

    Parameters
    ----------
    level, below : Level
        The finest level and the next one.
    u : array
        Of `planes`; holds the result of the last cycle.
    f, below_f : padded array
    weight : float
        Of the faces of the operator.
    """

    level: Level
    below: Level
    u: Array
    f: Array
    below_f: Array
    weight: float

    def __call__(self, p: Array, x: Array, b: Array, numbers: StepNumbers) -> float:
        """Take the step and return f'f, see `FusedStep`; b is padded or a grid of three axes."""
        scale, beta, step, moves, exact, descends = numbers
        level, below, square = self.level, self.below, np.zeros(1)
        given = (self.u, p, x, b, self.f, level.jacobi, level.transfer, level.d, np.array(level.damping))
        coarse = (_rows(level, below), below.jacobi, self.below_f, square)
        factors = (self.weight, scale, beta, step * self.weight, int(moves is not None), *(moves or (0.0, 0.0)))
        shape = (level.correction_scale, *b.shape[1:], int(b.shape == x.shape))
        kernel = get_kernel(_SOURCE, "jacobi_cg_step", np.float32, np.int8)
        launch(kernel, 1, *given, *coarse, *_numbers(level, below), *shape, *factors, int(exact), int(descends))
        return float(square[0])
