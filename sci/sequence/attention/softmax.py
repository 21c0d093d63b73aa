"""Softmax attention over a sequence that is spread over ranks, and its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, Deferred, Layout, abort_on_error, allreduce_sum
from sci.errors import InvalidValueError
from sci.nn import op
from sci.sequence.attention.problem import AttentionMethod, Options, Problem, agreed_problem
from sci.sequence.attention.ring import ring_backward, ring_forward
from sci.sequence.attention.rsa import rsa_backward, rsa_forward
from sci.sequence.attention.ulysses import ulysses_backward, ulysses_forward
from sci.sequence.checks import agree_cotangents, narrowed
from sci.sequence.tiles.reference import merge_attention
from sci.sequence.tiles.rules import PairScore

__all__ = ["softmax_attention"]

_Gradients = tuple[Array, Array, Array, Array | None]
_FORWARD: dict[str, Callable[[Problem, Deferred], tuple[Array, Array]]] = {
    "ring": ring_forward,
    "rsa": rsa_forward,
    "ulysses": ulysses_forward,
}
_BACKWARD: dict[str, Callable[[Problem, Array, Array, Array, Deferred], _Gradients]] = {
    "ring": ring_backward,
    "rsa": rsa_backward,
    "ulysses": ulysses_backward,
}
_MASKED = 1e30
"""Stands for the log-sum-exp of a query that sees no key: every weight exp(score - lse) is zero then."""
_NAME = "a gradient of softmax attention"


def _softmax_attention_vjp(douts: tuple[Array | None, Array | None], residuals: Any) -> tuple[Array | None, ...]:
    """Return the gradients of `softmax_attention` for this rank's q, k and v, and for what else was given.

    With delta_i = dout_i . out_i - dlse_i: ds_ij = p_ij (dout_i . v_j - delta_i), dq_i = scale sum over j of ds_ij k_j,
    dk_j = scale sum over i of ds_ij q_i, dv_j = sum over i of p_ij dout_i, dbias_ij = ds_ij, and for the logit of a
    sink minus the sum over i of exp(sink - lse_i) delta_i. Weights are computed again.

    Parameters
    ----------
    douts : (dout, dlse)
        Gradients for this rank's output and log-sum-exp; None for one that is not used (on all ranks alike).
    residuals
        The second value of `softmax_attention.forward`.

    Returns
    -------
    dq, dk, dv : arrays like q, k and v
    dbias, dsink_logits, dparameters : arrays or None
        Only if one of the three was given. Those of a bias whose row all queries share, of sinks and of parameters are
        whole, on all ranks.

    Raises
    ------
    ShapeError, InvalidValueError
        On every rank.

    Notes
    -----
    Collective. A rank sends, in the units of `softmax_attention`: ring 4 (P - 1), as the gradients travel with the keys
    for P - 1 hops; rsa 4 (P - 1), of which 2 (P - 1) are a reduction over ranks; all-to-all 7 (P - 1) / P and
    2 (P - 1) / (P head_dim). Gradients travel in the precision of sums, which for float16 doubles their bytes. The
    gradient of a bias stays where its rows are.
    """
    problem, out, lse = residuals
    dout, dlse = douts
    shape, work = (*problem.leading, problem.q.shape[1], problem.v.shape[2]), Deferred()
    given = {"dout": (dout, shape), "dlse": (dlse, shape[:-1])}
    agree_cotangents(problem.comm, "softmax_attention", lse, given)
    with abort_on_error(problem.comm):
        xp = namespace(lse)
        dout = xp.zeros_like(out) if dout is None else problem.working(dout.reshape(out.shape))
        delta = xp.einsum("hnd,hnd->hn", dout, out)
        if dlse is not None:
            delta -= dlse.reshape(delta.shape)
        finite = xp.where(lse == -xp.inf, xp.full_like(lse, _MASKED), lse)
        problem.sums.clear()
        *gradients, dbias = _BACKWARD[problem.method](problem, dout, finite, delta, work)
        others = _other_gradients(problem, dbias, finite, delta, work)
    with work:
        dtype, leading, own = problem.q.dtype, problem.leading, problem.key_leading
        found = [
            narrowed(g, dtype, _NAME).reshape(*axes, *g.shape[1:]) for g, axes in zip(gradients, (leading, own, own))
        ]
        found += [None if g is None else narrowed(g, like, _NAME) for g, like in others]
    work.settle(problem.comm, "the gradient of softmax_attention")
    return tuple(found)


def _other_gradients(
    problem: Problem, dbias: Array | None, lse: Array, delta: Array, work: Deferred
) -> list[tuple[Array | None, Any]]:
    """Return the gradients of bias, sinks and parameters, each with its dtype; nothing if none of them was given."""
    parameters, dtype = problem.scores.parameters, problem.q.dtype
    if problem.bias_shape is None and problem.sink_logits is None and parameters is None:
        return []
    found: list[tuple[Array | None, Any]] = [(None, dtype)] * 3
    if dbias is not None and problem.bias_shape is not None:
        dbias = allreduce_sum(dbias, problem.comm, checked=True) if problem.bias_is_shared else dbias
        found[0] = dbias.reshape(problem.bias_shape), dtype
    if problem.sink_logits is not None:
        weights = namespace(lse).exp(problem.sink_logits[:, None] - lse)
        change = -(weights * delta).sum(axis=1)
        change = change.reshape(math.prod(problem.leading[:-1]), problem.leading[-1]).sum(axis=0)
        found[1] = allreduce_sum(change, problem.comm, checked=True), dtype
    if parameters is not None:
        total = namespace(parameters).zeros_like(parameters)
        with work:
            if problem.sums:
                total = total + problem.sums[0].reshape(parameters.shape)
        found[2] = allreduce_sum(total.astype(parameters.dtype), problem.comm, checked=True), parameters.dtype
    return found


@op(vjp=_softmax_attention_vjp, collective=True)
def softmax_attention(
    q: Array,
    k: Array,
    v: Array,
    bias: Array | None = None,
    sink_logits: Array | None = None,
    parameters: Array | None = None,
    *,
    causal: bool = False,
    window: int | Sequence[int | None] | None = None,
    sink_tokens: int = 0,
    blocks: Sequence[int] | None = None,
    offset: int | None = None,
    scale: float | None = None,
    cap: float | None = None,
    slopes: Array | Sequence[float] | None = None,
    mask: Array | None = None,
    score: PairScore | None = None,
    dropout: float = 0.0,
    seed: int | None = None,
    method: AttentionMethod = "ring",
    layout: Layout = "contiguous",
    segments: Array | None = None,
    key_segments: Array | None = None,
    precision: str | None = None,
    length: int | None = None,
    comm: Comm = None,
) -> tuple[tuple[Array, Array], Any]:
    """Attend over a sequence of which every rank holds a part.

    o_i = sum over j of p_ij v_j with p_ij = exp(s_ij - lse_i), lse_i = log sum over j of exp(s_ij), where j runs over
    the keys that i sees, and s_ij = scale q_i . k_j unless `cap`, `slopes`, `bias` or `score` say more, in this order.

    Parameters
    ----------
    q : (..., heads, n, head_dim) float16, bfloat16, float32 or float64
        This rank's queries: `shard(x, comm, -2, layout)`. Any number, also none; head_dim at most 576. bfloat16 is the
        dtype of the package ml_dtypes.
    k, v : (..., key_heads, m, head_dim), (..., key_heads, m, width) of the same dtype
        This rank's keys and values. m may differ from n (cross attention, decoding); key_heads divides heads, and each
        serves heads / key_heads heads of queries, one after another (grouped and multi-query attention). Parts of the
        contiguous layout have any lengths, also none.
    bias : array, optional
        Added to the scores: broadcasts to (..., heads, n, all keys), rows of this rank's queries. One row for all
        queries is the same on all ranks; where every rank has one query, a row is its own, and so is its gradient.
    sink_logits : (heads,) array, optional
        A learned score in the sum of each head that has no value: weights add up to less than one.
    parameters : array, optional
        What `score` takes; the same on all ranks.
    causal : bool
        Whether a query sees no key after its own place.
    window : int or (int or None, int or None), optional
        How many tokens before and after its place a query sees, beside its own; one number is for both sides.
    sink_tokens : int
        How many of the first keys, of each document, a query sees beside its window.
    blocks : sequence of int, optional
        Lengths of consecutive blocks of the whole sequence: a token sees its own block and all before it
        (block-causal), such as the scales of next-scale prediction. Not with `causal`; the same on all ranks.
    offset : int, optional
        Query i stands at place i + offset among the keys. By default the last query stands at the last key: 0 for
        equal lengths, otherwise bottom-right alignment, with documents in each of them.
    scale : float, optional
        1 / sqrt(head_dim) by default.
    cap : float, optional
        Scores s become cap tanh(s / cap).
    slopes : (heads,) numbers, optional
        Scores lose slope |place - position of the key| (ALiBi); no gradient.
    mask : bool array, optional
        True where a key is seen; broadcasts like `bias`.
    score : PairScore, optional
        A callable that computes a bias tile by tile, with its gradient.
    dropout : float
        The share of weights that are dropped, the others grow by 1 / (1 - dropout). lse is that of all weights.
    seed : int, optional
        Of dropout: the same weights are dropped on any number of ranks, in any layout, by any method.
    method : {"ring", "rsa", "ulysses"}
        Keys and values travel round a ring past online softmax; a whole strip of scores in memory; or all-to-all, with
        whole sequences of some of the heads on each rank. A method refuses what it does not take by name.
    layout : {"contiguous", "zigzag", "striped"}
        Which tokens a rank holds, see `positions`. The last two share the work of causal attention evenly; "striped"
        gives each rank its share of every block.
    segments : (n,) or (..., n) int array, optional
        The document of each of this rank's tokens, one row for each index of the batch axes if they differ: tokens
        see only their own document, also one in several runs; tokens of negative ids are padding, which sees nothing
        and is not seen.
    key_segments : (m,) or (..., m) int array, optional
        Those of the keys, where they are another sequence.
    precision : {"float32", "float64"}, optional
        Least precision of sums and of lse; float32 for 16 bits, otherwise that of the input by default. Given for 16
        bits, products are of it, too: on a GPU they are by matrix units otherwise, with weights rounded to 16 bits.
    length : int, optional
        Length of the whole sequence of queries, if known: then it is checked.
    comm : mpi4py communicator, optional

    Returns
    -------
    out : (..., heads, n, width)
        In the dtype of q; zero for a token that sees nothing.
    lse : (..., heads, n)
        In the precision of sums; minus infinity for a token that sees nothing.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DecompositionError
        On every rank.

    Notes
    -----
    Collective; an error of one rank is raised on all. With L = n / P tokens per rank, a unit is heads L head_dim
    elements in the precision of sums, for keys of key_heads heads. A rank sends 2 (P - 1) units by "ring" and "rsa",
    and (4 + 1 / head_dim) (P - 1) / P by "ulysses"; `attention_cost` has all cases. A ring in the contiguous layout
    sends keys only to ranks whose queries see some of them. Peak memory beside the arguments, measured: ring 2 units on
    one rank and 8 on several, 5 and 17 with gradients; ulysses 6, 16 with gradients; rsa 2 strips of heads L n
    elements, 3.4 with gradients. Flops 4 heads L n head_dim for pairs that are seen. On a device, scores with cap (but
    for matrix units), slopes, bias, mask, dropout or a callable are array code; on the CPU a callable costs its own
    time for tiles of 512 by 512.

    References
    ----------
    Liu, Zaharia, Abbeel, Ring Attention, arXiv 2310.01889 (ring); Li et al., Sequence Parallelism, arXiv 2105.13120
    (rsa); Jacobs et al., DeepSpeed Ulysses, arXiv 2309.14509 (all-to-all); Brandon et al., Striped Attention,
    arXiv 2311.09431 (striped layout); Press et al., arXiv 2108.12409 (slopes); Xiao et al., arXiv 2309.17453 (sinks).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import softmax_attention
    >>> out, lse = softmax_attention(np.zeros((1, 2, 4)), np.zeros((1, 2, 4)), np.ones((1, 2, 4)), causal=True)
    >>> lse
    array([[0.        , 0.69314718]])
    >>> softmax_attention(np.zeros((1, 3, 4)), np.zeros((1, 3, 4)), np.ones((1, 3, 4)), blocks=(1, 2))[1].round(3)
    array([[0.   , 1.099, 1.099]])
    >>> q, k, v = np.zeros((4, 1, 4)), np.zeros((2, 7, 4)), np.ones((2, 7, 3))  # one token, seven keys, grouped heads
    >>> softmax_attention(q, k, v, causal=True, window=(2, 0))[0].shape
    (4, 1, 3)
    """
    options = Options(
        *(causal, window, sink_tokens, blocks, offset, scale, cap, slopes, mask, score, dropout, seed),
        *(method, layout, segments, key_segments, precision, length, comm),
    )
    problem = agreed_problem(q, k, v, bias, sink_logits, parameters, options)
    work = Deferred()
    with abort_on_error(comm):
        out, lse = _FORWARD[method](problem, work)
    with work:
        _check_scores(problem, lse)
        if problem.sink_logits is not None:
            sinks = namespace(lse).broadcast_to(problem.sink_logits[:, None], lse.shape)
            out, lse = merge_attention(out, lse, namespace(out).zeros_like(out), sinks)
    work.settle(comm, "softmax_attention")
    shape = q.shape[:-1]
    return (out.astype(q.dtype, copy=False).reshape(*shape, v.shape[-1]), lse.reshape(shape)), (problem, out, lse)


def _check_scores(problem: Problem, lse: Array) -> None:
    """Raise unless every token that sees something has a finite log-sum-exp."""
    xp = namespace(lse)
    if bool(xp.isfinite(lse).all()):
        return
    pattern = problem.pattern
    blind = problem.scores.blind(pattern, pattern.queries(problem.rank))
    blind = to_device(np.repeat(blind, lse.shape[0] // max(blind.shape[0], 1), axis=0), xp)
    if not bool(((lse < xp.inf) & ((lse > -xp.inf) | blind)).all()):
        raise InvalidValueError(
            "scores overflow: scale q . k, or what bias, slopes or score add, is too large for the precision of "
            "sums or NaN"
        )
