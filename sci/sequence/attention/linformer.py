"""Attention to keys and values projected to a fixed number of rows, over a sequence spread over ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sci.backend import Array, namespace
from sci.distributed import Comm, Deferred, abort_on_error, agreed, allreduce_sum, form
from sci.errors import ShapeError
from sci.nn import op
from sci.sequence.attention.problem import check_heads, flat_heads
from sci.sequence.checks import (
    agree_cotangents,
    check_dtypes,
    check_finite,
    fingerprint,
    narrowed,
    require_sharded,
    scale_or,
    working_dtype,
)
from sci.sequence.tiles.attend import add_gradients, attend
from sci.sequence.tiles.seen import Seen

__all__ = ["linformer_attention"]


@dataclass(frozen=True)
class _Call:
    """Flat arrays of one call, the projected keys and values, and the result, all in the dtype of sums."""

    q: Array
    k: Array
    v: Array
    e: Array
    f: Array
    scale: float
    keys: Array
    values: Array
    out: Array
    lse: Array
    leading: tuple[int, ...]
    dtype: Any
    """The dtype of the arguments."""
    comm: Comm


def _linformer_attention_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array, Array, Array]:
    """Return the gradients of `linformer_attention` for this rank's q, k, v, e and f.

    With the sums over ranks dK' and dV' of the gradients of E K and F V: dK = E^T dK', dE = sum over heads of dK' K^T,
    and so for V and F.

    Raises
    ------
    ShapeError
        On every rank, for a gradient of another shape than the output.

    Notes
    -----
    Collective: one sum over ranks of 2 heads rows head_dim elements.
    """
    call: _Call = residuals
    shape, work = (*call.leading, *call.q.shape[1:]), Deferred()
    agree_cotangents(call.comm, "linformer_attention", call.q, {"dout": (dout, shape)})
    xp = namespace(call.q)
    with abort_on_error(call.comm):
        sums = xp.zeros((2, *call.keys.shape), call.q.dtype)
        with work:
            dout = flat_heads(dout, call.q.dtype)
            delta, dq = (dout * call.out).sum(axis=2), xp.zeros_like(call.q)
            given = (call.q, call.keys, call.values, dout, call.lse, delta, _seen(call.q, call.keys))
            add_gradients(*given, dq, sums[0], sums[1], scale=call.scale)
        dkeys, dvalues = allreduce_sum(sums, call.comm, checked=True)
    with work:
        dk, dv = call.e.T @ dkeys, call.f.T @ dvalues
        de = xp.einsum("hrd,hld->rl", dkeys, call.k)
        df = xp.einsum("hrd,hld->rl", dvalues, call.v)
        found = (dq, dk, dv, de, df)
        dq, dk, dv, de, df = (narrowed(a, call.dtype, "a gradient of Linformer attention") for a in found)
    work.settle(call.comm, "the gradient of linformer_attention")
    return dq.reshape(shape), dk.reshape(shape), dv.reshape(shape), de, df


@op(vjp=_linformer_attention_vjp, collective=True)
def linformer_attention(
    q: Array,
    k: Array,
    v: Array,
    e: Array,
    f: Array,
    *,
    scale: float | None = None,
    precision: str | None = None,
    length: int | None = None,
    comm: Comm = None,
) -> tuple[Array, Any]:
    """Attend to `rows` linear combinations of the keys and values of the whole sequence.

    O = softmax(scale Q (E K)^T) (F V), where E K and F V are sums over all tokens.

    Parameters
    ----------
    q, k, v : (..., heads, length, head_dim) float16, float32 or float64
        This rank's tokens; any lengths.
    e, f : (rows, length) of the same dtype
        This rank's columns of the two projections.
    scale : float, optional
        1 / sqrt(head_dim) by default.
    precision : {"float32", "float64"}, optional
        Least precision of all sums, over tokens, rows and ranks; float32 for float16, otherwise that of the input by
        default: the sums of float32 over tokens are then those of a matrix product in float32.
    length : int, optional
        Length of the whole sequence, if known: then it is checked.
    comm : mpi4py communicator, optional

    Returns
    -------
    (..., heads, length, head_dim)
        In the dtype of q.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; also where all ranks pass the same keys and values, unless `length` says that they are parts.

    Notes
    -----
    Collective: one sum over ranks of 2 heads rows head_dim elements, whatever the length; another one for gradients.
    Not causal: every token takes part in every row. Flops 8 heads length rows head_dim. Peak memory beside the
    arguments, measured: 2.4 times q, 7 times with gradients; 5.5 and 13 times q in float32 for float16.

    References
    ----------
    Wang et al., Linformer, arXiv 2006.04768, equation 7; across ranks: Li et al., arXiv 2105.13120, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import linformer_attention
    >>> x = np.ones((1, 4, 2))
    >>> linformer_attention(x, x, x, np.ones((1, 4)), np.ones((1, 4)) / 4)[0, 0]
    array([1., 1.])
    """
    with agreed(comm, "linformer_attention") as agreement:
        _check(q, k, v, e, f)
        dtype = working_dtype(q.dtype, precision)
        value = scale_or(scale, q.shape[-1] ** -0.5)
        agreement.same(q=form(q, free=[-2]), rows=e.shape[0], scale=value, precision=dtype.name, length=length)
        agreement.gather(q.shape[-2], fingerprint(k, v, comm))
    lengths, prints = agreement.table.T
    require_sharded(lengths.tolist(), length, prints, "shard(x, comm, -2), and of e and f shard(e, comm, 1)")
    xp, shape, given, work = namespace(q), tuple(q.shape), q.dtype, Deferred()
    q, k, v = (flat_heads(a, dtype) for a in (q, k, v))
    e, f = (a.astype(dtype, copy=False) for a in (e, f))
    with abort_on_error(comm):
        sums = xp.zeros((2, q.shape[0], e.shape[0], q.shape[2]), dtype)
        with work:
            xp.matmul(e, k, out=sums[0])
            xp.matmul(f, v, out=sums[1])
        keys, values = allreduce_sum(sums, comm, checked=True)
    with work:
        keys, values = (xp.ascontiguousarray(a) for a in (keys, values))
        out, lse = xp.zeros_like(q), xp.full(q.shape[:2], -xp.inf, q.dtype)
        attend(q, keys, values, _seen(q, keys), out, lse, scale=value)
        result = narrowed(out, given, "the output of Linformer attention").reshape(shape)
    work.settle(comm, "linformer_attention")
    return result, _Call(q, k, v, e, f, value, keys, values, out, lse, shape[:-2], given, comm)


def _seen(q: Array, keys: Array) -> Seen:
    """Return that every query sees every row."""
    return Seen.everything(q.shape[1], keys.shape[1], keys.shape[0])


def _check(q: Array, k: Array, v: Array, e: Array, f: Array) -> None:
    """Check the arrays of one rank."""
    check_heads(q=q, k=k, v=v)
    check_dtypes({"q": q, "e": e, "f": f})
    check_finite({"e": e, "f": f})
    if e.ndim != 2 or e.shape != f.shape or e.shape[1] != q.shape[-2] or e.shape[0] == 0:
        raise ShapeError(
            f"e and f have shapes {e.shape} and {f.shape}; expected (rows, {q.shape[-2]}), the columns of this rank's "
            "tokens: of whole projections, shard(e, comm, 1)"
        )
