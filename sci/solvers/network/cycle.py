"""The V-cycle of a network: smoothing, transfers and eliminations, between padded arrays of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.solvers.multigrid.cycle import Stages
from sci.solvers.multigrid.smoothers import residual
from sci.solvers.network.hierarchy import AnyLevel, Chains, Direct, Factored, NetworkHierarchy, Smoothed, Top, arrays_of
from sci.solvers.network.kernels import Call, bound, by_rows, product

__all__ = ["GridTop", "NetworkCycle", "NetworkStages"]


class NetworkStages:
    """The arrays u and f of one level, and what it does before and after the coarse correction.

    Parameters
    ----------
    level : Smoothed, Chains, Direct or Factored
    dtype : dtype
    below : NetworkStages, optional
        Of the next level; None on the last one.
    xp : module
        The namespace of the arrays.
    """

    def __init__(self, level: AnyLevel, dtype: Any, below: NetworkStages | None, xp: Any = np) -> None:
        self.u, self.f = xp.zeros(level.size, dtype), xp.zeros(level.size, dtype)
        self.before: list[Call] = []
        self.after: list[Call] = []
        if isinstance(level, Direct):
            inverse, u, f = level.inverse, self.u, self.f
            self.before.append(lambda: xp.matmul(inverse, f, out=u))
            return
        if isinstance(level, Factored):
            self._factored(level)
            return
        assert below is not None
        if isinstance(level, Chains):
            self._eliminated(level, below)
        else:
            self._smoothed(level, below)

    def _factored(self, level: Factored) -> None:
        u, f = self.u, self.f

        def solve() -> None:
            u[:] = to_device(level.solve(to_host(f).astype(np.float64)).astype(u.dtype), namespace(u))

        self.before.append(solve)

    def _eliminated(self, level: Chains, below: NetworkStages) -> None:
        """Go through the chains on the host, one unknown after the other, in double precision."""
        count, kept, u, f = level.order.size, level.kept, self.u, self.f
        source, values = np.zeros(level.size), np.zeros(level.size)
        down = bound("eliminate_source", level.order, level.near, level.share, source, count)
        up = bound("eliminated_values", level.order, level.near, level.share, source, values, count)

        def before() -> None:
            source[:] = to_host(f)
            down()
            below.f[:] = to_device(source[kept].astype(u.dtype), namespace(u))

        def after() -> None:
            values[kept] = to_host(below.u)
            up()
            u[:] = to_device(values.astype(u.dtype), namespace(u))

        self.before.append(before)
        self.after.append(after)

    def _smoothed(self, level: Smoothed, below: NetworkStages) -> None:
        xp, n, u, f = namespace(self.u), level.size, self.u, self.f
        other, inverse = xp.zeros_like(u), level.inverse
        matrix = (*arrays_of(level.links), level.rest)
        first, *others = level.damping

        def begin(out: Array = u) -> None:
            xp.multiply(f, inverse, out=out)
            xp.multiply(out, out.dtype.type(first), out=out)

        self.before.append(begin)
        for damping in others:
            self.before.append(by_rows("relax_network", n, *matrix, inverse, u, f, other, n, damping))
            u, other = other, u
        self.before.append(by_rows("network_residual", n, *matrix, u, f, other, n))
        self.before.append(product(level.restriction, other, below.f, 0.0))
        self.after.append(product(level.interpolation, below.u, u, 1.0))
        for damping in level.damping[::-1]:
            self.after.append(by_rows("relax_network", n, *matrix, inverse, u, f, other, n, damping))
            u, other = other, u
        self.u = u


class GridTop:
    """The finest level on padded arrays: red-black Gauss-Seidel, and transfers to a network.

    Parameters
    ----------
    top : Top
    below : NetworkStages
    """

    def __init__(self, top: Top, below: NetworkStages) -> None:
        level, sweeps, places = top.level, top.sweeps, top.places
        stages, layout = Stages(level, sweeps, None), level.layout
        self.u, self.f = stages.u, stages.f
        self._rest = layout.zeros(namespace(level.d), level.dtype)
        whole, fill, grid = layout.whole(), level.grid.fill, level.grid
        subtract = residual(
            layout, self.u, self.f, level.d, level.offdiag, None, self._rest, level.whole, whole
        )  # fmt: skip
        n = places.size
        flat, rest = self.u.reshape(-1), self._rest.reshape(-1)
        gather = product(top.restriction, rest, below.f, 0.0)
        spread = by_rows("add_rows", n, *arrays_of(top.interpolation), below.u, places, flat, n)
        half = [stages._half_sweeps[k % 2] for k in range(sweeps + 1)]

        def total() -> None:
            if grid.comm is not None:
                below.f[...] = grid.totals(below.f.astype(np.float64))

        self.before = [stages._first, *half[1:sweeps], lambda: fill(self.u), subtract, gather, total]
        self.after = [spread, *(half[(k + 1) % 2] for k in range(sweeps))]


class NetworkCycle:
    """One V-cycle with its arrays: a `Cycle` of conjugate gradients.

    Parameters
    ----------
    hierarchy : NetworkHierarchy
    scale : float
        1 over the unit of the operator.
    """

    step = None
    energy = None

    def __init__(self, hierarchy: NetworkHierarchy, scale: float) -> None:
        self.scale, top = scale, hierarchy.top
        stages, xp = list[Any](), namespace(hierarchy.places)
        for level in reversed(hierarchy.levels):
            stages.insert(0, NetworkStages(level, hierarchy.dtype, stages[0] if stages else None, xp))
        self._places = None
        if top is not None:
            stages.insert(0, GridTop(top, stages[0]))
            self.source, self.result = stages[0].f, stages[0].u
        else:
            self._places = hierarchy.places
            self.source, self.result = (
                hierarchy.layout.zeros(namespace(hierarchy.places), hierarchy.dtype) for _ in range(2)
            )
        self._stages = stages
        self._before = [call for s in stages for call in s.before]
        self._after = [call for s in reversed(stages) for call in s.after]

    def run(self, descended: bool = False) -> float | None:
        """Run the cycle from `source` to `result`; collective on ranks."""
        top = self._stages[0]
        if self._places is not None:
            top.f[:] = self.source.reshape(-1)[self._places]
        for call in self._before:
            call()
        for call in self._after:
            call()
        if self._places is not None:
            self.result.reshape(-1)[self._places] = top.u
        return None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays of all levels."""
        return int(self.source.nbytes * 2 + sum(3 * s.f.nbytes for s in self._stages))
