"""Incomplete Cholesky factorization without fill, plain and modified, for the Poisson operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, is_device_array, namespace
from sci.errors import InvalidValueError
from sci.kernels import Kernel, get_kernel, launch, use_compiled
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
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


@entry
class IncompleteCholesky(PaddedPreconditioner):
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
    Memory: a number a cell for the pivots, and two for the arrays of each thread. On the host the cells are gone
    through in order; on a device plane by plane, one launch each, which is slow for small grids.

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

    def __init__(self, A: PoissonOperator, modified: float = 0.0) -> None:
        super().__init__(A)
        if A.blocks is not None:
            raise InvalidValueError(
                "IncompleteCholesky goes through the cells of one process in order; expected Multigrid(A) on ranks"
            )
        if not 0 <= modified <= 1:
            raise InvalidValueError(f"modified is {modified}; expected a number from 0 to 1")
        self.modified = float(modified)
        self.inverse: Array = A.layout.zeros(A.xp, np.float64)
        self._factor()

    def _launch_arguments(self) -> tuple[Array, int, int]:
        layout = self.A.layout
        return layout.box_array(self.A.xp), *layout.padded_shape[1:]

    def _factor(self) -> None:
        stencil, planes = self.A.stencil, is_device_array(self.A.mask)
        kernel = factor_kernel(stencil.d.dtype, stencil.offdiag is not None, planes)
        arguments = (stencil.d, stencil.given_offdiag, self.inverse, *self._launch_arguments(), self.modified)
        if not use_compiled(kernel, self.inverse):
            factor_reference(self.A.layout, stencil.d, stencil.offdiag, self.inverse, self.modified)
        elif planes:
            for s in range(sum(self.A.layout.lengths) - 2):
                launch(kernel, self.A.layout.lengths[0], *arguments, s)
        else:
            launch(kernel, 1, *arguments)

    def substitute(self, source: Array, result: Array, forward: bool) -> None:
        """Solve with the lower factor, or `forward` false with its transpose, between padded arrays."""
        stencil, planes = self.A.stencil, is_device_array(self.A.mask)
        kernel = substitute_kernel(stencil.offdiag is not None, forward, planes)
        arguments = (self.inverse, stencil.given_offdiag, source, result, *self._launch_arguments())
        if not use_compiled(kernel, self.inverse):
            substitute_reference(self.A.layout, self.inverse, stencil.offdiag, source, result, forward)
        elif planes:
            count = sum(self.A.layout.lengths) - 2
            for s in range(count) if forward else reversed(range(count)):
                launch(kernel, self.A.layout.lengths[0], *arguments, s)
        else:
            launch(kernel, 1, *arguments)

    def new_cycle(self) -> SubstitutionCycle:
        """Return a cycle with arrays of its own."""
        return SubstitutionCycle(self)

    @property
    def nbytes(self) -> int:
        """Bytes of the pivots."""
        return int(self.inverse.nbytes)

    def __repr__(self) -> str:
        kind = f"MIC(0), {self.modified:g} of the dropped fill" if self.modified else "IC(0)"
        return f"IncompleteCholesky({kind}, {self.nbytes} bytes, {self.A!r})"


class SubstitutionCycle:
    """Solution with the factors of an incomplete Cholesky factorization: a `Cycle` of conjugate gradients."""

    energy = None
    step = None

    def __init__(self, M: IncompleteCholesky) -> None:
        self._M, self._periodic = M, any(M.A.periodic)
        self.scale = 1 / M.A.stencil.weight
        self.source, self.result = (M.A.layout.zeros(M.A.xp, np.float64) for _ in range(2))

    def run(self, descended: bool = False) -> None:
        """Solve with the factors, from `source` to `result`."""
        if self._periodic:
            # The factors have no offdiag round the axis, but the sweeps read the halo that A left there.
            self._M.A.layout.clear_halo(self.result)
        self._M.substitute(self.source, self.result, True)
        self._M.substitute(self.result, self.result, False)


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


def factor_reference(layout: Layout, d: Array, offdiag: Array | None, inverse: Array, tau: float) -> None:
    """Reference of the kernels of the factorization in array calls, plane by plane."""
    _, p1, p2 = layout.padded_shape
    steps, flat, result = (p1 * p2, p2, 1), d.reshape(-1), inverse.reshape(-1)

    def link(axis: int, at: Array, other: Array) -> Array:
        return (flat[at] > 0) * (flat[other] > 0) * 1.0 if offdiag is None else offdiag[axis].reshape(-1)[at]

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
    layout: Layout, inverse: Array, offdiag: Array | None, source: Array, result: Array, forward: bool
) -> None:
    """Reference of the kernels of the substitution in array calls, plane by plane."""
    _, p1, p2 = layout.padded_shape
    steps = (p1 * p2, p2, 1)
    inv, come, go = (a.reshape(-1) for a in (inverse, source, result))
    planes = list(_planes(layout, inverse))
    for at in planes if forward else reversed(planes):
        total = at * 0.0
        for axis, step in enumerate(steps):
            there = at - step if forward else at + step
            weight = 1.0 if offdiag is None else offdiag[axis].reshape(-1)[at if forward else there]
            total = total + weight * go[there]
        go[at] = inv[at] * (come[at] + total) if forward else come[at] + inv[at] * total
