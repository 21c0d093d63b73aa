"""Softmax attention over one part of the keys: the choice between kernels and array code.

The output and the log-sum-exp of the scores are the whole state of the online softmax: each call updates them by one
part of the keys.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.kernels import Kernel, get_kernel, host_threads, launch, use_compiled
from sci.options import get as get_option
from sci.sequence.tiles.device import add_gradients_on_device, attend_on_device
from sci.sequence.tiles.reference import add_gradients_reference, attend_reference
from sci.sequence.tiles.rules import Rules, no_rules
from sci.sequence.tiles.seen import Seen
from sci.sequence.tiles.units import add_gradients_by_units, attend_by_units

__all__ = ["MAX_HEAD_DIM", "add_gradients", "attend"]

MAX_HEAD_DIM = 576
"""Width of heads up to which a tile of the compiled kernel has room."""
_SOURCE = "attention/attention.cu"
_HOST_TILE = 128
_SCORED = 512
"""Queries, and keys, of a tile whose bias is computed by a callable."""


def attend(
    q: Array, k: Array, v: Array, seen: Seen, out: Array, lse: Array, *, scale: float = 1.0, rules: Rules | None = None
) -> None:
    """Add a part of the keys to softmax attention, in place.

    Parameters
    ----------
    q : (heads, n, d) float32 or float64
        Queries. Of 16 bits, with out and lse of float32, where `fits_units` says so; rules are a cap alone then.
    k, v : (key_heads, m, d), (key_heads, m, e) of the same dtype
        A part of the keys and values. Each head of them serves heads / key_heads heads of queries, one after another.
    seen : Seen
        The keys that each query sees.
    out : (heads, n, e)
        Attention over the parts seen so far; zero before the first.
    lse : (heads, n)
        Its log-sum-exp; minus infinity before the first.
    scale : float
        Factor of the products of queries and keys.
    rules : Rules, optional
        What is done with the scores.

    Notes
    -----
    Cost 2 heads n m (d + e) flops for what is seen, to tiles of 16 queries. Memory: tiles in cache. On a device, scores
    with rules are array code.
    """
    if 0 in (*q.shape, *v.shape) or seen.is_empty:
        return
    rules = None if rules is None or rules.is_idle else rules
    if rules is not None and rules.scored is not None:
        _attend_scored(q, k, v, seen, out, lse, scale, rules)
        return
    if q.dtype.itemsize == 2:
        attend_by_units(q, k, v, seen, out, lse, scale, 0.0 if rules is None else rules.cap)
        return
    kernel = get_kernel(_SOURCE, "attention_forward", q.dtype)
    form = _form(q, kernel)
    if form == "device" and rules is None:
        attend_on_device(q, k, v, seen, out, lse, scale)
    elif form == "host":
        given, lengths = _launched(q, k, v, seen, rules)
        results = (out.reshape(*given[0].shape[:2], -1), lse.reshape(given[0].shape[:2]))
        blocks = given[0].shape[0] * -(-given[0].shape[1] // _HOST_TILE)
        launch(kernel, blocks, *given, *results, scale, *lengths)
    else:
        attend_reference(q, k, v, seen, out, lse, scale, rules)


def _form(q: Array, kernel: Kernel) -> Literal["device", "host", "reference"]:
    """Choose the form of the tiles for `q`: the kernels of a device, `kernel` on the host, or array calls."""
    if is_device_array(q):
        return "reference" if get_option("kernels") == "reference" else "device"
    return "host" if use_compiled(kernel, q) else "reference"


def _launched(
    q: Array, k: Array, v: Array, seen: Seen, rules: Rules | None, *more: Array, gradient: bool = False
) -> tuple[tuple[Array, ...], tuple[int, ...]]:
    """Return the arrays and the lengths that the kernels of the host take; `more` stands after the values."""
    heads, n = k.shape[0], q.shape[1]
    rows = q.shape[0] // heads * n
    scored = no_rules(q.dtype) if rules is None else rules.arguments(q.dtype, gradient)
    arrays = (q.reshape(heads, rows, -1), k, v, *more, seen.start, seen.stop, seen.row_of, *scored)
    return arrays, (scored[3].shape[1], heads, rows, n, k.shape[1], k.shape[2], v.shape[2])


def _attend_scored(
    q: Array, k: Array, v: Array, seen: Seen, out: Array, lse: Array, scale: float, rules: Rules
) -> None:
    """Attend tile by tile of a bias that a callable computes."""
    xp = namespace(q)
    for rows, keys in seen.blocks(k.shape[1], _SCORED, _SCORED):
        own = _tile_rules(rules, rows, keys, q.dtype)[0]
        queries, part, part_lse = (xp.ascontiguousarray(a[:, rows]) for a in (q, out, lse))
        near, values = (xp.ascontiguousarray(a[:, keys]) for a in (k, v))
        attend(queries, near, values, seen.block(rows, keys), part, part_lse, scale=scale, rules=own)
        out[:, rows], lse[:, rows] = part, part_lse


def _tile_rules(rules: Rules, rows: slice, keys: slice, dtype: Any) -> tuple[Rules, Array]:
    """Return the rules of a tile with its bias as an array, and what the callable returned."""
    if rules.scored is None:
        raise AssertionError("the rules hold no callable")
    planes, given = rules.scored.tile(rules.queries[rows], rules.keys[keys], dtype)
    if rules.bias is not None:
        planes = replace(
            planes, array=planes.array + rules.bias.block(rows, keys)
        )  # not in place: it may be the user's
    return rules.block(rows, keys, planes), given


def add_gradients(
    q: Array,
    k: Array,
    v: Array,
    dout: Array,
    lse: Array,
    delta: Array,
    seen: Seen,
    dq: Array,
    dk: Array,
    dv: Array,
    *,
    scale: float = 1.0,
    rules: Rules | None = None,
    dbias: Array | None = None,
) -> None:
    """Add the gradients that flow through a part of the keys, in place.

    p = exp(s - lse), ds = p (dout v - delta); dq += scale ds k, dk += scale ds q, dv += p dout, dbias += ds. With a cap
    the derivative 1 - tanh^2 stands before scale; dropout takes p dout and dout v.

    Parameters
    ----------
    q, k, v, seen, scale, rules
        As in `attend`.
    dout : (heads, n, e)
        Gradient of the output.
    lse : (heads, n)
        Log-sum-exp over all keys; +1e30, not minus infinity, for a query that sees none.
    delta : (heads, n)
        sum over e of dout out, less the gradient of lse.
    dq : (heads, n, d)
    dk, dv : (key_heads, m, d), (key_heads, m, e)
    dbias : array, optional
        Of the shape of the bias in `rules`.

    Notes
    -----
    Cost heads n m (6 d + 4 e) flops for what is seen; 8 d + 6 e where queries and keys are swept apart, on a GPU and on
    the CPU with more threads than heads of keys. With dbias the CPU works head by head, and one thread does what heads
    share.
    """
    if 0 in (*q.shape, *v.shape) or seen.is_empty:
        return
    rules = None if rules is None or rules.is_idle else rules
    given, gradients = (q, k, v, dout, lse, delta), (dq, dk, dv)
    if rules is not None and rules.scored is not None:
        _add_scored_gradients(given, seen, gradients, scale, rules, dbias)
        return
    if q.dtype.itemsize == 2:
        add_gradients_by_units(*given, seen, *gradients, scale, 0.0 if rules is None else rules.cap)
        return
    kernel = get_kernel(_SOURCE, "attention_backward_keys", q.dtype)
    form = _form(q, kernel)
    if form == "device" and rules is None:
        add_gradients_on_device(*given, seen, *gradients, scale)
    elif form == "host":
        _add_gradients_on_host(kernel, given, seen, gradients, scale, rules, dbias)
    else:
        add_gradients_reference(given, seen, gradients, scale, rules, dbias)


def _add_gradients_on_host(
    kernel: Kernel,
    given: tuple[Array, ...],
    seen: Seen,
    gradients: tuple[Array, Array, Array],
    scale: float,
    rules: Rules | None,
    dbias: Array | None,
) -> None:
    """Launch the compiled sweep over keys, and one over queries where threads share a head."""
    q, k, v, dout, lse, delta = given
    dq, dk, dv = gradients
    heads, rows = k.shape[0], q.shape[0] * q.shape[1] // k.shape[0]
    more = (dout.reshape(heads, rows, -1), lse.reshape(heads, rows), delta.reshape(heads, rows))
    arrays, lengths = _launched(q, k, v, seen, rules, *more, gradient=dbias is not None)
    of_queries = dq.reshape(heads, rows, -1)
    fused = heads >= host_threads() or dbias is not None
    blocks = heads if fused else heads * -(-k.shape[1] // _HOST_TILE)
    if dbias is not None and rules is not None and rules.bias is not None and rules.bias.is_shared:
        blocks = 1  # a block works through what another one would add to the same numbers
    changes = np.empty(0, q.dtype) if dbias is None else dbias.reshape(-1)
    bounds = seen.queries_of(k.shape[1])
    launch(kernel, blocks, *arrays, *bounds, of_queries, dk, dv, changes, scale, *lengths, int(fused))
    if not fused:
        queries = get_kernel(_SOURCE, "attention_backward_queries", q.dtype)
        launch(queries, heads * -(-rows // _HOST_TILE), *arrays, of_queries, scale, *lengths)


def _add_scored_gradients(
    given: tuple[Array, ...],
    seen: Seen,
    gradients: tuple[Array, Array, Array],
    scale: float,
    rules: Rules,
    dbias: Array | None,
) -> None:
    """Add gradients tile by tile of a bias that a callable computes, and hand it the gradient of each tile."""
    q, k, v, dout, lse, delta = given
    dq, dk, dv = gradients
    xp = namespace(q)
    for rows, keys in seen.blocks(k.shape[1], _SCORED, _SCORED):
        own, made = _tile_rules(rules, rows, keys, q.dtype)
        if own.bias is None or rules.scored is None:
            raise AssertionError("a tile has its bias")
        change = xp.zeros_like(own.bias.array)
        queries, douts, sums, deltas = (xp.ascontiguousarray(a[:, rows]) for a in (q, dout, lse, delta))
        near, values = (xp.ascontiguousarray(a[:, keys]) for a in (k, v))
        parts = [xp.zeros_like(a) for a in (queries, near, values)]
        tile = (queries, near, values, douts, sums, deltas, seen.block(rows, keys))
        add_gradients(*tile, *parts, scale=scale, rules=own, dbias=change)
        dq[:, rows] += parts[0]
        dk[:, keys] += parts[1]
        dv[:, keys] += parts[2]
        rules.scored.pull(rules.queries[rows], rules.keys[keys], change, made)
        if dbias is not None and rules.bias is not None:
            rules.bias.add(dbias, change, rows, keys)
