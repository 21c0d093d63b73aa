"""The stencil of the Poisson operator on padded arrays, and the vector work of conjugate gradients fused with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.kernels import Kernel, block_size, host_threads, launch, use_compiled
from sci.solvers.layout import Box, Layout, box_key, rows_per_block

__all__ = ["Stencil"]

_ENDS = "box: i64[7], p1: i64, p2: i64, chunk: i64"
_C_NAMES = {"f32": "float", "f64": "double", "i8": "signed char"}
_CODES = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64", np.dtype(np.int8): "i8"}


def code_of(array: Array) -> str:
    """Return the name that signatures give the dtype of an array."""
    return _CODES[np.dtype(array.dtype)]


def stencil_kernel(name: str, number: str, diagonal: str, variable: bool, store: str = "") -> Kernel:
    """Return an instance of `apply_stencil`, or of `curvature`, `conjugate` or `update` with p of type `store`."""
    tail = f", {_C_NAMES[store]}" if store else ""
    instance = f"{name}<{_C_NAMES[number]}, {_C_NAMES[diagonal]}, {str(variable).lower()}{tail}>"
    u, d, links = (f"{number}[p0, p1, p2]", f"{diagonal}[p0, p1, p2]", f"{number}[3, q0, q1, q2]")
    p, sums = f"{store}[p0, p1, p2]", "lanes: i64, weight: f64"
    signatures = {
        "apply_stencil": f"u: {u}, d: {d}, links: {links}, out: {u}, {_ENDS}, weight: f64",
        "curvature": f"p: {p}, d: {d}, links: {links}, partial: f64[blocks, lanes], {_ENDS}, {sums}",
        "conjugate": f"p: {p}, z: {p}, d: {d}, links: {links}, product: f64[1], box: i64[7], p1: i64, p2: i64, "
        "weight: f64, beta: f64",
        "update": f"x: {u}, r: {u}, p: {p}, d: {d}, links: {links}, store: {p}, "
        f"partial: f64[blocks, lanes], {_ENDS}, {sums}, step: f64, scale: f64",
    }
    return Kernel("stencil.cu", instance, signatures[name])


def dot_kernel(store: str) -> Kernel:
    """Return the kernel of a sum of products of a float64 array and one of type `store`."""
    signature = f"a: f64[p0, p1, p2], b: {store}[p0, p1, p2], partial: f64[blocks, lanes], {_ENDS}, lanes: i64"
    return Kernel("stencil.cu", f"dot<double, {_C_NAMES[store]}>", signature)


def direction_kernel(store: str) -> Kernel:
    """Return the kernel of p = z + beta p, both of type `store`."""
    signature = f"p: {store}[p0, p1, p2], z: {store}[p0, p1, p2], {_ENDS}, beta: f64"
    return Kernel("stencil.cu", f"direction<double, {_C_NAMES[store]}>", signature)


KERNELS = (
    stencil_kernel("apply_stencil", "f64", "i8", False),
    stencil_kernel("apply_stencil", "f32", "i8", False),
    stencil_kernel("apply_stencil", "f64", "f64", True),
    *(
        stencil_kernel(name, "f64", d, v, s)
        for name in ("curvature", "conjugate", "update")
        for d, v in (("i8", False), ("f64", True))
        for s in ("f32", "f64")
    ),
    *(dot_kernel(s) for s in ("f32", "f64")),
    *(direction_kernel(s) for s in ("f32", "f64")),
)
"""Every kernel instance that this module can launch."""


@dataclass(frozen=True)
class Stencil:
    """A 7-point operator A u = weight (d u - sum of link x neighbour) on the cells with d > 0 of a padded grid.

    Parameters
    ----------
    layout : Layout
    d : padded array
        int8 numbers of faces, with links None; or float64.
    links : (3, *padded) float64 array or None
        links[axis] at a cell is the link to the cell before it; None if all links between unknowns are 1.
    weight : float
    """

    layout: Layout
    d: Array
    links: Array | None
    weight: float

    @cached_property
    def xp(self) -> ModuleType:
        """The namespace of the arrays."""
        return namespace(self.d)

    @cached_property
    def given_links(self) -> Array:
        """The links, or what the kernels take in their place."""
        return self.xp.zeros((3, 1, 1, 1)) if self.links is None else self.links

    @cached_property
    def _whole(self) -> Array:
        return self.layout.box_array(self.xp)

    def _ends(self, box: Box | None) -> tuple[tuple[Any, ...], int]:
        """Return the arguments after the arrays, and the number of blocks."""
        array = self._whole if box is None else self.layout.box_array(self.xp, box)
        chunk, blocks = rows_per_block(box or self.layout.whole(), self.d)
        _, p1, p2 = self.layout.padded_shape
        return (array, p1, p2, chunk), blocks

    def _kernel(self, name: str, number: str, store: str = "") -> Kernel:
        return stencil_kernel(name, number, code_of(self.d), self.links is not None, store)

    def apply(self, u: Array, out: Array, box: Box | None = None) -> None:
        """Write A u into `out`, in the cells of `box` or everywhere; the layers around the grid hold what they hold."""
        kernel, (ends, blocks) = self._kernel("apply_stencil", code_of(u)), self._ends(box)
        if use_compiled(kernel, u):
            links = self.given_links.astype(u.dtype, copy=False)
            launch(kernel, blocks, u, self.d, links, out, *ends, self.weight)
        else:
            apply_reference(u, self.d, self.links, out, ends[0], self.weight)

    def curvature(self, p: Array, box: Box | None = None) -> float:
        """Return p'A p, p in float32 or float64."""
        kernel, (ends, blocks) = self._kernel("curvature", "f64", code_of(p)), self._ends(box)
        if not use_compiled(kernel, p):
            return curvature_reference(p, self.d, self.links, ends[0], self.weight)
        partial = partials(p, blocks)
        launch(kernel, blocks, p, self.d, self.given_links, partial, *ends, partial.shape[1], self.weight)
        return float(partial.sum())

    def conjugate(self, p: Array, z: Array, beta: float) -> float:
        """Do p = z + beta p; return p'A p. In one pass on one thread of a host, where no axis is periodic."""
        kernel = self._kernel("conjugate", "f64", code_of(p))
        apart = is_device_array(p) or host_threads() > 1 or any(self.layout.periodic)
        if apart or not use_compiled(kernel, p):
            self.direction(p, z, beta)
            return self.curvature(self.layout.wrap(p))
        product, ends = np.zeros(1), (self._whole, *self.layout.padded_shape[1:])
        launch(kernel, 1, p, z, self.d, self.given_links, product, *ends, self.weight, beta)
        return float(product[0])

    def update(self, x: Array, r: Array, p: Array, step: float, store: Array, scale: float) -> float:
        """Do x += step p, r -= step A p, store = scale r; return r'r. `store` has the dtype of p."""
        kernel, (ends, blocks) = self._kernel("update", "f64", code_of(store)), self._ends(None)
        if not use_compiled(kernel, p):
            return update_reference(x, r, p, self.d, self.links, store, ends[0], self.weight, step, scale)
        partial, d, links = partials(p, blocks), self.d, self.given_links
        numbers = (partial.shape[1], self.weight, step, scale)
        launch(kernel, blocks, x, r, p, d, links, store, partial, *ends, *numbers)
        return float(partial.sum())

    def dot(self, a: Array, b: Array) -> float:
        """Return the sum of a b, `a` float64."""
        kernel, (ends, blocks) = dot_kernel(code_of(b)), self._ends(None)
        if not use_compiled(kernel, a):
            return dot_reference(a, b, ends[0])
        partial = partials(a, blocks)
        launch(kernel, blocks, a, b, partial, *ends, partial.shape[1])
        return float(partial.sum())

    def direction(self, p: Array, z: Array, beta: float) -> None:
        """Do p = z + beta p, both of one dtype."""
        kernel, (ends, blocks) = direction_kernel(code_of(z)), self._ends(None)
        if use_compiled(kernel, p):
            launch(kernel, blocks, p, z, *ends, beta)
        else:
            direction_reference(p, z, ends[0], beta)


def partials(like: Array, blocks: int) -> Array:
    """Return zeros for the partial sums of all blocks: one each on the host, one for each thread on a device."""
    return namespace(like).zeros((blocks, block_size(like) if is_device_array(like) else 1))


def moved(padded: Array, box: Array, axis: int, shift: int) -> Array:
    """Return the cells of a box in a padded array, moved by `shift` along `axis`."""
    key = list(box_key(box))
    key[axis] = slice(key[axis].start + shift, key[axis].stop + shift)
    return padded[tuple(key)]


def around(u: Array, links: Array | None, box: Array) -> Array:
    """Return the sum of link x neighbour in the cells of a box."""
    pairs = [(moved(u, box, axis, -1), moved(u, box, axis, 1)) for axis in range(3)]
    if links is None:
        return (pairs[0][0] + pairs[0][1]) + (pairs[1][0] + pairs[1][1]) + (pairs[2][0] + pairs[2][1])
    total = 0
    for axis, (before, after) in enumerate(pairs):
        total = total + moved(links[axis], box, axis, 0) * before + moved(links[axis], box, axis, 1) * after
    return total


def apply_reference(u: Array, d: Array, links: Array | None, out: Array, box: Array, weight: float) -> None:
    """Do what the kernel `apply_stencil` does."""
    key = box_key(box)
    out[key] = (d[key] > 0) * (weight * (d[key] * u[key] - around(u, links, box)))


def curvature_reference(p: Array, d: Array, links: Array | None, box: Array, weight: float) -> float:
    """Do what the kernel `curvature` does."""
    key, p = box_key(box), p.astype(np.float64)
    return weight * float((p[key] * (d[key] * p[key] - around(p, links, box))).sum())


def update_reference(
    x: Array,
    r: Array,
    p: Array,
    d: Array,
    links: Array | None,
    store: Array,
    box: Array,
    weight: float,
    step: float,
    scale: float,
) -> float:
    """Do what the kernel `update` does."""
    key, p = box_key(box), p.astype(np.float64)
    rest = (d[key] > 0) * (r[key] - step * weight * (d[key] * p[key] - around(p, links, box)))
    x[key] += step * p[key]
    r[key] = rest
    store[key] = scale * rest
    return float((rest * rest).sum())


def dot_reference(a: Array, b: Array, box: Array) -> float:
    """Do what the kernel `dot` does."""
    key = box_key(box)
    return float((a[key] * b[key]).sum())


def direction_reference(p: Array, z: Array, box: Array, beta: float) -> None:
    """Do what the kernel `direction` does."""
    key = box_key(box)
    p[key] = z[key].astype(np.float64) + beta * p[key].astype(np.float64)
