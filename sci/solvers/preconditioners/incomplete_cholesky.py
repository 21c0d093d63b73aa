"""Incomplete Cholesky factorization without fill, plain and modified, for the Poisson operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.errors import DTypeError, InvalidValueError
from sci.kernels import Kernel, get_kernel, launch, use_compiled
from sci.solvers.poisson.grid import Layout
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["IncompleteCholesky"]


def factor_kernel(diagonal: Any, variable: bool, by_planes: bool) -> Kernel:
    """Return the kernel of the factorization, of all cells in order or of one plane, for a diagonal of a dtype."""
    name = "factor_plane" if by_planes else "factor_all"
    return get_kernel("grid/incomplete.cu", name, np.float64, diagonal, variable)


def substitute_kernel(variable: bool, forward: bool, by_planes: bool) -> Kernel:
    """Return the kernel of the forward or the backward substitution."""
    name = "substitute_plane" if by_planes else "substitute_all"
    return get_kernel("grid/incomplete.cu", name, np.float64, variable, forward)


class IncompleteCholesky:
    """IC(0) or MIC(0) of a Poisson operator: (D + L) D^-1 (D + L'), L the strict lower part of A.

    Parameters
    ----------
    A : PoissonOperator
    modified : float
        0 for IC(0). MIC(0) adds to the diagonal this part of the fill that is dropped, 0.97 as a rule: it makes row
        sums right, and the iterations grow with the square root of the size where those of IC(0) grow linearly.

    Notes
    -----
    Links round a periodic axis are left out of L. A pivot below a quarter of the diagonal is replaced by the diagonal.
    Memory: two numbers an unknown beside the result. On the host the cells are gone through in order; on a device plane
    by plane, one launch each, which is slow for small grids. Not reentrant.

    References
    ----------
    Meijerink and van der Vorst, Math. Comp. 31, 148 (1977); Gustafsson, BIT 18, 142 (1978).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import IncompleteCholesky, PoissonOperator, cg
    >>> A = PoissonOperator(np.ones((16, 16), dtype=bool))
    >>> b = np.ones((16, 16))
    >>> cg(A, b, M=IncompleteCholesky(A, modified=0.97)).iterations < cg(A, b).iterations
    True
    """

    takes_grids = True

    def __init__(self, A: PoissonOperator, modified: float = 0.0) -> None:
        if not isinstance(A, PoissonOperator):
            raise DTypeError(f"IncompleteCholesky takes a PoissonOperator, got {type(A).__name__}")
        if not 0 <= modified <= 1:
            raise InvalidValueError(f"modified is {modified}; expected a number from 0 to 1")
        self.A, self.shape, self.modified = A, A.shape, float(modified)
        self.scale = 1 / A.stencil.weight
        self.source, self.result, self.inverse = (A.layout.zeros(A.xp, np.float64) for _ in range(3))
        self._box = A.layout.box_array(A.xp)
        self._factor()

    def _ends(self) -> tuple[Array, int, int]:
        return self._box, *self.A.layout.padded_shape[1:]

    def _factor(self) -> None:
        stencil, planes = self.A.stencil, is_device_array(self.A.mask)
        kernel = factor_kernel(stencil.d.dtype, stencil.links is not None, planes)
        arguments = (stencil.d, stencil.given_links, self.inverse, *self._ends(), self.modified)
        if not use_compiled(kernel, self.inverse):
            factor_reference(self.A.layout, stencil.d, stencil.links, self.inverse, self.modified)
        elif planes:
            for s in range(sum(self.A.layout.lengths) - 2):
                launch(kernel, self.A.layout.lengths[0], *arguments, s)
        else:
            launch(kernel, 1, *arguments)

    def _substitute(self, source: Array, result: Array, forward: bool) -> None:
        stencil, planes = self.A.stencil, is_device_array(self.A.mask)
        kernel = substitute_kernel(stencil.links is not None, forward, planes)
        arguments = (self.inverse, stencil.given_links, source, result, *self._ends())
        if not use_compiled(kernel, self.inverse):
            substitute_reference(self.A.layout, self.inverse, stencil.links, source, result, forward)
        elif planes:
            count = sum(self.A.layout.lengths) - 2
            for s in range(count) if forward else reversed(range(count)):
                launch(kernel, self.A.layout.lengths[0], *arguments, s)
        else:
            launch(kernel, 1, *arguments)

    def cycle(self) -> None:
        """Solve with the factors, from `source` to `result`."""
        self._substitute(self.source, self.result, True)
        self._substitute(self.result, self.result, False)

    def matvec(self, r: Array) -> Array:
        """Return the solution with the factors for r, a grid array or a flat one."""
        flat = tuple(r.shape) != self.A.grid_shape
        grid = self.A.scatter(r) if flat else r
        self.A.layout.cells(self.source)[...] = grid * self.A.mask * self.scale
        self.cycle()
        z: Array = self.A.layout.cells(self.result).copy()
        return self.A.gather(z).reshape(r.shape) if flat else z

    __call__ = __matmul__ = matvec


def _planes(layout: Layout, like: Array) -> Iterator[Array]:
    """Yield the places, in flattened padded arrays, of the cells of each plane i + j + k = s."""
    xp = namespace(like)
    i, j, k = (
        xp.arange(n).reshape([-1 if a == axis else 1 for a in range(3)]) for axis, n in enumerate(layout.lengths)
    )
    _, p1, p2 = layout.padded_shape
    at = (((i + 1) * p1 + j + 1) * p2 + k + 1).reshape(-1)
    plane = (i + j + k).reshape(-1)
    for s in range(sum(layout.lengths) - 2):
        yield at[plane == s]


def factor_reference(layout: Layout, d: Array, links: Array | None, inverse: Array, tau: float) -> None:
    """Do what the kernels of the factorization do, plane by plane."""
    _, p1, p2 = layout.padded_shape
    steps, flat, result = (p1 * p2, p2, 1), d.reshape(-1), inverse.reshape(-1)

    def link(axis: int, at: Array, other: Array) -> Array:
        return (flat[at] > 0) * (flat[other] > 0) * 1.0 if links is None else links[axis].reshape(-1)[at]

    for at in _planes(layout, d):
        rest = flat[at] * 1.0
        for a in range(3):
            low = at - steps[a]
            here = link(a, at, low)
            others = sum(link(b, low + steps[b], low) for b in range(3) if b != a)
            rest = rest - here * (here + tau * others) * result[low]
        small = rest < 0.25 * flat[at]
        rest = small * flat[at] + ~small * rest
        result[at] = (flat[at] > 0) / (rest + (flat[at] <= 0))


def substitute_reference(
    layout: Layout, inverse: Array, links: Array | None, source: Array, result: Array, forward: bool
) -> None:
    """Do what the kernels of the substitution do, plane by plane."""
    _, p1, p2 = layout.padded_shape
    steps = (p1 * p2, p2, 1)
    inv, come, go = (a.reshape(-1) for a in (inverse, source, result))
    planes = list(_planes(layout, inverse))
    for at in planes if forward else reversed(planes):
        total = at * 0.0
        for axis, step in enumerate(steps):
            there = at - step if forward else at + step
            weight = 1.0 if links is None else links[axis].reshape(-1)[at if forward else there]
            total = total + weight * go[there]
        go[at] = inv[at] * (come[at] + total) if forward else come[at] + inv[at] * total
