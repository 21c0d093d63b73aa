"""The stencil of the Poisson operator on padded arrays, with the vector work of conjugate gradients fused into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled
from sci.solvers.poisson.grid import Box, Layout, box_key, rows_per_block

__all__ = ["Stencil"]

SOURCE = "grid/stencil.cu"


@dataclass(frozen=True)
class Stencil:
    """A 7-point operator A u = weight (d u - sum of link x neighbor) on the cells with d > 0 of a padded grid.

    Parameters
    ----------
    layout : Layout
    d : padded array
        int8 numbers of faces, with offdiag None; or float64.
    offdiag : (3, *padded) float64 array or None
        offdiag[axis] at a cell is minus the entry for the cell before it; None if all of them between unknowns are 1.
    weight : float
    """

    layout: Layout
    d: Array
    offdiag: Array | None
    weight: float

    @cached_property
    def xp(self) -> ModuleType:
        """The namespace of the arrays."""
        return namespace(self.d)

    @cached_property
    def given_offdiag(self) -> Array:
        """The off-diagonal entries, or the placeholder that kernels without offdiag take."""
        return self.xp.zeros((3, 1, 1, 1)) if self.offdiag is None else self.offdiag

    @cached_property
    def _whole(self) -> Array:
        return self.layout.box_array(self.xp)

    def _launch_arguments(self, box: Box | None) -> tuple[tuple[Any, ...], int]:
        """Return the launch arguments after the arrays, and the number of blocks."""
        array = self._whole if box is None else self.layout.box_array(self.xp, box)
        chunk, blocks = rows_per_block(box or self.layout.whole(), self.d)
        _, p1, p2 = self.layout.padded_shape
        return (array, p1, p2, chunk), blocks

    def _kernel(self, name: str, number: Any, *store: Any) -> Kernel:
        """Return a kernel for numbers of one dtype, with vectors of the dtype `store`."""
        return get_kernel(SOURCE, name, number, self.d.dtype, self.offdiag is not None, *store)

    def apply(self, u: Array, out: Array, box: Box | None = None) -> None:
        """Write A u into `out`, in the cells of `box` or everywhere; the halo of u is read as it is."""
        kernel, (arguments, blocks) = self._kernel("apply_stencil", u.dtype), self._launch_arguments(box)
        if use_compiled(kernel, u):
            offdiag = self.given_offdiag.astype(u.dtype, copy=False)
            launch(kernel, blocks, u, self.d, offdiag, out, *arguments, self.weight)
        else:
            apply_reference(u, self.d, self.offdiag, out, arguments[0], self.weight)

    def quadratic_form(self, u: Array, box: Box | None = None) -> float:
        """Return u'A u, u in float32 or float64."""
        kernel, (arguments, blocks) = self._kernel("quadratic_form", np.float64, u.dtype), self._launch_arguments(box)
        if not use_compiled(kernel, u):
            return quadratic_form_reference(u, self.d, self.offdiag, arguments[0], self.weight)
        partial = partials(u, blocks)
        launch(kernel, blocks, u, self.d, self.given_offdiag, partial, *arguments, partial.shape[1], self.weight)
        return float(partial.sum())

    def cg_step(
        self,
        z: Array,
        old: Array,
        p: Array,
        x: Array,
        f: Array,
        residual: Array,
        beta: float,
        step: float,
        moves: tuple[float, float] | None,
    ) -> float:
        """Set p = z + beta old and residual = f - step A p; return residual'residual.

        With `moves`, x += moves[0] old + moves[1] p. The vectors z, old, p, f and residual have one dtype, and
        `residual` may be f. p is set in the halo as well.
        """
        kernel, box = self._kernel("cg_step", np.float64, p.dtype), self._whole
        numbers = (beta, step * self.weight, int(moves is not None), *(moves or (0.0, 0.0)))
        if not use_compiled(kernel, p):
            return cg_step_reference(z, old, p, x, f, residual, self.d, self.offdiag, box, *numbers)
        n0, n1, n2 = self.layout.lengths
        chunk, blocks = rows_per_block(((0, 0, 0), (n0 + 2, n1 + 2, n2)), p)
        partial = partials(p, blocks)
        arguments = (box, *self.layout.padded_shape[1:], chunk, partial.shape[1])
        launch(kernel, blocks, z, old, p, x, f, residual, self.d, self.given_offdiag, partial, *arguments, *numbers)
        return float(partial.sum())

    def residual(self, x: Array, b: Array, f: Array, scale: float) -> float:
        """Set f = scale (b - A x) and return f'f; b is padded or a grid of three axes."""
        kernel, (arguments, blocks) = self._kernel("scaled_residual", np.float64, f.dtype), self._launch_arguments(None)
        inset = int(b.shape == x.shape)
        if not use_compiled(kernel, x):
            return scaled_residual_reference(x, b, f, self.d, self.offdiag, arguments[0], inset, self.weight, scale)
        partial = partials(x, blocks)
        numbers = (partial.shape[1], *b.shape[1:], inset, self.weight, scale)
        launch(kernel, blocks, x, b, f, self.d, self.given_offdiag, partial, *arguments, *numbers)
        return float(partial.sum())

    def axpy(self, x: Array, p: Array, step: float) -> None:
        """Add step p to x."""
        kernel, (arguments, blocks) = get_kernel(SOURCE, "axpy", np.float64, p.dtype), self._launch_arguments(None)
        if use_compiled(kernel, p):
            launch(kernel, blocks, x, p, *arguments, step)
        else:
            x[box_key(arguments[0])] += step * p[box_key(arguments[0])].astype(np.float64)

    def dot(self, a: Array, b: Array) -> float:
        """Return the sum of a b, both of one dtype, in double precision."""
        kernel, (arguments, blocks) = get_kernel(SOURCE, "dot", b.dtype), self._launch_arguments(None)
        if not use_compiled(kernel, a):
            return dot_reference(a, b, arguments[0])
        partial = partials(a, blocks)
        launch(kernel, blocks, a, b, partial, *arguments, partial.shape[1])
        return float(partial.sum())


def partials(like: Array, blocks: int) -> Array:
    """Return zeros for the partial sums of all blocks: one each on the host, one for each thread on a device."""
    return namespace(like).zeros((blocks, block_size(like) if is_device_array(like) else 1))


def moved(padded: Array, box: Array, axis: int, shift: int) -> Array:
    """Return the cells of a box in a padded array, moved by `shift` along `axis`."""
    key = list(box_key(box))
    key[axis] = slice(key[axis].start + shift, key[axis].stop + shift)
    return padded[tuple(key)]


def around(u: Array, offdiag: Array | None, box: Array) -> Array:
    """Return the sum of link x neighbor in the cells of a box."""
    pairs = [(moved(u, box, axis, -1), moved(u, box, axis, 1)) for axis in range(3)]
    if offdiag is None:
        return (pairs[0][0] + pairs[0][1]) + (pairs[1][0] + pairs[1][1]) + (pairs[2][0] + pairs[2][1])
    total = 0
    for axis, (before, after) in enumerate(pairs):
        total = total + moved(offdiag[axis], box, axis, 0) * before + moved(offdiag[axis], box, axis, 1) * after
    return total


def apply_reference(u: Array, d: Array, offdiag: Array | None, out: Array, box: Array, weight: float) -> None:
    """Reference of the kernel `apply_stencil` in array calls."""
    key = box_key(box)
    out[key] = (d[key] > 0) * (weight * (d[key] * u[key] - around(u, offdiag, box)))


def quadratic_form_reference(u: Array, d: Array, offdiag: Array | None, box: Array, weight: float) -> float:
    """Reference of the kernel `quadratic_form` in array calls."""
    key, u = box_key(box), u.astype(np.float64)
    return weight * float((u[key] * (d[key] * u[key] - around(u, offdiag, box))).sum())


def cg_step_reference(
    z: Array,
    old: Array,
    p: Array,
    x: Array,
    f: Array,
    residual: Array,
    d: Array,
    offdiag: Array | None,
    box: Array,
    beta: float,
    step: float,
    moves: int,
    before: float,
    now: float,
) -> float:
    """Reference of the kernel `cg_step` in array calls."""
    key = box_key(box)
    p[...] = z.astype(np.float64) + beta * old.astype(np.float64)
    direction = p.astype(np.float64)
    product = d[key] * direction[key] - around(direction, offdiag, box)
    residual[key] = (d[key] > 0) * (f[key] - step * product)
    if moves:
        x[key] += before * old[key] + now * direction[key]
    return dot_reference(residual, residual, box)


def scaled_residual_reference(
    x: Array,
    b: Array,
    f: Array,
    d: Array,
    offdiag: Array | None,
    box: Array,
    inset: int,
    weight: float,
    scale: float,
) -> float:
    """Reference of the kernel `scaled_residual` in array calls."""
    key = box_key(box)
    left = (d[key] > 0) * ((b[key] if inset else b) - weight * (d[key] * x[key] - around(x, offdiag, box)))
    left = scale * left
    f[key] = left
    return float((left * left).sum())


def dot_reference(a: Array, b: Array, box: Array) -> float:
    """Reference of the kernel `dot` in array calls."""
    key = box_key(box)
    return float((a[key].astype(np.float64) * b[key].astype(np.float64)).sum())
