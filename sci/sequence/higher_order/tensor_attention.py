"""Tensor attention: every query attends to pairs of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sci.backend import Array, namespace
from sci.distributed import Comm, Deferred, abort_on_error
from sci.nn import op
from sci.sequence.attention.problem import flat_heads
from sci.sequence.checks import agree_cotangents, narrowed
from sci.sequence.higher_order.exact import Exact
from sci.sequence.higher_order.polynomial import Polynomial
from sci.sequence.higher_order.problem import TensorMethod, agreed_tensor_problem, score_radius, useful_degree

__all__ = ["tensor_attention"]


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
    agree_cotangents(call.comm, "tensor_attention", call.out, {"dout": (dout, call.shapes[0])})
    work = Deferred()
    with abort_on_error(call.comm):
        g = namespace(dout).ascontiguousarray(dout, dtype=call.out.dtype).reshape(call.out.shape)
        gradients = call.method.backward(g, call.out, call.kept, work)
    with work:
        found = [narrowed(a, call.dtype, "a gradient of tensor attention") for a in gradients]
    work.settle(call.comm, "the gradient of tensor_attention")
    dq, dk1, dk2, dv1, dv2 = (a.reshape(shape) for a, shape in zip(found, call.shapes))
    return dq, dk1, dk2, dv1, dv2


@op(vjp=_tensor_attention_vjp, collective=True)
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
    problem = agreed_tensor_problem(
        arrays, method=method, scale=scale, tol=tol, bound=bound, precision=precision, lengths=lengths, comm=comm
    )
    shapes, width = tuple(tuple(a.shape) for a in arrays), q.shape[-1]
    f, f1, f2, g1, g2 = (flat_heads(a, problem.dtype) for a in arrays)
    radius = score_radius(problem.norms, abs(problem.scale), width, bound, problem.dtype)
    chosen: Exact | Polynomial
    if method == "exact":
        chosen = Exact(f, f1, f2, g1, g2, problem.scale, problem.lengths[1:], comm)
    else:
        degree = useful_degree(radius, tol, width, [sum(part) for part in problem.lengths])
        chosen = Polynomial(f, f1, f2, g1, g2, problem.scale, radius, degree, comm)
    work = Deferred()
    with abort_on_error(comm):
        out, kept = chosen.forward(work)
    with work:
        result = narrowed(out, q.dtype, "the output of tensor attention").reshape(shapes[0])
    work.settle(comm, "tensor_attention")
    return result, _Call(chosen, out, kept, shapes, q.dtype, comm)
