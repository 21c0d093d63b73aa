"""Softmax attention over a sequence that is spread over ranks, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sci.backend import Array, namespace, to_device
from sci.distributed import Comm, Deferred, Layout, abort_on_error
from sci.errors import InvalidValueError
from sci.nn import op
from sci.sequence.attention.problem import AttentionMethod, Problem, agreed_problem
from sci.sequence.attention.ring import ring_backward, ring_forward
from sci.sequence.attention.rsa import rsa_backward, rsa_forward
from sci.sequence.attention.ulysses import ulysses_backward, ulysses_forward
from sci.sequence.checks import agree_cotangents, narrowed

__all__ = ["softmax_attention"]

_FORWARD: dict[str, Callable[[Problem, Deferred], tuple[Array, Array]]] = {
    "ring": ring_forward,
    "rsa": rsa_forward,
    "ulysses": ulysses_forward,
}
_BACKWARD: dict[str, Callable[[Problem, Array, Array, Array, Deferred], tuple[Array, Array, Array]]] = {
    "ring": ring_backward,
    "rsa": rsa_backward,
    "ulysses": ulysses_backward,
}
_MASKED = 1e30
"""Stands for the log-sum-exp of a query that sees no key: every weight exp(score - lse) is zero then."""


def _softmax_attention_vjp(douts: tuple[Array | None, Array | None], residuals: Any) -> tuple[Array, Array, Array]:
    """Return the gradients of `softmax_attention` for this rank's q, k and v.

    With delta_i = dout_i . out_i - dlse_i: ds_ij = p_ij (dout_i . v_j - delta_i), dq_i = scale sum over j of ds_ij k_j,
    dk_j = scale sum over i of ds_ij q_i, dv_j = sum over i of p_ij dout_i. Weights are computed again.

    Parameters
    ----------
    douts : (dout, dlse)
        Gradients for this rank's output and log-sum-exp; None for one that is not used (on all ranks alike).
    residuals
        The second value of `softmax_attention.forward`.

    Returns
    -------
    dq, dk, dv : arrays like q, k and v

    Raises
    ------
    ShapeError, InvalidValueError
        On every rank.

    Notes
    -----
    Collective. A rank sends, in the units of `softmax_attention`: ring 4 (P - 1), as the gradients travel with the keys
    for P - 1 hops; rsa 4 (P - 1), of which 2 (P - 1) are a reduction over ranks; all-to-all 7 (P - 1) / P and
    2 (P - 1) / (P head_dim). Gradients travel in the precision of sums, which for float16 doubles their bytes.
    """
    problem, out, lse = residuals
    dout, dlse = douts
    shape, work = (*problem.leading, *problem.q.shape[1:]), Deferred()
    given = {"dout": (dout, shape), "dlse": (dlse, shape[:-1])}
    agree_cotangents(problem.comm, "softmax_attention", lse, given)
    with abort_on_error(problem.comm):
        xp = namespace(lse)
        dout = xp.zeros_like(out) if dout is None else problem.working(dout.reshape(out.shape))
        delta = (dout * out).sum(axis=2)
        if dlse is not None:
            delta -= dlse.reshape(delta.shape)
        finite = xp.where(lse == -xp.inf, xp.full_like(lse, _MASKED), lse)
        gradients = _BACKWARD[problem.method](problem, dout, finite, delta, work)
    with work:
        dq, dk, dv = gradients
        dq *= problem.dtype.type(problem.scale)
        dq, dk, dv = (
            narrowed(g, problem.q.dtype, "a gradient of softmax attention").reshape(shape) for g in (dq, dk, dv)
        )
    work.settle(problem.comm, "the gradient of softmax_attention")
    return dq, dk, dv


@op(vjp=_softmax_attention_vjp, collective=True)
def softmax_attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    causal: bool = False,
    blocks: Sequence[int] | None = None,
    scale: float | None = None,
    method: AttentionMethod = "ring",
    layout: Layout = "contiguous",
    segments: Array | None = None,
    precision: str | None = None,
    length: int | None = None,
    comm: Comm = None,
) -> tuple[tuple[Array, Array], Any]:
    """Attend over a sequence of which every rank holds a part.

    o_i = sum over j of p_ij v_j with p_ij = exp(scale q_i . k_j - lse_i), lse_i = log sum over j of
    exp(scale q_i . k_j), where j runs over the tokens that i sees.

    Parameters
    ----------
    q, k, v : (..., heads, length, head_dim) float16, float32 or float64
        This rank's tokens: `shard(x, comm, -2, layout)`. Any length, also shorter than the number of ranks;
        head_dim at most 256.
    causal : bool
        Whether a token sees only itself and those before it.
    blocks : sequence of int, optional
        Lengths of consecutive blocks of the whole sequence: a token sees its own block and all before it
        (block-causal), such as the scales of next-scale prediction. Not with `causal`; the same on all ranks.
    scale : float, optional
        1 / sqrt(head_dim) by default.
    method : {"ring", "rsa", "ulysses"}
        Keys and values travel round a ring past online softmax; a whole strip of scores in memory; or all-to-all, with
        whole sequences of some of the heads on each rank.
    layout : {"contiguous", "zigzag", "striped"}
        Which tokens a rank holds, see `positions`. The last two share the work of causal attention evenly; "striped"
        gives each rank its share of every block.
    segments : (length,) int array, optional
        The document of each of this rank's tokens: tokens see only their own document. A document is one run of
        positions; tokens of negative ids are padding, which sees nothing and is not seen. The same for all batches.
    precision : {"float32", "float64"}, optional
        Least precision of sums and of lse; float32 for float16, otherwise that of the input by default.
    length : int, optional
        Length of the whole sequence, if known: then it is checked.
    comm : mpi4py communicator, optional

    Returns
    -------
    out : (..., heads, length, head_dim)
        In the dtype of q; zero for a token that sees nothing.
    lse : (..., heads, length)
        In the precision of sums; minus infinity for a token that sees nothing.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DecompositionError
        On every rank.

    Notes
    -----
    Collective; an error of one rank is raised on all. With L = n / P tokens per rank, a unit is heads L head_dim
    elements in the precision of sums. A rank sends 2 (P - 1) units by "ring" and "rsa", and (4 + 1 / head_dim) (P - 1)
    / P by "ulysses". Peak memory beside the arguments, measured: ring 2 units on one rank and 8 on several, 5 and 17
    with gradients; ulysses 6, 16 with gradients; rsa 2 strips of heads L n elements, 3.4 with gradients. Flops 4 heads
    L n head_dim, half of it if causal; with blocks, tiles that no query sees are skipped.

    References
    ----------
    Liu, Zaharia, Abbeel, Ring Attention, arXiv 2310.01889 (ring); Li et al., Sequence Parallelism, arXiv 2105.13120
    (rsa); Jacobs et al., DeepSpeed Ulysses, arXiv 2309.14509 (all-to-all); Brandon et al., Striped Attention,
    arXiv 2311.09431 (striped layout).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import softmax_attention
    >>> out, lse = softmax_attention(np.zeros((1, 2, 4)), np.zeros((1, 2, 4)), np.ones((1, 2, 4)), causal=True)
    >>> lse
    array([[0.        , 0.69314718]])
    >>> softmax_attention(np.zeros((1, 3, 4)), np.zeros((1, 3, 4)), np.ones((1, 3, 4)), blocks=(1, 2))[1].round(3)
    array([[0.   , 1.099, 1.099]])
    """
    problem = agreed_problem(
        q,
        k,
        v,
        causal=causal,
        blocks=blocks,
        scale=scale,
        method=method,
        layout=layout,
        segments=segments,
        precision=precision,
        length=length,
        comm=comm,
    )
    work = Deferred()
    with abort_on_error(comm):
        out, lse = _FORWARD[method](problem, work)
    with work:
        _check_scores(problem, lse)
    work.settle(comm, "softmax_attention")
    result = out.astype(q.dtype, copy=False).reshape(q.shape), lse.reshape(q.shape[:-1])
    return result, (problem, out, lse)


def _check_scores(problem: Problem, lse: Array) -> None:
    """Raise unless every token that sees something has a finite log-sum-exp."""
    xp = namespace(lse)
    padding = to_device(problem.sequences.padding(problem.rank), xp)
    if not bool(((lse < xp.inf) & ((lse > -xp.inf) | padding)).all()):
        raise InvalidValueError("scores overflow: scale q . k is too large for the precision of sums")
