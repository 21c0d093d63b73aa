"""What a level of the learned V-cycle does before and after its coarse correction, each in one pass through memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import Kernel, bind, every_kernel, get_kernel, host_threads, launch, use_compiled
from sci.solvers.poisson.grid import Layout

__all__ = ["Grid", "Step", "ascend", "descend", "in_one_pass"]

_SOURCE = "grid/cycle_stages.cu"


@dataclass(eq=False)
class Grid:
    """A level of the learned cycle on padded arrays, with its work space.

    Parameters
    ----------
    layout : Layout
    variable : bool
        Whether it has links.
    d : padded array
        Diagonal, int8 unless `variable`.
    links : (3, *padded) array
    jacobi, share : padded array
        Two numbers a cell as the kernels hold them.
    f : padded array
    damping : list of float
        Of each step before the coarse correction, in order; of even length.
    taps : (3, 4) array
    strides : (3,) array
    gain : float
    box : (7,) array
    chunk, blocks : int
    """

    layout: Layout
    variable: bool
    d: Array
    links: Array
    jacobi: Array
    share: Array
    f: Array
    damping: list[float]
    taps: Array
    strides: Array
    gain: float
    box: Array
    chunk: int
    blocks: int

    @property
    def ends(self) -> tuple[Any, ...]:
        """The arguments that follow the arrays."""
        return (self.box, *self.layout.padded_shape[1:], self.chunk)

    @cached_property
    def storage(self) -> Array:
        """Room for u where stages go in one pass: a plane more for each step, two for the first."""
        p0, p1, p2 = self.layout.padded_shape
        return namespace(self.f).zeros((p0 + 2 * len(self.damping) - 1, p1, p2), np.float32)

    @cached_property
    def u(self) -> Array:
        """Padded unknowns of stages in several passes, and of the last level."""
        return self.layout.zeros(namespace(self.f), np.float32)

    @cached_property
    def t(self) -> Array:
        """Padded room for the residual."""
        return self.layout.zeros(namespace(self.f), np.float32)

    @cached_property
    def rows(self) -> Array:
        """Room for the restriction."""
        shape = (*self.layout.halved.padded_shape[:2], self.layout.padded_shape[2])
        return namespace(self.f).zeros(shape, np.float32)

    @property
    def arrays(self) -> list[Array]:
        """Every large array that is held."""
        return [a for a in vars(self).values() if hasattr(a, "nbytes")]


def stage_kernel(name: str, variable: bool) -> Kernel:
    """Return an instance of `jacobi_descend` or `jacobi_ascend`; `variable` says whether the level has links."""
    return get_kernel(_SOURCE, name, np.float32, np.float32 if variable else np.int8, variable)


def in_one_pass(f: Array) -> bool:
    """Tell whether stages go in one pass: on one thread of a host with compiled kernels.

    On a device and with several threads a step is cut into blocks.
    """
    return host_threads() == 1 and all(use_compiled(kernel, f) for kernel in every_kernel(_SOURCE))


def _ends(g: Grid, below: Grid) -> tuple[Any, ...]:
    count = len(g.damping)
    return (g.taps, g.strides, g.box, *g.layout.padded_shape[1:], *below.layout.padded_shape[1:], count)


def _level(g: Grid) -> tuple[Array, ...]:
    return g.storage, g.f, g.jacobi, g.share, g.d, g.links, np.array(g.damping)


def descend(g: Grid, below: Grid) -> Callable[[], object]:
    """Return what does the steps from zero and restricts the residual to `below.f`."""
    room = np.zeros((6 + 4 * below.layout.padded_shape[1], g.layout.padded_shape[2]), np.float32)
    ends = (room, below.jacobi, below.f, *_ends(g, below), g.gain)
    return bind(stage_kernel("jacobi_descend", g.variable), 1, *_level(g), *ends)


@dataclass(frozen=True)
class Step:
    """A step of conjugate gradients for an operator without links, and the way down of the next cycle, in one pass.

    Parameters
    ----------
    g, below : Grid
        The finest level, whose storage holds the result of the last cycle, and the next one.
    weight : float
        Of the operator.
    """

    g: Grid
    below: Grid
    weight: float

    def __call__(
        self,
        p: Array,
        x: Array,
        b: Array,
        scale: float,
        beta: float,
        step: float,
        moves: tuple[float, float] | None,
        exact: bool,
        descends: bool,
    ) -> float:
        """Do p = z + beta p, with `moves` x += moves[0] (the old p) + moves[1] p, and f -= step A p; return f'f.

        Where it is `exact`, which needs `moves`, f = scale (b - A x). b is padded or a grid of three axes. Where it
        `descends`, the next cycle starts after its first stage.
        """
        g, below, square = self.g, self.below, np.zeros(1)
        room = np.zeros((6 + 4 * below.layout.padded_shape[1], g.layout.padded_shape[2]), np.float32)
        arrays = (g.storage, p, x, b, g.f, g.jacobi, g.share, g.d, np.array(g.damping), room)
        numbers = (self.weight, scale, beta, step * self.weight, int(moves is not None), *(moves or (0.0, 0.0)))
        ends = (*_ends(g, below), g.gain, *b.shape[1:], int(b.shape == x.shape), *numbers, int(exact), int(descends))
        kernel = get_kernel(_SOURCE, "jacobi_advance", np.float32, np.int8)
        launch(kernel, 1, *arrays, below.jacobi, below.f, square, *ends)
        return float(square[0])


def ascend(
    g: Grid, below: Grid, correction: Array, energies: bool = False
) -> tuple[Callable[[], object], Array, Array]:
    """Return what adds the interpolation of a coarse `correction` and does the steps in reverse order.

    Returns
    -------
    stage : callable
    result : padded array
        Where it leaves u.
    product : (2,) array
        The sum of f u after it, and u'A u if `energies`.
    """
    room = np.zeros(below.layout.padded_shape[2] + g.layout.padded_shape[2], np.float32)
    product = np.zeros(2)
    ends = (room, correction, product, *_ends(g, below), int(energies))
    stage = bind(stage_kernel("jacobi_ascend", g.variable), 1, *_level(g), *ends)
    return stage, g.storage[: g.layout.padded_shape[0]], product
