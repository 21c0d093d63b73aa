"""Tensor attention: every query attends to pairs of keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace, require_finite
from sci.distributed import Comm, abort_on_error
from sci.distributed.agreement import verdict
from sci.distributed.communicators import channel_of
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import op
from sci.sequence.attention.problem import fingerprint, narrowed, require_sharded, working_dtype
from sci.sequence.attention.tiles import MAX_HEAD_DIM
from sci.sequence.higher_order.exact import Exact
from sci.sequence.higher_order.polynomial import Polynomial, polynomial_degree, polynomial_rank

__all__ = ["tensor_attention"]

TensorMethod: TypeAlias = Literal["exact", "polynomial"]
_NAMES = ("q", "k1", "k2", "v1", "v2")


@dataclass(frozen=True)
class _Call:
    """A method with its arrays, its result in the dtype of sums, and the shapes and dtype to return."""

    method: Exact | Polynomial
    out: Array
    kept: Any
    shapes: tuple[tuple[int, ...], ...]
    dtype: Any
    comm: Comm


def _tensor_attention_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array, Array, Array]:
    """Return the gradients of `tensor_attention` for this rank's q, k1, k2, v1 and v2.

    With dp_ijk = sum over l of g_il v1_jl v2_kl and dx = p (dp - g_i . o_i): dq_i = scale sum over j, k of
    dx_ijk k1_j * k2_k, and alike for the keys; dv1_j = sum over i, k of p_ijk g_i * v2_k. Those of the polynomial are
    exact for the polynomial.

    Raises
    ------
    ShapeError
        On every rank, for a gradient of another shape than the output.

    Notes
    -----
    Collective. Exact: 18 n n1 n2 d flops, and the gradients of (k1, v1) travel with them, those of (k2, v2) are reduced
    over ranks. Polynomial: one sum over ranks of r (d + 1) elements.
    """
    call: _Call = residuals
    error = None
    if tuple(dout.shape) != call.shapes[0]:
        error = ShapeError(f"dout has shape {tuple(dout.shape)}; expected {call.shapes[0]}")
    verdict(channel_of(call.comm), error)
    xp = namespace(dout, call.out)
    g = xp.ascontiguousarray(dout, dtype=call.out.dtype).reshape(call.out.shape)
    with abort_on_error(call.comm):
        gradients = call.method.backward(g, call.out, call.kept)
        found = [narrowed(a, call.dtype, "a gradient of tensor attention") for a in gradients]
    dq, dk1, dk2, dv1, dv2 = (a.reshape(shape) for a, shape in zip(found, call.shapes))
    return dq, dk1, dk2, dv1, dv2


@op(vjp=_tensor_attention_vjp)
def tensor_attention(
    q: Array,
    k1: Array,
    k2: Array,
    v1: Array,
    v2: Array,
    *,
    method: TensorMethod = "exact",
    scale: float | None = None,
    tol: float = 1e-6,
    bound: float | None = None,
    precision: str | None = None,
    lengths: tuple[int, int] | None = None,
    comm: Comm = None,
) -> tuple[Array, Any]:
    """Attend to all pairs of keys.

    o_i = sum over j, k of p_ijk v1_j * v2_k, p = softmax over (j, k) of scale sum over l of q_il k1_jl k2_kl.

    Parameters
    ----------
    q : (..., n, d) float16, float32 or float64
        This rank's queries.
    k1, v1 : (..., n1, d)
        This rank's keys and values of the first kind; every rank may hold any number of them.
    k2, v2 : (..., n2, d)
        Those of the second kind.
    method : {"exact", "polynomial"}
        All pairs, in tiles; or a polynomial for the exponential, near-linear in the length where scores are small.
    scale : float, optional
        1 / d by default.
    tol : float
        For "polynomial": relative error of a weight; that of o is at most 2 tol / (1 - tol) times the largest
        |v1 v2|.
    bound : float, optional
        For "polynomial": a bound of the entries of q, k1 and k2, so that scores are at most scale d bound^3. Otherwise
        they are bounded by scale times the product of the largest 3-norms of rows of q, k1 and k2 (Hölder), looked up
        on all ranks: never worse, but known only with the data.
    precision : {"float32", "float64"}, optional
        Least precision of the sums of "exact"; float32 for float16, otherwise that of the input by default. Sums of
        "polynomial" are always taken in float64.
    lengths : (n1, n2), optional
        How many keys of each kind there are on all ranks, if known: then that is checked.
    comm : mpi4py communicator, optional

    Returns
    -------
    (..., n, d)
        In the dtype of q.

    Raises
    ------
    ShapeError, DTypeError
        On every rank; also where all ranks pass the same keys and values of one kind, unless `lengths` says that they
        are parts.
    InvalidValueError
        On every rank; among others where the polynomial would be wrong (an entry beyond `bound`, rounding above `tol`)
        or useless (dearer than the exact method).

    Notes
    -----
    Collective. With the lengths of the whole sequence: exact 4 n n1 n2 d flops and an exponential a triple, in
    scratch of 2^15 rows; a rank sends P - 1 parts of (k1, v1) round a ring and its part of (k2, v2) to all. Polynomial
    of degree g, known beforehand: rank r = (d + g)! / (d! g!), 6 (n + n1 + n2) r (d + 1) / P flops, sums over ranks of
    2 r (d + 1) elements. Without `bound` one more small message.

    References
    ----------
    Alman, Song, How to Capture Higher-order Correlations? arXiv 2310.04064; gradients: Liang et al., arXiv 2405.16411.
    The Chebyshev series in position of their polynomial and the rule for its degree are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import tensor_attention
    >>> x = np.full((3, 2), 0.5)
    >>> tensor_attention(x, x, x, x, x)[0]
    array([0.25, 0.25])
    """
    arrays = (q, k1, k2, v1, v2)
    table = _agree(arrays, method, scale, tol, bound, precision, lengths, comm)
    shapes = tuple(tuple(a.shape) for a in arrays)
    dtype = working_dtype(q.dtype, precision if method == "exact" else "float64")
    value = 1.0 / shapes[0][-1] if scale is None else float(scale)
    xp = namespace(*arrays)
    flat = [xp.ascontiguousarray(a, dtype=dtype).reshape(math.prod(a.shape[:-2]), *a.shape[-2:]) for a in arrays]
    held = [tuple(table[:, column].tolist()) for column in range(3)]
    radius = _radius(table, abs(value), shapes[0][-1], bound, dtype)
    chosen: Exact | Polynomial
    if method == "exact":
        chosen = Exact(flat[0], flat[1], flat[2], flat[3], flat[4], value, (held[1], held[2]), comm)
    else:
        degree = _useful_degree(radius, tol, shapes[0][-1], [sum(part) for part in held])
        chosen = Polynomial(flat[0], flat[1], flat[2], flat[3], flat[4], value, radius, degree, comm)
    with abort_on_error(comm):
        out, kept = chosen.forward()
        result = narrowed(out, q.dtype, "the output of tensor attention").reshape(shapes[0])
    return result, _Call(chosen, out, kept, shapes, q.dtype, comm)


def _check(arrays: tuple[Array, ...], method: Any, scale: float | None, tol: float, bound: float | None) -> None:
    namespace(*arrays)
    q = arrays[0]
    if method not in ("exact", "polynomial"):
        raise InvalidValueError(f"method is {method!r}; expected 'exact' or 'polynomial'")
    for name, array in zip(_NAMES, arrays):
        if getattr(array, "dtype", None) not in (np.float16, np.float32, np.float64) or array.dtype != q.dtype:
            found = getattr(array, "dtype", type(array))
            raise DTypeError(f"{name} has dtype {found}; expected float16, float32 or float64, one for all")
    shapes = [tuple(a.shape) for a in arrays]
    if not 2 <= q.ndim <= 7 or any(s[:-2] != shapes[0][:-2] or s[-1:] != shapes[0][-1:] for s in shapes):
        raise ShapeError(f"shapes {', '.join(map(str, shapes))}; expected (..., n, d) with the same d and leading axes")
    if shapes[1] != shapes[3] or shapes[2] != shapes[4] or not 1 <= q.shape[-1] <= MAX_HEAD_DIM:
        raise ShapeError(
            f"k1, v1 have shapes {shapes[1]}, {shapes[3]}, and k2, v2 {shapes[2]}, {shapes[4]}; expected pairs of one "
            f"shape, d at most {MAX_HEAD_DIM}"
        )
    for name, array in zip(_NAMES, arrays):
        require_finite(array, name)
    if scale is not None and not math.isfinite(scale):
        raise InvalidValueError(f"scale is {scale}; expected a finite number")
    if not 0 < tol < 1 or (bound is not None and not 0 < bound < math.inf):
        raise InvalidValueError(f"tol is {tol} and bound {bound}; expected 0 < tol < 1 and a positive bound")


def _agree(
    arrays: tuple[Array, ...],
    method: Any,
    scale: float | None,
    tol: float,
    bound: float | None,
    precision: str | None,
    lengths: tuple[int, int] | None,
    comm: Comm,
) -> np.ndarray:
    """Check the arguments on all ranks; return of every rank lengths (0 to 2) and norms (3 to 5, bits)."""
    error: Exception | None = None
    header = [0] * 23
    try:
        _check(arrays, method, scale, tol, bound)
        norms = [_norm(name, a, bound if method == "polynomial" else None) for name, a in zip(_NAMES, arrays[:3])]
        numbers = [*norms, tol, -1 if bound is None else bound, math.inf if scale is None else scale]
        bits = np.array(numbers, dtype=np.float64).view(np.int64).tolist()
        q, k1, k2, v1, v2 = arrays
        prints = [fingerprint(k[None], v[None], comm) for k, v in ((k1, v1), (k2, v2))]
        sizes = [q.dtype.itemsize, working_dtype(q.dtype, precision).itemsize, q.shape[-1], q.ndim, *q.shape[:-2]]
        first, second = (-1, -1) if lengths is None else lengths
        header = [
            *(a.shape[-2] for a in arrays[:3]),
            *bits[:3],
            *prints,
            int(first),
            int(second),
            *bits[3:],
            method == "exact",
            *sizes,
        ]
        header += [0] * (23 - len(header))
    except Exception as caught:
        error = caught
    table = verdict(channel_of(comm), error, header)
    if (table[:, 8:] != table[0, 8:]).any():
        raise ShapeError("dtype, d, leading axes or an option differ between ranks; only the lengths may")
    if 0 in (table[:, 1].sum(), table[:, 2].sum()):
        raise ShapeError("there are no keys of one kind on any rank; expected at least one")
    for kind in (1, 2):
        parts = f"shard(x, comm, -2) of k{kind} and v{kind}"
        require_sharded(table[:, kind].tolist(), int(table[0, 7 + kind]), table[:, 5 + kind], parts)
    return table


def _norm(name: str, array: Array, bound: float | None) -> float:
    """Return the largest 3-norm of a row, in numbers that do not overflow; check the entries against `bound`."""
    size = namespace(array).abs(array.astype(np.float64, copy=False))
    largest = float(size.max()) if array.size else 0.0
    if bound is not None and largest > bound:
        raise InvalidValueError(f"{name} has an entry of size {largest:.6g}, beyond bound={bound:g}")
    if largest == 0.0:
        return 0.0
    size = size / largest
    return float(largest * np.cbrt(float((size * size * size).sum(axis=-1).max())))


def _radius(table: np.ndarray, scale: float, width: int, bound: float | None, dtype: Any) -> float:
    """Return the bound of the scores, if it can be computed with."""
    norms: list[float] = table[:, 3:6].copy().view(np.float64).max(axis=0).tolist()
    if bound is not None:
        norms = [bound * width ** (1 / 3)] * 3
    pair = scale * norms[0] * norms[1]
    if not max(pair, pair * norms[2]) < float(np.finfo(dtype).max) / 16:
        raise InvalidValueError(
            f"scores overflow {dtype}: rows of q, k1 and k2 have 3-norms up to "
            f"{', '.join(f'{a:.3g}' for a in norms)}; scale the inputs down"
        )
    return float(pair * norms[2])


def _useful_degree(radius: float, tol: float, width: int, lengths: list[int]) -> int:
    """Return the degree for the bound and tolerance, unless the polynomial would cost more than the exact method."""
    degree = polynomial_degree(radius, tol)
    rank = polynomial_rank(width, degree)
    # Flops of both, an exponential counted as 20.
    if 6 * rank * (width + 1) * sum(lengths) > (4 * width + 20) * math.prod(lengths):
        raise InvalidValueError(
            f"scores up to {radius:.3g} need a polynomial of degree {degree} with {rank} terms for tol={tol:g}, dearer "
            "than method='exact' at these lengths; use that, scale the inputs down, or a larger tol"
        )
    return degree
