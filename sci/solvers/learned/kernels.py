"""The kernels of the learned V-cycle on padded arrays, each beside its reference in array calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import Kernel, bind, get_kernel, use_compiled
from sci.solvers.learned.levels import CUT_OFF, NEAREST
from sci.solvers.learned.parameters import FEATURES, HIDDEN
from sci.solvers.poisson.grid import box_key
from sci.solvers.poisson.stencil import around

__all__ = [
    "bound",
    "coarsen_reference",
    "jacobi_from_zero_reference",
    "jacobi_step_reference",
    "network_fields_reference",
    "prolong_add_reference",
    "residual_reference",
    "restrict_rows_reference",
    "run",
    "transfer_weight",
    "widened",
]

TRANSFER_MIDDLE, TRANSFER_STEP = 1.8, 0.01
"""A code c of a transfer stands for TRANSFER_MIDDLE + TRANSFER_STEP c, from 0.53 to 3.07, and 0 for zero."""

_ONE_TYPE = ("restrict_rows", "restrict_ends", "prolong_add", "neumann_rescale")
_PACKED = ("network_fields", "coarsen")


def cycle_kernel(name: str, variable: bool) -> Kernel:
    """Return an instance of a kernel of `grid/cycle.cu`; `variable` says whether the level has offdiag."""
    if name in _ONE_TYPE:
        return get_kernel("grid/cycle.cu", name, np.float32)
    counts = np.int32 if name in _PACKED else np.int8
    flags = () if name == "pack_faces" else (variable,)
    return get_kernel("grid/cycle.cu", name, np.float32, np.float32 if variable else counts, *flags)


def run(name: str, variable: bool, blocks: int, *arguments: Any) -> None:
    """Launch a kernel, or its reference where none compiles."""
    bound(name, variable, blocks, *arguments)()


def bound(name: str, variable: bool, blocks: int, *arguments: Any) -> Callable[[], None]:
    """Return a callable that launches a kernel, or calls its reference where none compiles, on these arrays."""
    kernel = cycle_kernel(name, variable)
    if use_compiled(kernel, arguments[0]):
        return bind(kernel, blocks, *arguments)
    return functools.partial(_REFERENCES[name], variable, *arguments)


def widened(half: Array) -> Array:
    """Return the floats whose upper halves are given."""
    return (half.astype(np.uint32) << np.uint32(16)).view(np.float32)


def upper_half(value: Array) -> Array:
    """Return the upper halves of floats, cut."""
    return (value.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def transfer_weight(code: Array) -> Array:
    """Return the transfer weights of codes."""
    return (code != 0) * (np.float32(TRANSFER_MIDDLE) + np.float32(TRANSFER_STEP) * code.astype(np.float32))


def _inside(variable: bool, u: Array, d: Array, offdiag: Array, box: Array) -> Array:
    """Return A u in a box."""
    return d[box_key(box)] * u[box_key(box)] - around(u, offdiag if variable else None, box)


def jacobi_from_zero_reference(
    variable: bool, f: Array, jacobi: Array, d: Array, offdiag: Array, u: Array, *rest: Any
) -> None:
    """Reference of the kernel `jacobi_from_zero` in array calls."""
    box, a, b = rest[0], rest[-2], rest[-1]
    start = f * widened(jacobi)
    key = box_key(box)
    w = widened(jacobi)[key]
    u[key] = (a + b) * start[key] - a * b * w * _inside(variable, start, d, offdiag, box)


def jacobi_step_reference(
    variable: bool, u: Array, f: Array, jacobi: Array, d: Array, offdiag: Array, out: Array, *rest: Any
) -> None:
    """Reference of the kernel `jacobi_step` in array calls."""
    key, a = box_key(rest[0]), rest[-1]
    out[key] = u[key] + a * widened(jacobi)[key] * (f[key] - _inside(variable, u, d, offdiag, rest[0]))


def residual_reference(
    variable: bool, u: Array, f: Array, transfer: Array, d: Array, offdiag: Array, t: Array, *rest: Any
) -> None:
    """Reference of the kernel `residual` in array calls."""
    key = box_key(rest[0])
    t[key] = transfer_weight(transfer)[key] * (f[key] - _inside(variable, u, d, offdiag, rest[0]))


def _gathered(fine: Array, interpolation: Array, stride: int, count: int, axis: int) -> Array:
    """Sum four entries along an axis into each of `count` coarse ones."""
    total = 0
    for k in range(4 if stride == 2 else 2):
        key = [slice(None)] * 3
        key[axis] = slice(k, k + stride * (count - 1) + 1, stride)
        total = total + interpolation[k] * fine[tuple(key)]
    return total


def restrict_rows_reference(
    variable: bool, t: Array, m: Array, interpolation: Array, strides: Array, box: Array, *rest: Any
) -> None:
    """Reference of the kernel `restrict_rows` in array calls."""
    (n0, n1), (s0, s1) = (int(v) for v in box[3:5]), (int(v) for v in strides[:2])
    m[1 : n0 + 1, 1 : n1 + 1] = _gathered(_gathered(t, interpolation[0], s0, n0, 0), interpolation[1], s1, n1, 1)


def restrict_ends_reference(
    variable: bool, m: Array, jacobi: Array, f: Array, interpolation: Array, strides: Array, box: Array, *rest: Any
) -> None:
    """Reference of the kernel `restrict_ends` in array calls."""
    n0, n1, n2 = (int(v) for v in box[3:6])
    sums = _gathered(m[1 : n0 + 1, 1 : n1 + 1], rest[-1] * interpolation[2], int(strides[2]), n2, 2)
    f[box_key(box)] = (jacobi[box_key(box)] > 0) * sums


def prolong_add_reference(
    variable: bool, u: Array, e: Array, transfer: Array, interpolation: Array, strides: Array, box: Array, *rest: Any
) -> None:
    """Reference of the kernel `prolong_add` in array calls."""
    xp = namespace(u)
    for axis, (interpolation_weight, n, stride) in enumerate(
        zip(interpolation, (int(v) for v in box[3:6]), (int(v) for v in strides))
    ):
        fine = xp.arange(n)
        parent = fine // stride + 1
        neighbor = xp.where(fine % 2 == 0, parent - 1, parent + 1)
        shape = tuple(-1 if a == axis else 1 for a in range(3))
        own, far = (
            xp.full(n, interpolation_weight[1]).reshape(shape),
            xp.full(n, interpolation_weight[0]).reshape(shape),
        )
        e = own * e.take(parent, axis) + far * e.take(neighbor, axis)
    key = box_key(box)
    u[key] += transfer_weight(transfer)[key] * e


def pack_faces_reference(variable: bool, d: Array, faces: Array, *rest: Any) -> None:
    """Reference of the kernel `pack_faces` in array calls."""
    box = rest[0]
    own, near = d[box_key(box)].astype(np.int32), around((d > 0).astype(np.int32), None, box)
    faces[box_key(box)] = (own > 0) * (1 + 256 * own + 65536 * (own - near))


def unpacked(faces: Array) -> tuple[Array, Array, Array]:
    """Return fluid, Dirichlet faces and diagonal as floats."""
    return tuple(part.astype(np.float32) for part in (faces & 255, faces >> 16, (faces >> 8) & 255))


def network_fields_reference(
    variable: bool,
    d: Array,
    fixed: Array,
    fraction: Array,
    network: Array,
    jacobi: Array,
    transfer: Array,
    diagonal: Array,
    *rest: Any,
) -> None:
    """Reference of the kernel `network_fields` in array calls."""
    xp, box, beyond = namespace(d), rest[0], rest[-1]
    key, lengths = box_key(box), tuple(int(v) for v in box[3:6])
    fluid, walls, whole = (fraction, fixed, d) if variable else unpacked(d)
    own = [fluid, walls * np.float32(1 / 6), whole * np.float32(1 / 6)]
    means = []
    for f in own:
        for axis, n in enumerate(lengths):
            f = sum(f[tuple(slice(k, n + k) if a == axis else slice(None) for a in range(3))] for k in range(3))
        means.append(f * np.float32(1 / 27))
    seen = xp.stack([*(f[key] for f in own), *means], axis=-1).astype(np.float32)
    ends = np.cumsum([FEATURES * HIDDEN, HIDDEN, HIDDEN * 3, 3, 3])
    w1, b1, w2, b2, bends = (network[a:b] for a, b in zip((0, *ends[:-1]), ends))
    hidden = _soft_sign(seen @ w1.reshape(FEATURES, HIDDEN) + b1)
    last = bends * _soft_sign(hidden @ w2.reshape(HIDDEN, 3) + b2)
    factors = (1 + last) / (1 - last)
    whole = whole[key].copy()
    if beyond > 0:
        distance = xp.maximum(seen[..., 0] + np.float32(beyond - 0.5), np.float32(NEAREST))
        whole += (factors[..., 2] * np.float32(0.5 + beyond) / distance - 1) * walls[key]
    unknown = (whole > 0) & (seen[..., 0] > 0)
    jacobi[key] = upper_half(unknown * factors[..., 0] / xp.where(unknown, whole, 1))
    transfer[key] = unknown * _code_of(factors[..., 1])
    if variable:
        diagonal[key] = unknown * whole


def neumann_rescale_reference(variable: bool, t: Array, transfer: Array, *rest: Any) -> None:
    """Reference of the kernel `neumann_rescale` in array calls."""
    xp, key = namespace(t), box_key(rest[0])
    own, lost = transfer_weight(transfer[key]), t[key].copy()
    part = xp.minimum(lost / xp.where(own > 0, own, 1), np.float32(CUT_OFF))
    transfer[key] = xp.where(lost > 0, _code_of(own / (1 - part)), transfer[key])
    t[key] = 0


def _code_of(value: Array) -> Array:
    xp = namespace(value)
    code = xp.minimum(xp.rint((value - TRANSFER_MIDDLE) / TRANSFER_STEP), 127)
    return xp.where(code == 0, 1, code).astype(np.int8)


def _soft_sign(x: Array) -> Array:
    return x / (1 + namespace(x).abs(x))


def coarsen_reference(
    variable: bool,
    d: Array,
    fixed: Array,
    fraction: Array,
    offdiag: Array,
    c_d: Array,
    c_fixed: Array,
    c_fraction: Array,
    c_links: Array,
    factors: Array,
    strides: Array,
    box: Array,
    *rest: Any,
) -> None:
    """Reference of the kernel `coarsen` in array calls."""
    xp, key = namespace(d), box_key(box)
    counts, steps = [int(v) for v in box[3:6]], [int(v) for v in strides]

    def total(values: Array, skip: int | None = None, shift: int = 0) -> Array:
        """Sum over the children, along axis `skip` only those in one layer."""
        for axis, (n, s) in enumerate(zip(counts, steps)):
            part = 0
            for child in range(1 if axis == skip else s):
                first = 1 + child + (shift if axis == skip else 0)
                part = (
                    part
                    + values[
                        tuple(slice(first, first + s * (n - 1) + 1, s) if a == axis else slice(None) for a in range(3))
                    ]
                )
            values = part
        return values

    unknown, walls, _ = (fraction, fixed, d) if variable else unpacked(d)
    c_fraction[key] = factors[2] * total(unknown)
    c_fixed[key] = factors[1] * total(walls)
    diagonal = c_fixed[key].copy()
    for axis in range(3):
        if variable:
            link = offdiag[axis]
        else:
            link = xp.zeros_like(unknown)
            high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
            low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
            link[high] = unknown[high] * unknown[low]
        before, after = (factors[0] * total(link, axis, shift) for shift in (0, steps[axis]))
        c_links[axis][key] = before
        diagonal += before + after
    c_d[key] = diagonal


_REFERENCES: dict[str, Callable[..., None]] = {
    "jacobi_from_zero": jacobi_from_zero_reference,
    "jacobi_step": jacobi_step_reference,
    "residual": residual_reference,
    "restrict_rows": restrict_rows_reference,
    "restrict_ends": restrict_ends_reference,
    "prolong_add": prolong_add_reference,
    "pack_faces": pack_faces_reference,
    "network_fields": network_fields_reference,
    "neumann_rescale": neumann_rescale_reference,
    "coarsen": coarsen_reference,
}
