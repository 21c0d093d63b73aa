"""Operations along one axis of a dense tensor, which the tensor formats share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from sci.backend import Array, as_finite, namespace
from sci.errors import ShapeError

__all__ = ["as_tensor", "cheapest_order", "khatri_rao", "mode_product", "mode_products", "normalize_signs", "unfold"]


def as_tensor(array: Array, name: str, ndim: int | None = None) -> Array:
    """Return a finite C-contiguous array; single and complex precisions stay, everything else becomes float64.

    Raises
    ------
    ShapeError
        If an axis is empty or `ndim` is not met.
    """
    kept = getattr(array, "dtype", None)
    dtype = kept if kept in (np.float32, np.float64, np.complex64, np.complex128) else np.float64
    result = as_finite(array, name, dtype=dtype)
    if (ndim is not None and result.ndim != ndim) or 0 in result.shape:
        raise ShapeError(f"{name} has shape {tuple(result.shape)}; expected {ndim or 'its'} axes, none of length 0")
    return result


def unfold(tensor: Array, axis: int) -> Array:
    """Return the matrix whose rows run along `axis`, (n_axis, product of the others)."""
    return namespace(tensor).moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def mode_product(tensor: Array, matrix: Array, axis: int, out: Array | None = None) -> Array:
    """Multiply every fiber along `axis` by `matrix`, (n, n_axis); the result is C-contiguous with n at `axis`.

    Parameters
    ----------
    tensor : array
    matrix : (n, n_axis) array
    axis : int
    out : C-contiguous array of the result's shape and dtype, optional

    Notes
    -----
    2 n tensor.size flops, no transposed copies of the tensor.
    """
    xp = namespace(tensor, matrix)
    flat: tuple[int, ...]
    before, after = math.prod(tensor.shape[:axis]), math.prod(tensor.shape[axis + 1 :])
    shape = (*tensor.shape[:axis], matrix.shape[0], *tensor.shape[axis + 1 :])
    if after == 1:
        left, right, flat = tensor.reshape(before, -1), matrix.T, (before, matrix.shape[0])
    elif before == 1:
        left, right, flat = matrix, tensor.reshape(-1, after), (matrix.shape[0], after)
    else:
        left, right, flat = matrix, tensor.reshape(before, -1, after), (before, matrix.shape[0], after)
    if out is None:
        return xp.matmul(left, right).reshape(shape)
    xp.matmul(left, right, out=out.reshape(flat))
    return out


def cheapest_order(shape: Sequence[int], new_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the order of axes in which mode products from `shape` to `new_shape` take the fewest flops."""
    if len(shape) > 6:
        return tuple(sorted(range(len(shape)), key=lambda axis: new_shape[axis] / shape[axis]))

    def flops(order: Sequence[int]) -> int:
        size, total = math.prod(shape), 0
        for axis in order:
            total += size * new_shape[axis]
            size = size // shape[axis] * new_shape[axis]
        return total

    return min(itertools.permutations(range(len(shape))), key=flops)


def mode_products(tensor: Array, matrices: Sequence[Array], out: Array | None = None) -> Array:
    """Multiply along every axis by its matrix, in the cheapest order."""
    order = cheapest_order(tensor.shape, [m.shape[0] for m in matrices])
    for axis in order[:-1]:
        tensor = mode_product(tensor, matrices[axis], axis)
    return mode_product(tensor, matrices[order[-1]], order[-1], out)


def khatri_rao(factors: Sequence[Array]) -> Array:
    """Return the columnwise Kronecker product of (n_l, R) factors: (product of n_l, R), the last axis fastest."""
    result = factors[0]
    for factor in factors[1:]:
        result = (result[:, None, :] * factor[None, :, :]).reshape(-1, result.shape[1])
    return result


def normalize_signs(vectors: Array) -> Array:
    """Return columns with their sign (phase) fixed, so that it does not depend on the linear algebra library.

    The first entry of at least half the largest magnitude becomes positive. The largest entry itself would not do:
    odd vectors have two of them, and rounding would choose.
    """
    xp = namespace(vectors)
    magnitude = xp.abs(vectors)
    first = xp.argmax(magnitude >= 0.5 * magnitude.max(axis=0), axis=0)
    pivot = vectors[first, xp.arange(vectors.shape[1])]
    size = xp.abs(pivot)
    phase = xp.where(size > 0, pivot, 1) / xp.where(size > 0, size, 1)
    return vectors * xp.conj(phase)
