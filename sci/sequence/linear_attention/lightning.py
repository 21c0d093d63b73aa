"""Linear attention with decay: lightning attention, its gradients, one recurrent step, on one rank or many."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, namespace, require_finite
from sci.distributed import Comm, Deferred, abort_on_error, allreduce_sum, broadcast, size
from sci.nn import op
from sci.sequence.checks import agree_cotangents, narrowed, working_dtype
from sci.sequence.linear_attention.decay_gradient import Boundary, decay_gradient
from sci.sequence.linear_attention.kernel import LEARNING_SEGMENT, SEGMENT, run_recurrence
from sci.sequence.linear_attention.problem import (
    LightningMethod,
    LinearProblem,
    agreed_linear_problem,
    check_linear,
)
from sci.sequence.linear_attention.ranks import gathered_states, local_sum, recv_state, send_state

__all__ = ["lightning_attention", "lightning_step"]

_OUT, _GRADIENT = "the output of lightning attention", "a gradient of lightning attention"


def _rounded(array: Array, dtype: Any, name: str) -> Array:
    """Return `array`, known to be finite, in `dtype`; raise if that cannot hold it."""
    return array if array.dtype == dtype else narrowed(array, dtype, name)


def _swept(
    work: Deferred, name: str, q: Array, k: Array, v: Array, decay: Array, state: Array, **options: Any
) -> tuple[Array, Array]:
    """Return outputs and states of `run_recurrence`; zeros, with the error in `work`, if it fails or overflows."""
    with work:
        out, states, finite = run_recurrence(q, k, v, decay, state, **options)
        if not finite:
            require_finite(out, name)
        require_finite(states[:, 0 if options.get("reverse") else -1], name.replace("output", "state"))
        return out, states
    xp = namespace(q)
    return xp.zeros_like(v), xp.zeros((state.shape[0], 2, *state.shape[1:]), state.dtype)


def _leaving(work: Deferred, k: Array, v: Array, decay: Array, reverse: bool) -> Array:
    """Return the sum that this rank's tokens add to the state, or zeros if that fails."""
    with work:
        return local_sum(k, v, decay, reverse_weights=reverse)
    return namespace(k).zeros((k.shape[0], k.shape[2], v.shape[2]), k.dtype)


def _across_ranks(
    work: Deferred, problem: LinearProblem, q: Array, k: Array, v: Array, outside: Array, *, reverse: bool, wanted: bool
) -> tuple[Array, Array, Array | None]:
    """Run one sweep over the tokens of all ranks.

    Returns
    -------
    out : (b, n, e) array
    entering : (b, d, e) array
        The state before this rank's tokens, in the direction of the sweep.
    end : (b, d, e) array or None
        The state after the last token of all, on all ranks; None in a ring unless `wanted`.
    """
    comm, decay, name = problem.comm, problem.decay, _GRADIENT if reverse else _OUT
    last = 0 if reverse else -1
    if size(comm) == 1:
        out, states = _swept(work, name, q, k, v, decay, outside, reverse=reverse)
        return out, outside, states[:, last].copy()
    if problem.method == "gather":
        own = _leaving(work, k, v, decay, reverse)
        entering, end = gathered_states(own, decay, problem.lengths, outside, comm, reverse=reverse)
        return _swept(work, name, q, k, v, decay, entering, reverse=reverse)[0], entering, end
    entering = recv_state(outside, outside, comm, reverse=reverse)
    out, states = _swept(work, name, q, k, v, decay, entering, reverse=reverse)
    send_state(states[:, last], comm, reverse=reverse)
    root = 0 if reverse else size(comm) - 1
    return out, entering, broadcast(states[:, last], comm, root=root) if wanted else None


def _lightning_attention_vjp(
    douts: tuple[Array | None, Array | None], residuals: Any
) -> tuple[Array, Array, Array, Array | None, Array | None]:
    """Return the gradients of `lightning_attention` for q, k, v, decay and state.

    dq_t = sum over s <= t of lam^{t-s} (dout_t . v_s) k_s, and with times reversed dk_s = sum over t >= s of
    lam^{t-s} (v_s . dout_t) q_t and dv_s = sum of lam^{t-s} (k_s . q_t) dout_t: three runs of the forward recurrence.
    The gradient for the decay is - sum of (t - s) lam^{t-s} (q_t . k_s) (dout_t . v_s).

    Parameters
    ----------
    douts : (dout, dstate)
        Gradients for this rank's output and for the final state, the same on all ranks; None for one that is not used.
    residuals : object
        The second value of `lightning_attention.forward`.

    Returns
    -------
    dq, dk, dv : array
        For this rank's tokens.
    ddecay : (heads,) array or None
        The whole gradient, on all ranks; None under `learn_decay=False`.
    dstate : array or None
        For the state before the sequence, on all ranks; None where none was given.

    Notes
    -----
    Collective. About 12 n d e flops per head; the state crosses ranks as in the forward pass. A learned decay costs 4 n
    d flops more, and 4 n W (d + e) for heads that forget within W < 30 tokens.
    """
    p, entering, learn_decay = residuals
    (dout, dstate), comm, work = douts, p.comm, Deferred()
    given = {"dout": (dout, p.shape_of(p.v)), "dstate": (dstate, p.shape_of(p.state))}
    agree_cotangents(comm, "lightning_attention", p.q, given, same=["dstate"])
    segment = LEARNING_SEGMENT if learn_decay else SEGMENT
    with abort_on_error(comm):
        g = p.flat(dout, p.v)
        dv, end, first = _across_ranks(work, p, p.k, p.q, g, p.flat(dstate, p.state), reverse=True, wanted=p.given)
        ddecay = namespace(g).zeros(p.decay.shape, np.float64)
        with work:
            forward, backward = (namespace(g).ascontiguousarray(s.swapaxes(1, 2)) for s in (entering, end))
            dq, states = _swept(work, _GRADIENT, g, p.v, p.k, p.decay, forward, segment=segment)
            dk, back = _swept(work, _GRADIENT, p.v, g, p.q, p.decay, backward, reverse=True, segment=segment)
            if learn_decay and work.error is None:
                ddecay += decay_gradient(p.q, p.k, p.v, g, p.decay, dq, dk, Boundary(states, back, segment))
        if learn_decay:
            ddecay = allreduce_sum(ddecay, comm, checked=True)
    with work:
        dq, dk, dv = (_rounded(p.unflatten(a), p.dtypes[0], _GRADIENT) for a in (dq, dk, dv))
    work.settle(comm, "the gradient of lightning_attention")
    dinitial = p.unflatten(first).copy() if p.given and first is not None else None
    return dq, dk, dv, ddecay.astype(p.dtypes[1], copy=False) if learn_decay else None, dinitial


@op(vjp=_lightning_attention_vjp, collective=True)
def lightning_attention(
    q: Array,
    k: Array,
    v: Array,
    decay: Array,
    state: Real | None = None,
    *,
    method: LightningMethod = "gather",
    comm: Comm = None,
    final_state: bool = True,
    learn_decay: bool = True,
) -> tuple[tuple[Array, Array], Any]:
    """Attend with exponential decay, in time and memory linear in the length.

    out_t = sum over s <= t of lam^{t-s} (q_t . k_s) v_s with lam = exp(-decay), that is S_t = lam S_{t-1} + k_t v_t^T
    and out_t = S_t^T q_t, causal and without softmax.

    Parameters
    ----------
    q, k : (heads, n, d) or (batch, heads, n, d) array
        This rank's run of the sequence; runs follow each other in the order of the ranks and may differ in length,
        also be empty. float16, float32 or float64; half precision is computed in float32.
    v : (..., n, e) array
    decay : (heads,) array
        0 or more; 0 is plain linear attention.
    state : (..., heads, d, e) array, optional
        The state before the first token of the whole sequence, the same on all ranks; zero unless given.
    method : {"gather", "ring"}
        The state crosses ranks by one all-gather of all ranks' sums, or from neighbor to neighbor.
    comm : mpi4py communicator, optional
    final_state : bool
        False returns None for the state, which saves the ring a broadcast.
    learn_decay : bool
        False returns None for the gradient of the decay, which saves its cost.

    Returns
    -------
    out : (..., n, e) array
        For this rank's tokens, in the dtype of q.
    state : (..., heads, d, e) array
        After the last token of the whole sequence, on all ranks: where a next call goes on.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank, also where a result is NaN or Inf or exceeds the range of float16.

    Notes
    -----
    Collective. About 4 n d e flops per head. Only the state crosses ranks: heads d e numbers for any length. "ring"
    sends it once, but a rank waits for all before it; its result is bit for bit that of serial calls, run after run,
    each with the state of the last. With "gather" each rank first sums k v^T of its tokens (half as many flops again)
    and sends the sum to all others; then all ranks work at once.

    Peak memory beside the arguments, measured: 1.2 times q, 5 times with gradients, on any number of ranks; 5 and 10
    times q in float32 for float16.

    References
    ----------
    Qin et al., TransNormerLLM (arXiv 2307.14995) and Lightning Attention-2 (arXiv 2401.04658); Sun et al., LASP (arXiv
    2404.02882) and LASP-2 (arXiv 2502.07563). Their carried state has aged by one more token than ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import lightning_attention
    >>> q = k = v = np.ones((1, 3, 1))
    >>> out, state = lightning_attention(q, k, v, np.log([2.0]))
    >>> out.ravel(), state.ravel()
    (array([1.  , 1.5 , 1.75]), array([1.75]))
    """
    choices = {"final_state": final_state, "learn_decay": learn_decay}
    p, work = agreed_linear_problem(q, k, v, decay, state, method, comm, **choices), Deferred()
    with abort_on_error(comm):
        out, entering, end = _across_ranks(work, p, p.q, p.k, p.v, p.state, reverse=False, wanted=final_state)
    with work:
        out = _rounded(p.unflatten(out), q.dtype, _OUT)
    work.settle(comm, "lightning_attention")
    shaped = None if end is None or not final_state else p.unflatten(end)
    return (out, shaped), (p, entering, learn_decay)


@entry
def lightning_step(q: Array, k: Array, v: Array, decay: Array, state: Real | None = None) -> tuple[Array, Array]:
    """Attend from one token: S <- lam S + k v^T, out = S^T q.

    Parameters
    ----------
    q, k : (heads, d) or (batch, heads, d) array
    v : (..., heads, e) array
    decay : (heads,) array
    state : (..., heads, d, e) array, optional
        The state before the token; zero unless given.

    Returns
    -------
    out : (..., heads, e) array
    state : (..., heads, d, e) array
        A new array of constant size.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    One rank, 5 heads d e flops. The state stays in bounds, where sums of lam^{-s} k_s v_s^T overflow after some hundred
    tokens.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import lightning_step
    >>> one, state = np.ones((1, 1)), None
    >>> for _ in range(3):
    ...     out, state = lightning_step(one, one, one, np.log([2.0]), state)
    >>> out
    array([[1.75]])
    """
    xp, work = namespace(q, k, v, decay, state), working_dtype(q.dtype)
    check_linear(q[..., None, :], k[..., None, :], v[..., None, :], decay, state)
    wq, wk, wv = (a.astype(work, copy=False) for a in (q, k, v))
    new = wk[..., :, None] * wv[..., None, :]
    if state is not None:
        new += xp.exp(-decay.astype(work))[:, None, None] * state
    out = xp.matmul(wq[..., None, :], new)[..., 0, :]
    return narrowed(out, q.dtype, _OUT), new
