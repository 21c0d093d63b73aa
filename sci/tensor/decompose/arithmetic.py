"""Sums, products and truncation of tensors in the Tucker format, and their conversion to the CP format."""

from __future__ import annotations

import math

import numpy as np

from sci.backend import Array, namespace, to_host
from sci.chebyshev import coefficients_to_values, values_to_coefficients
from sci.errors import InvalidValueError, ShapeError
from sci.tensor.decompose.hosvd import hosvd
from sci.tensor.formats.cp import CP
from sci.tensor.formats.modes import mode_products
from sci.tensor.formats.tucker import Tucker

__all__ = ["add", "multiply_series", "to_cp", "truncate"]

PRODUCT_ENTRIES = 2**27
"""Entries of the largest dense array that a product may form: 1 GB in float64."""


def truncate(tensor: Tucker, tol: float, *, floor: float = 0.0) -> Tucker:
    """Return a Tucker tensor of smaller ranks: factors made orthonormal by QR, the core decomposed by `hosvd`.

    Parameters
    ----------
    tensor : Tucker
    tol : float
        Relative to the Frobenius norm of `tensor`.
    floor : float
        Absolute error that is allowed in any case: the rounding of what `tensor` was computed from.

    Returns
    -------
    Tucker
        Orthonormal factors.
    """
    straight = tensor.orthogonalized()
    norm = float(namespace(straight.core).linalg.norm(straight.core.ravel()))
    if norm <= floor:
        return _zero_like(tensor)
    small = hosvd(straight.core, max(tol, floor / norm))
    return Tucker(small.core, tuple(q @ u for q, u in zip(straight.factors, small.factors)))


def _zero_like(tensor: Tucker) -> Tucker:
    """Return the zero tensor with ranks 1 and unit vectors as factors."""
    xp = namespace(tensor.core)
    core = xp.zeros((1,) * tensor.core.ndim, dtype=tensor.dtype)
    return Tucker(core, tuple(xp.eye(n, 1, dtype=tensor.dtype) for n in tensor.shape))


def add(a: Tucker, b: Tucker, tol: float) -> Tucker:
    """Return a + b: cores as diagonal blocks, factors side by side, then truncated.

    Parameters
    ----------
    a, b : Tucker of one shape
    tol : float
        Relative to ||a + b||; where a and b cancel, rounding of 1e-15 (||a|| + ||b||) takes its place.

    Raises
    ------
    ShapeError
    """
    if a.shape != b.shape:
        raise ShapeError(f"sum of shapes {a.shape} and {b.shape}; expected equal shapes")
    xp = namespace(a.core, b.core)
    core = xp.zeros(tuple(r + s for r, s in zip(a.tucker_ranks, b.tucker_ranks)), dtype=xp.result_type(a.core, b.core))
    core[tuple(slice(r) for r in a.tucker_ranks)] = a.core
    core[tuple(slice(r, None) for r in a.tucker_ranks)] = b.core
    factors = tuple(xp.concatenate([f, g], axis=1) for f, g in zip(a.factors, b.factors))
    return truncate(Tucker(core, factors), tol, floor=1e-15 * (a.norm() + b.norm()))


def multiply_series(a: Tucker, b: Tucker, tol: float) -> Tucker:
    """Return the coefficients of the product of two functions given as Chebyshev coefficients in Tucker format.

    The values at degree_a + degree_b + 1 nodes an axis are multiplied, which is exact. Either the factors are
    multiplied row by row and the cores by Kronecker (ranks r_a r_b), or the dense arrays of values, whichever is
    the smaller.

    Raises
    ------
    InvalidValueError
        If both ways form more than 2^27 entries.
    """
    xp = namespace(a.core, b.core)
    rows = [f.shape[0] + g.shape[0] - 1 for f, g in zip(a.factors, b.factors)]
    dense, ranks = math.prod(rows), a.core.size * b.core.size
    if min(dense, ranks) > PRODUCT_ENTRIES:
        raise InvalidValueError(
            f"a product with ranks {a.tucker_ranks} x {b.tucker_ranks} and {rows} nodes would form "
            f"{min(dense, ranks):.2g} entries, more than {PRODUCT_ENTRIES:.2g}; truncate both first"
        )
    pairs = [(_values(f, n), _values(g, n)) for f, g, n in zip(a.factors, b.factors, rows)]
    if dense <= ranks:
        values = mode_products(a.core, [f for f, _ in pairs]) * mode_products(b.core, [g for _, g in pairs])
        for axis in range(3):
            values = values_to_coefficients(values, axis)
        return hosvd(values, tol)
    factors = [values_to_coefficients((f[:, :, None] * g[:, None, :]).reshape(len(f), -1)) for f, g in pairs]
    core = xp.tensordot(a.core, b.core, axes=0).transpose(0, 3, 1, 4, 2, 5).reshape([f.shape[1] for f in factors])
    return truncate(Tucker(core, tuple(factors)), tol)


def _values(coefficients: Array, rows: int) -> Array:
    """Return the values of coefficient columns at `rows` nodes."""
    return coefficients_to_values(pad_rows(coefficients, rows))


def pad_rows(matrix: Array, rows: int) -> Array:
    """Return `matrix` with rows of zeros added at the end, up to `rows`."""
    xp = namespace(matrix)
    result = xp.zeros((rows, matrix.shape[1]), dtype=matrix.dtype)
    result[: matrix.shape[0]] = matrix
    return result


def to_cp(tensor: Tucker, tol: float) -> CP:
    """Return a CP form of a three-axis Tucker tensor: an SVD of every core slice across the shortest axis.

    Parameters
    ----------
    tensor : Tucker with three axes
    tol : float
        Relative Frobenius tolerance, 0 <= tol < 1: the smallest singular values of all slices together are dropped,
        as many as the tolerance allows. The terms are orthogonal, so the error is exactly the root of their squares.

    Returns
    -------
    CP
        At most r_1 r_2 terms for sorted ranks r_1 <= r_2 <= r_3, in falling order of weight.
    """
    straight = tensor.orthogonalized()
    xp = namespace(straight.core)
    axis = min(range(3), key=straight.core.shape.__getitem__)
    left, right = (q for q in range(3) if q != axis)
    u, s, vh = xp.linalg.svd(xp.moveaxis(straight.core, axis, 0), full_matrices=False)
    values = to_host(s).ravel()
    order = np.argsort(-values, kind="stable")
    tails = np.cumsum(values[order][::-1] ** 2)[::-1]
    kept = order[: max(1, int(np.count_nonzero(tails > tol**2 * tails[0])))]
    slices, places = xp.asarray(kept // s.shape[1]), xp.asarray(kept % s.shape[1])
    factors: list[Array] = [None] * 3
    factors[axis] = straight.factors[axis][:, slices]
    factors[left] = straight.factors[left] @ u[slices, :, places].T
    factors[right] = straight.factors[right] @ vh[slices, places, :].T
    return CP(s[slices, places], tuple(factors))
