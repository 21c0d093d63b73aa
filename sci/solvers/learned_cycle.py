"""The learned V-cycle as a preconditioner: single precision, compiled kernels, one setup a mask."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.solvers.cycle import dense_inverse
from sci.solvers.cycle_kernels import bound, run
from sci.solvers.cycle_levels import COARSEST, lost_part, pair_mean, wall_factor
from sci.solvers.cycle_parameters import Parameters, flat_network, kind_of, weights
from sci.solvers.cycle_stages import Grid, ascend, descend, in_one_pass
from sci.solvers.layout import Layout, rows_per_block
from sci.solvers.operator import PoissonOperator

__all__ = ["LearnedCycle"]

POROUS = 1.0
"""With more Dirichlet faces an unknown than this, the steps on the given grid nearly solve, and are done twice. So they
are beside Neumann bodies, whose narrow gaps coarse cells do not resolve.
"""


class LearnedCycle:
    """Symmetric positive definite approximation M of the inverse of a Poisson operator, for `cg(A, b, M=...)`.

    Parameters
    ----------
    A : PoissonOperator
        Of two or three axes, any lengths, with Dirichlet and Neumann walls and bodies.
    parameters : dict of arrays
        Of `sci.solvers.cycle_parameters`, trained or not.

    Raises
    ------
    InvalidValueError
        If an axis of A is periodic.

    Notes
    -----
    With one thread of a host each half of a cycle goes through memory once on a level (`sci.solvers.cycle_stages`):
    about 33 bytes an unknown on the finest level, where it holds 12. Otherwise a cycle reads or writes 71 there, and
    holds 17. All other levels add a quarter, and hold 6.
    """

    takes_grids = True

    def __init__(self, A: PoissonOperator, parameters: Parameters) -> None:
        if any(A.periodic):
            raise InvalidValueError(
                "the learned cycle takes Dirichlet and Neumann walls, and an axis of A is periodic; use Multigrid(A)"
            )
        self.A = A
        self.shape = A.shape
        self.xp: ModuleType = A.xp
        self._parameters = parameters
        self._grids: list[Grid] = []
        self._build()

    def _build(self) -> None:
        A, xp = self.A, self.xp
        stencil, layout = A.stencil, A.layout
        unit = stencil.weight
        if A.constant:
            links, fixed = xp.zeros((3, 1, 1, 1), np.float32), xp.zeros((1, 1, 1), np.float32)
            d, fraction, box = layout.zeros(xp, np.int32), fixed, layout.box_array(xp)
            chunk, blocks = rows_per_block(layout.whole(), d)
            run("pack_faces", False, blocks, stencil.d, d, box, *layout.padded_shape[1:], chunk)
        else:
            assert stencil.links is not None
            unit = float(A.diagonal.sum()) / (2 * A.ndim * A.size)
            d = (stencil.d * (1 / unit)).astype(np.float32)
            links = (stencil.links * (1 / unit)).astype(np.float32)
            fraction = layout.spread(A.mask.astype(np.float32))
            fixed = layout.spread((A.dirichlet * (1 / unit)).astype(np.float32))
        self.scale = 1.0 / unit
        """What a residual is multiplied by for `source`: the cycle's operator has weights near one."""
        depth = 0
        while True:
            variable = not (A.constant and depth == 0)
            self._grids.append(self._grid(layout, variable, depth, d, fixed, fraction, links))
            if int(np.prod(layout.lengths)) <= COARSEST:
                break
            layout, d, fixed, fraction, links = self._coarser(layout, variable, depth, d, fixed, fraction, links)
            depth += 1
            if depth == 1 and (self._surface(fixed) > POROUS or bool((A.insulating & ~A.mask).any())):
                self._grids[0].damping *= 2
        self._lift_shares()
        last = self._grids[-1]
        cells = tuple(slice(1, n + 1) for n in last.layout.lengths)
        self._inverse = dense_inverse(*self._small(last, cells))
        self._cells = cells
        self._steps: list[Callable[[], object]] = []
        self._product: Array | None = None
        self._one_pass = in_one_pass(last.f)
        self._result = self._program(0, self._steps)

    def _surface(self, fixed: Array) -> float:
        """Return the number of Dirichlet faces an unknown, from the Dirichlet terms of the second level."""
        halved = sum(n > 1 for n in self._grids[0].layout.lengths)
        return float(fixed.sum()) * 2.0 ** (halved - 1) / (wall_factor(1) * self.A.size)

    def _lift_shares(self) -> None:
        """Raise the shares of cells whose interpolation reads coarse cells that nothing flows into."""
        A, xp = self.A, self.xp
        walls = [(True, True)] * (3 - A.ndim) + [(low == "dirichlet", high == "dirichlet") for low, high in A.walls]
        insulated = A.insulating & ~A.mask
        if not bool(insulated.any()) and all(low and high for low, high in walls):
            return
        closed = insulated.reshape(A.layout.lengths).astype(np.float32)
        for g, below in zip(self._grids, self._grids[1:]):
            for axis in (-3, -2, -1):
                closed = pair_mean(closed, axis)
            inside = tuple(slice(1, n + 1) for n in below.layout.lengths)
            lost = below.layout.zeros(xp, np.float32)
            around = lost_part((below.d[inside] > 0).astype(np.float32), closed, walls)
            lost[tuple(slice(0, n + 2) for n in below.layout.lengths)] = around
            p1, p2 = g.layout.padded_shape[1:]
            c1, c2 = below.layout.padded_shape[1:]
            t = g.layout.zeros(xp, np.float32)
            run("correct", True, g.blocks, t, lost, g.share, g.taps, g.strides, g.box, p1, p2, c1, c2, g.chunk)
            run("lift_share", True, g.blocks, t, g.share, *g.ends)

    def _small(self, grid: Grid, cells: tuple[slice, ...]) -> tuple[tuple[Array, Array, Array], Array]:
        """Return links and diagonal of the last level as arrays of its cells."""
        xp, diagonal = self.xp, grid.d[cells].astype(np.float32)
        if grid.variable:
            x, y, z = grid.links[0][cells][1:], grid.links[1][cells][:, 1:], grid.links[2][cells][:, :, 1:]
            return (x, y, z), diagonal
        open_cells = (diagonal > 0).astype(np.float32)
        x = open_cells[1:] * open_cells[:-1]
        y = open_cells[:, 1:] * open_cells[:, :-1]
        z = open_cells[:, :, 1:] * open_cells[:, :, :-1]
        return (xp.asarray(x), y, z), diagonal

    def _grid(
        self, layout: Layout, variable: bool, depth: int, d: Array, fixed: Array, fraction: Array, links: Array
    ) -> Grid:
        xp, kind = self.xp, kind_of(depth)
        chunk, blocks = rows_per_block(layout.whole(), d)
        box = layout.box_array(xp)
        jacobi, share = layout.zeros(xp, np.uint16), layout.zeros(xp, np.int8)
        diagonal = layout.zeros(xp, np.float32) if variable else fraction
        network = xp.asarray(flat_network(self._parameters, kind))
        ends = (box, *layout.padded_shape[1:], chunk)
        run(
            "network_fields",
            variable,
            blocks,
            *(d, fixed, fraction, network, jacobi, share, diagonal),
            *ends,
            0.5 ** (depth + 1) if depth > 0 else 0.0,
        )
        halved = [n > 1 for n in layout.lengths]
        tap = float(self._parameters[f"level{kind}.tap"])
        taps = [[tap, 1 - tap, 1 - tap, tap] if h else [0.0, 1.0, 0.0, 0.0] for h in halved]
        gain = 2.0 ** (2 - sum(halved)) * exp(float(self._parameters[f"level{kind}.gain"]))
        return Grid(
            layout,
            variable,
            diagonal if variable else self.A.stencil.d,
            links,
            jacobi,
            share,
            layout.zeros(xp, np.float32),
            weights(self._parameters, kind),
            xp.asarray(taps, dtype=np.float32),
            xp.asarray([2 if h else 1 for h in halved], dtype=np.int64),
            gain,
            box,
            chunk,
            blocks,
        )

    def _coarser(
        self, layout: Layout, variable: bool, depth: int, d: Array, fixed: Array, fraction: Array, links: Array
    ) -> tuple[Layout, Array, Array, Array, Array]:
        xp, half = self.xp, layout.halved
        halved = [n > 1 for n in layout.lengths]
        scale = 0.5 ** (sum(halved) - 1)
        stiffening = wall_factor(depth + 1) / wall_factor(depth)
        factors = xp.asarray([scale, scale * stiffening, 0.5 ** sum(halved)], dtype=np.float32)
        strides = xp.asarray([2 if h else 1 for h in halved], dtype=np.int64)
        made = [half.zeros(xp, np.float32) for _ in range(3)]
        crossing = xp.zeros((3, *half.padded_shape), np.float32)
        chunk, blocks = rows_per_block(half.whole(), d)
        ends = (half.box_array(xp), *layout.padded_shape, *half.padded_shape[1:], chunk)
        run("coarsen", variable, blocks, d, fixed, fraction, links, *made, crossing, factors, strides, *ends)
        return half, made[0], made[1], made[2], crossing

    @property
    def source(self) -> Array:
        """Padded right-hand side of the cycle, `scale` times a residual."""
        return self._grids[0].f

    @property
    def result(self) -> Array:
        """Padded result of the cycle."""
        return self._result

    @property
    def nbytes(self) -> int:
        """Bytes that the cycle holds, the faces of the finest level, which are the operator's, included."""
        arrays = [a for g in self._grids for a in g.arrays]
        return int(sum({id(a): a.nbytes for a in arrays}.values()) + self._inverse.nbytes)

    def cycle(self) -> float | None:
        """Turn `source` into `result`; return their product where it is known."""
        for step in self._steps:
            step()
        return None if self._product is None else float(self._product[0])

    def _program(self, depth: int, steps: list[Callable[[], object]]) -> Array:
        """Append what a cycle does from level `depth` down; return the array that will hold its result."""
        g = self._grids[depth]
        if depth == len(self._grids) - 1:
            steps.append(self._solve_coarsest)
            return g.u
        below, v, on = self._grids[depth + 1], g.variable, (g.d, g.links)
        if self._one_pass:
            steps.append(descend(g, below))
            up, result, self._product = ascend(g, below, self._program(depth + 1, steps))
            steps.append(up)
            return result

        def add(name: str, variable: bool, blocks: int, *arguments: Any) -> None:
            steps.append(bound(name, variable, blocks, *arguments))

        add("first_steps", v, g.blocks, g.f, g.jacobi, *on, g.u, *g.ends, *g.damping[:2])
        u, spare = g.u, g.t
        for a in g.damping[2:]:
            add("jacobi_step", v, g.blocks, u, g.f, g.jacobi, *on, spare, *g.ends, a)
            u, spare = spare, u
        add("defect", v, g.blocks, u, g.f, g.share, *on, spare, *g.ends)
        p1, p2 = g.layout.padded_shape[1:]
        c1, c2 = below.layout.padded_shape[1:]
        transfer, chunk = (g.taps, g.strides), below.chunk
        add("gather_rows", True, below.blocks, spare, g.rows, *transfer, below.box, p1, p2, c1, chunk)
        right = (g.rows, below.jacobi, below.f)
        add("gather_ends", True, below.blocks, *right, *transfer, below.box, c1, c2, p2, chunk, g.gain)
        coarse = self._program(depth + 1, steps)
        add("correct", True, g.blocks, u, coarse, g.share, *transfer, g.box, p1, p2, c1, c2, g.chunk)
        for a in g.damping[::-1]:
            add("jacobi_step", v, g.blocks, u, g.f, g.jacobi, *on, spare, *g.ends, a)
            u, spare = spare, u
        return u

    def _solve_coarsest(self) -> None:
        last = self._grids[-1]
        right = last.f[self._cells]
        last.u[self._cells] = (self._inverse @ right.reshape(-1)).reshape(right.shape)

    def matvec(self, r: Array) -> Array:
        """Return M r for a grid array or a flat array, in its dtype."""
        A = self.A
        on_grid = tuple(r.shape) == A.grid_shape
        grid = r if on_grid else A.scatter(r)
        size = float(self.xp.abs(grid).max())
        if size == 0:
            return r * 0
        top = self._grids[0]
        top.layout.cells(top.f)[...] = grid * (A.mask / size)
        self.cycle()
        z = top.layout.cells(self.result).astype(r.dtype) * (size * self.scale)
        return z if on_grid else A.gather(z).reshape(r.shape)

    __call__ = matvec
