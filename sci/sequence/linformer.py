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
from sci.sequence.tiles import MAX_HEAD_DIM, View, add_gradients, attend

__all__ = ["linformer_attention", "linformer_attention_forward", "linformer_attention_vjp"]


@dataclass(frozen=True)
class _Call:
    """Flat arrays of one call, the projected keys and values, and the result."""

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
    comm: Comm


def linformer_attention(
    q: Array, k: Array, v: Array, e: Array, f: Array, *, scale: float | None = None, comm: Comm = None
) -> Array:
    """Attend to `rows` linear combinations of the keys and values of the whole sequence.

    O = softmax(scale Q (E K)^T) (F V), where E K and F V are sums over all tokens.

    Parameters
    ----------
    q, k, v : (..., heads, length, head_dim) float32 or float64
        This rank's tokens; any lengths.
    e, f : (rows, length) of the same dtype
        This rank's columns of the two projections.
    scale : float, optional
        1 / sqrt(head_dim) by default.
    comm : mpi4py communicator, optional

    Returns
    -------
    (..., heads, length, head_dim)

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank.

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
    return linformer_attention_forward(q, k, v, e, f, scale=scale, comm=comm)[0]


def linformer_attention_forward(
    q: Array, k: Array, v: Array, e: Array, f: Array, *, scale: float | None = None, comm: Comm = None
) -> tuple[Array, Any]:
    """Do what `linformer_attention` does and return (out, residuals): the first half of a pair for `sci.nn`."""
    _agree(q, k, v, e, f, scale, comm)
    xp, shape = namespace(q, k, v, e, f), q.shape
    q, k, v = (xp.ascontiguousarray(a).reshape(math.prod(shape[:-2]), *shape[-2:]) for a in (q, k, v))
    value = shape[-1] ** -0.5 if scale is None else float(scale)
    with abort_on_error(comm):
        keys, values = allreduce_sum(xp.stack([e @ k, f @ v]), comm, checked=True)
        keys, values = (xp.ascontiguousarray(a) for a in (keys, values))
        out, lse = xp.zeros_like(q), xp.full(q.shape[:2], -xp.inf, q.dtype)
        attend(q * q.dtype.type(value), keys, values, _view(xp, q, keys), xp.arange(keys.shape[1]), out, lse)
    return out.reshape(shape), _Call(q, k, v, e, f, value, keys, values, out, lse, tuple(shape[:-2]), comm)


def linformer_attention_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array, Array, Array]:
    """Return the gradients of `linformer_attention_forward` for this rank's q, k, v, e and f.

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
        dout = xp.ascontiguousarray(dout.reshape(call.q.shape))
        delta, scale = (dout * call.out).sum(axis=2), call.q.dtype.type(call.scale)
        dq, dkeys, dvalues = (xp.zeros_like(a) for a in (call.q, call.keys, call.values))
        given = (call.q * scale, call.keys, call.values, dout, call.lse, delta)
        view = _view(xp, call.q, call.keys)
        add_gradients(*given, view, xp.arange(call.keys.shape[1]), dq, dkeys, dvalues)
        dkeys, dvalues = allreduce_sum(xp.stack([dkeys, dvalues]), call.comm, checked=True)
    dk, dv = call.e.T @ dkeys, call.f.T @ dvalues
    de = xp.einsum("hrd,hld->rl", dkeys, call.k)
    df = xp.einsum("hrd,hld->rl", dvalues, call.v)
    dq, dk, dv = (a.reshape(shape) for a in (dq * scale, dk, dv))
    return dq, dk, dv, de, df


def _view(xp: Any, q: Array, keys: Array) -> View:
    """Every query sees every row."""
    low = xp.zeros(q.shape[1], np.int64)
    return View(low, low + keys.shape[1])


def _agree(q: Array, k: Array, v: Array, e: Array, f: Array, scale: float | None, comm: Comm) -> None:
    """Check the arguments on all ranks."""
    error: Exception | None = None
    header = [0] * 9
    try:
        namespace(q, k, v, e, f)
        arrays = {"q": q, "k": k, "v": v, "e": e, "f": f}
        for name, array in arrays.items():
            if getattr(array, "dtype", None) not in (np.float32, np.float64) or array.dtype != q.dtype:
                found = getattr(array, "dtype", type(array))
                raise DTypeError(f"{name} has dtype {found}; expected float32 or float64, one for all")
        if not 3 <= q.ndim <= 7 or not q.shape == k.shape == v.shape or not 1 <= q.shape[-1] <= MAX_HEAD_DIM:
            raise ShapeError(
                f"q, k and v have shapes {q.shape}, {k.shape} and {v.shape}; expected one shape (..., heads, length, "
                f"head_dim), head_dim at most {MAX_HEAD_DIM}"
            )
        if e.ndim != 2 or e.shape != f.shape or e.shape[1] != q.shape[-2] or e.shape[0] == 0:
            raise ShapeError(f"e and f have shapes {e.shape} and {f.shape}; expected (rows, {q.shape[-2]})")
        for name, array in arrays.items():
            require_finite(array, name)
        bits = int(np.float64(-1 if scale is None else scale).view(np.int64))
        header = [q.dtype.itemsize, q.shape[-1], e.shape[0], bits, *q.shape[:-2]]
        header += [0] * (9 - len(header))
    except Exception as caught:
        error = caught
    table = verdict(channel_of(comm), error, header)
    if (table != table[0]).any():
        raise ShapeError("dtype, heads, head_dim, rows or scale differ between ranks; only the length may")
