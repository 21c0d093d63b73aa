"""Products of rows and of modes: compiled for devices, as array calls for reference; on the CPU callers use BLAS."""

from __future__ import annotations

from sci.backend import Array, is_device_array, namespace
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["mode_product", "mode_product_reference", "row_product", "row_product_reference"]

Sizes = tuple[int, int, int, int]
Strides = tuple[int, int, int]

_REAL = {"complex64": "float32", "complex128": "float64"}


def row_product(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return the real product of `a` (rows, terms), many rows, and a small matrix `b` (terms, columns).

    With `out` (rows, columns) the product is added to it.
    """
    kernel = get_kernel("nn/fourier.cu", "row_product", a.dtype)
    if not use_compiled(kernel, a):
        return row_product_reference(a, b, out)
    xp, added = namespace(a, b), out is not None
    out = xp.empty((a.shape[0], b.shape[1]), a.dtype) if out is None else out
    launch(kernel, _grid(-(-len(a) // 8), b.shape[1], a), a, b, out, *a.shape, b.shape[1], int(added))
    return out


def row_product_reference(a: Array, b: Array, out: Array | None = None) -> Array:
    """Reference of the kernel `row_product`, by BLAS."""
    if out is None:
        return a @ b
    out += a @ b
    return out


def mode_product(
    a: Array,
    b: Array,
    out: Array,
    sizes: Sizes,
    strides: tuple[Strides, Strides, Strides],
    conjugate: tuple[bool, bool] = (False, False),
) -> None:
    """Set out[k, r, c] = sum_s a[k, r, s] b[k, s, c] for complex arrays that lie in any order.

    Parameters
    ----------
    a, b, out : C-contiguous complex arrays of any shapes
    sizes : (batch, rows, terms, columns)
    strides : of the axes (k, r, s) of `a`, (k, s, c) of `b`, (k, r, c) of `out`
        In numbers; 0 repeats. Entries of `out` that they do not reach stay as they are.
    conjugate : (bool, bool)
        Use the conjugate of `a`, of `b`.
    """
    real = _REAL[str(a.dtype)]
    kernel = get_kernel("nn/fourier.cu", "mode_product", real, strides[1][2] == 1)
    if not use_compiled(kernel, a):
        mode_product_reference(a, b, out, sizes, strides, conjugate)
        return
    flat = (array.reshape(-1).view(real) for array in (a, b, out))
    signs = (-1.0 if flag else 1.0 for flag in conjugate)
    numbers = (*sizes, *(int(n) for part in strides for n in part), *signs)
    launch(kernel, _grid(sizes[0] * -(-sizes[1] // 4), sizes[3], a), *flat, *numbers)


def mode_product_reference(
    a: Array,
    b: Array,
    out: Array,
    sizes: Sizes,
    strides: tuple[Strides, Strides, Strides],
    conjugate: tuple[bool, bool] = (False, False),
) -> None:
    """Reference of the kernel `mode_product`, by products of strided views."""
    xp, (batch, rows, terms, columns) = namespace(a, b, out), sizes
    shapes = ((batch, rows, terms), (batch, terms, columns), (batch, rows, columns))
    left, right, result = (
        xp.lib.stride_tricks.as_strided(array.reshape(-1), shape, [n * array.itemsize for n in part])
        for array, shape, part in zip((a, b, out), shapes, strides)
    )
    result[...] = xp.matmul(left.conj() if conjugate[0] else left, right.conj() if conjugate[1] else right)


def _grid(units: int, columns: int, like: Array) -> int:
    """Return the blocks for `units` groups of rows: one each on the CPU, on a device a thread for each column."""
    return -(-units * columns // block_size(like)) if is_device_array(like) else units
