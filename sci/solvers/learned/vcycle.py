"""The calls that a learned V-cycle consists of, from the setup of its levels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.learned.kernels import bound
from sci.solvers.learned.levels import COARSEST, lost_part, pair_mean
from sci.solvers.learned.parameters import Parameters
from sci.solvers.learned.setup import Equation, coarser_equation, inverse_of, lift_shares, make_grid
from sci.solvers.learned.stages import Grid, Step, ascend, descend, in_one_pass

__all__ = ["Call", "Levels", "Sweep", "passes_down", "passes_up"]

Call: TypeAlias = Callable[[], object]
Fill: TypeAlias = Callable[[Array], object]


class Sweep(Protocol):
    """Returns what runs a kernel over the cells of a level; `read` is the array whose neighbors it reads."""

    def __call__(self, name: str, read: Array, arguments: tuple[Array, ...], numbers: Any = ()) -> Call: ...


def whole_sweep(g: Grid, name: str, read: Array, arguments: tuple[Array, ...], numbers: Any = ()) -> Call:
    """Return what runs a kernel over all cells of a level of one process."""
    return bound(name, g.variable, g.blocks, *arguments, *g.ends, *numbers)


def passes_down(g: Grid, below: Grid, sweep: Sweep, fill: Fill | None = None) -> tuple[list[Call], Array, Array]:
    """Return what does the steps from zero and restricts the residual to `below.f`, one kernel after the other.

    Parameters
    ----------
    g, below : Grid
    sweep : Sweep
    fill : callable, optional
        Brings the layers of a padded array around the grid up to date.

    Returns
    -------
    calls : list of callable
    u, spare : padded arrays
        The result, and one that is free.
    """
    on = (g.d, g.links)
    calls: list[Call] = [sweep("first_steps", g.f, (g.f, g.jacobi, *on, g.u), g.damping[:2])]
    u, spare = g.u, g.t
    for a in g.damping[2:]:
        calls.append(sweep("jacobi_step", u, (u, g.f, g.jacobi, *on, spare), (a,)))
        u, spare = spare, u
    calls.append(sweep("defect", u, (u, g.f, g.share, *on, spare)))
    if fill is not None:
        calls.append(functools.partial(fill, spare))
    p1, p2 = g.layout.padded_shape[1:]
    c1, c2 = below.layout.padded_shape[1:]
    to, chunk = (g.taps, g.strides, below.box), below.chunk
    calls.append(bound("gather_rows", True, below.blocks, spare, g.rows, *to, p1, p2, c1, chunk))
    right = (g.rows, below.jacobi, below.f)
    calls.append(bound("gather_ends", True, below.blocks, *right, *to, c1, c2, p2, chunk, g.gain))
    return calls, u, spare


def passes_up(
    g: Grid, below: Grid, coarse: Array, u: Array, spare: Array, sweep: Sweep, fill: Fill | None = None
) -> tuple[list[Call], Array]:
    """Return what adds the interpolation of `coarse` to u and does the steps in reverse order, and where u is then.

    Parameters
    ----------
    g, below : Grid
    coarse : padded array
    u, spare : padded arrays
        Of `passes_down`.
    sweep : Sweep
    fill : callable, optional
        Brings the layers of `coarse` up to date.
    """
    p1, p2 = g.layout.padded_shape[1:]
    c1, c2 = below.layout.padded_shape[1:]
    calls: list[Call] = [] if fill is None else [functools.partial(fill, coarse)]
    ends = (g.box, p1, p2, c1, c2, g.chunk)
    calls.append(bound("correct", True, g.blocks, u, coarse, g.share, g.taps, g.strides, *ends))
    for a in g.damping[::-1]:
        calls.append(sweep("jacobi_step", u, (u, g.f, g.jacobi, g.d, g.links, spare), (a,)))
        u, spare = spare, u
    return calls, u


class Levels:
    """The levels of a learned cycle on one process, from a given one down to one with a dense inverse.

    Parameters
    ----------
    equation : Equation
        Of the first one.
    parameters : dict of arrays
    twice : callable, optional
        Tells from the Dirichlet terms of the second level whether the steps on the first one are done twice.
    closed : array (*lengths), optional
        Part of each cell of the first level that is a Neumann body; None if there is none, and no Neumann wall.
    walls : three pairs of bool
        True where the low and the high wall of an axis is Dirichlet.
    """

    def __init__(
        self,
        equation: Equation,
        parameters: Parameters,
        twice: Callable[[Array], bool] | None,
        closed: Array | None,
        walls: Any,
    ) -> None:
        self.grids = [make_grid(equation, parameters)]
        while int(np.prod(equation.layout.lengths)) > COARSEST:
            equation = coarser_equation(equation)
            if twice is not None and len(self.grids) == 1 and twice(equation.fixed):
                self.grids[0].damping *= 2
            self.grids.append(make_grid(equation, parameters))
        if closed is not None:
            self._lift(closed, walls)
        self.inverse = inverse_of(self.grids[-1])
        self.steps: list[Call] = []
        self.product: Array | None = None
        """The sum of f u, u the result, and u'A u, where a cycle finds them."""
        self._one_pass = in_one_pass(self.grids[-1].f)
        self.result = self._program(0)

    def _lift(self, closed: Array, walls: Any) -> None:
        for g, below in zip(self.grids, self.grids[1:]):
            for axis in (-3, -2, -1):
                closed = pair_mean(closed, axis)
            unknown = below.d[below.layout.box_key] > 0
            lost = below.layout.zeros(namespace(closed), np.float32)
            around = tuple(slice(0, n + 2) for n in below.layout.lengths)
            lost[around] = lost_part(unknown.astype(np.float32), closed, walls)
            lift_shares(g, below.layout, lost)

    def _program(self, depth: int) -> Array:
        """Append what a cycle does from level `depth` down; return the array that will hold its result."""
        g = self.grids[depth]
        if depth == len(self.grids) - 1:
            self.steps.append(self._solve_coarsest)
            return g.u
        below = self.grids[depth + 1]
        if self._one_pass:
            self.steps.append(descend(g, below))
            up, result, self.product = ascend(g, below, self._program(depth + 1), energies=depth == 0)
            self.steps.append(up)
            return result
        sweep = functools.partial(whole_sweep, g)
        down, u, spare = passes_down(g, below, sweep)
        self.steps += down
        calls, result = passes_up(g, below, self._program(depth + 1), u, spare, sweep)
        self.steps += calls
        return result

    def _solve_coarsest(self) -> None:
        last = self.grids[-1]
        cells = last.layout.box_key
        right = last.f[cells]
        last.u[cells] = (self.inverse @ right.reshape(-1)).reshape(right.shape)

    def cycle(self, descended: bool = False) -> float | None:
        """Turn the first level's f into `result`; return their product where it is known.

        Where it has `descended`, a step of conjugate gradients has done the first stage.
        """
        for step in self.steps[descended:]:
            step()
        return None if self.product is None else float(self.product[0])

    def step(self, weight: float) -> Step | None:
        """Return the step of conjugate gradients that goes down as well, for an operator of this weight."""
        if not self._one_pass or len(self.grids) < 2 or self.grids[0].variable:
            return None
        return Step(self.grids[0], self.grids[1], weight)

    @property
    def nbytes(self) -> int:
        """Bytes that the levels hold."""
        arrays = [a for g in self.grids for a in g.arrays]
        return int(sum({id(a): a.nbytes for a in arrays}.values()) + self.inverse.nbytes)
