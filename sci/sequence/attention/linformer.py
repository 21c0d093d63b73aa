"""Attention to keys and values projected to a fixed number of rows, over a sequence spread over ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace, require_finite
from sci.distributed import Comm, abort_on_error, allreduce_sum
from sci.distributed.agreement import verdict
from sci.distributed.communicators import channel_of
from sci.errors import DTypeError, ShapeError
from sci.nn import op
from sci.sequence.attention.problem import fingerprint, narrowed, require_sharded, working_dtype
from sci.sequence.attention.tiles import MAX_HEAD_DIM, KeyRange, add_gradients, attend

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
    shape = (*call.leading, *call.q.shape[1:])
    error = None
    if tuple(dout.shape) != shape:
        error = ShapeError(f"dout has shape {tuple(dout.shape)}; expected {shape}")
    verdict(channel_of(call.comm), error)
    xp = namespace(dout, call.q)
    with abort_on_error(call.comm):
        dout = xp.ascontiguousarray(dout.reshape(call.q.shape), dtype=call.q.dtype)
        delta, scale = (dout * call.out).sum(axis=2), call.q.dtype.type(call.scale)
        dq, dkeys, dvalues = (xp.zeros_like(a) for a in (call.q, call.keys, call.values))
        given = (call.q * scale, call.keys, call.values, dout, call.lse, delta)
        key_range = _key_range(xp, call.q, call.keys)
        add_gradients(*given, key_range, xp.arange(call.keys.shape[1]), dq, dkeys, dvalues)
        dkeys, dvalues = allreduce_sum(xp.stack([dkeys, dvalues]), call.comm, checked=True)
        dk, dv = call.e.T @ dkeys, call.f.T @ dvalues
        de = xp.einsum("hrd,hld->rl", dkeys, call.k)
        df = xp.einsum("hrd,hld->rl", dvalues, call.v)
        found = (dq * scale, dk, dv, de, df)
        dq, dk, dv, de, df = (narrowed(a, call.dtype, "a gradient of Linformer attention") for a in found)
    return dq.reshape(shape), dk.reshape(shape), dv.reshape(shape), de, df


@op(vjp=_linformer_attention_vjp)
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
    Not causal: every token takes part in every row. Flops 8 heads length rows head_dim.

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
    _agree((q, k, v, e, f), scale, precision, length, comm)
    xp, shape, given = namespace(q, k, v, e, f), q.shape, q.dtype
    dtype = working_dtype(given, precision)
    q, k, v = (xp.ascontiguousarray(a, dtype=dtype).reshape(math.prod(shape[:-2]), *shape[-2:]) for a in (q, k, v))
    e, f = (a.astype(dtype, copy=False) for a in (e, f))
    value = shape[-1] ** -0.5 if scale is None else float(scale)
    with abort_on_error(comm):
        keys, values = allreduce_sum(xp.stack([e @ k, f @ v]), comm, checked=True)
        keys, values = (xp.ascontiguousarray(a) for a in (keys, values))
        out, lse = xp.zeros_like(q), xp.full(q.shape[:2], -xp.inf, q.dtype)
        attend(q * q.dtype.type(value), keys, values, _key_range(xp, q, keys), xp.arange(keys.shape[1]), out, lse)
        result = narrowed(out, given, "the output of Linformer attention").reshape(shape)
    call = _Call(q, k, v, e, f, value, keys, values, out, lse, tuple(shape[:-2]), given, comm)
    return result, call


def _key_range(xp: Any, q: Array, keys: Array) -> KeyRange:
    """Every query sees every row."""
    low = xp.zeros(q.shape[1], np.int64)
    return KeyRange(low, low + keys.shape[1])


def _check(arrays: dict[str, Array]) -> None:
    """Check the arrays of one rank."""
    namespace(*arrays.values())
    q, k, v, e, f = arrays.values()
    for name, array in arrays.items():
        if getattr(array, "dtype", None) not in (np.float16, np.float32, np.float64) or array.dtype != q.dtype:
            found = getattr(array, "dtype", type(array))
            raise DTypeError(f"{name} has dtype {found}; expected float16, float32 or float64, one for all")
    if not 3 <= q.ndim <= 7 or not q.shape == k.shape == v.shape or not 1 <= q.shape[-1] <= MAX_HEAD_DIM:
        raise ShapeError(
            f"q, k and v have shapes {q.shape}, {k.shape} and {v.shape}; expected one shape (..., heads, length, "
            f"head_dim), head_dim at most {MAX_HEAD_DIM}"
        )
    if e.ndim != 2 or e.shape != f.shape or e.shape[1] != q.shape[-2] or e.shape[0] == 0:
        raise ShapeError(
            f"e and f have shapes {e.shape} and {f.shape}; expected (rows, {q.shape[-2]}), the columns of this rank's "
            "tokens: of whole projections, shard(e, comm, 1)"
        )
    for name, array in arrays.items():
        require_finite(array, name)


def _agree(
    arrays: tuple[Array, ...], scale: float | None, precision: str | None, length: int | None, comm: Comm
) -> None:
    """Check the arguments on all ranks."""
    error: Exception | None = None
    header = [0] * 13
    try:
        _check(dict(zip("qkvef", arrays)))
        q, k, v, e, _ = arrays
        bits = int(np.float64(-1 if scale is None else scale).view(np.int64))
        sizes = [q.dtype.itemsize, working_dtype(q.dtype, precision).itemsize, q.shape[-1], e.shape[0]]
        whole = -1 if length is None else int(length)
        header = [q.shape[-2], fingerprint(k, v, comm), whole, bits, *sizes, *q.shape[:-2]]
        header += [0] * (13 - len(header))
    except Exception as caught:
        error = caught
    table = verdict(channel_of(comm), error, header)
    if (table[:, 2:] != table[0, 2:]).any():
        raise ShapeError("dtype, heads, head_dim, rows or an option differ between ranks; only the length may")
    require_sharded(
        table[:, 0].tolist(), int(table[0, 2]), table[:, 1], "shard(x, comm, -2), and of e and f shard(e, comm, 1)"
    )
