"""Gated linear attention and the gated delta rule, their gradients, one recurrent step, on one rank or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sci.arguments import Real, entry
from sci.backend import Array, namespace
from sci.distributed import Comm, Deferred, abort_on_error, broadcast, size
from sci.nn import op
from sci.sequence.checks import agree_cotangents, narrowed, working_dtype
from sci.sequence.gated.kernel import run_adjoint, run_forward, run_gradient
from sci.sequence.gated.problem import GatedProblem, agreed_gated_problem, check_gated
from sci.sequence.gated.ranks import fold_adjoints, fold_states, local_map
from sci.sequence.linear_attention.problem import LightningMethod
from sci.sequence.linear_attention.ranks import everyone, recv_state, send_state

__all__ = ["gated_linear_attention", "gated_linear_step"]

_OUT, _GRADIENT = "the output of gated linear attention", "a gradient of gated linear attention"


def _tried(work: Deferred, run: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Return the value of `run`; if it fails, keep the error in `work`, so that messages go on, and use `otherwise`."""
    with work:
        return run()
    return otherwise()


def _states(work: Deferred, p: GatedProblem, final: bool) -> tuple[tuple[Array, Array, Array], Array | None, Any]:
    """Return outputs and states of this rank, the state after all tokens, and the maps of all ranks."""
    xp, comm, several = namespace(p.q), p.comm, size(p.comm) > 1
    delta, (b, d, e) = p.beta is not None, p.state.shape
    maps, entering, end = None, p.state, None
    if several and p.method == "gather":
        width = e + (d if delta else 1)
        local = _tried(
            work, lambda: local_map(p.q, p.k, p.v, p.gate, p.beta), lambda: xp.zeros((b, d, width), p.q.dtype)
        )
        maps = everyone(local, "gated", comm)
        entering, end = fold_states(maps, e, p.state, delta, comm)
    elif several:
        entering = recv_state(p.state, p.state, comm)
    ran = _tried(
        work,
        lambda: run_forward(p.q, p.k, p.v, p.gate, p.beta, entering),
        lambda: (xp.zeros_like(p.v), p.v, xp.zeros((b, 1, d, e), p.q.dtype)),
    )
    if several and p.method == "ring":
        send_state(ran[2][:, -1], comm)
        end = broadcast(xp.ascontiguousarray(ran[2][:, -1]), comm, root=size(comm) - 1) if final else None
    return ran, ran[2][:, -1].copy() if not several else end, maps


def _adjoints(work: Deferred, p: GatedProblem, g: Array, last: Array, maps: Any) -> tuple[Array, Array, Array]:
    """Return the adjoints of what tokens write, of the state after this rank's tokens, and of the first state."""
    xp, comm, several = namespace(g), p.comm, size(p.comm) > 1

    def run(leaving: Array) -> tuple[Array, Array]:
        with work:
            return run_adjoint(p.q, p.k, g, p.gate, p.beta, leaving)
        return xp.zeros_like(g), xp.zeros_like(last)

    if several and p.method == "gather":
        own = everyone(run(xp.zeros_like(last))[1], "gated", comm)
        leaving, first = fold_adjoints(maps, last.shape[2], own, last, p.beta is not None, comm)
        return run(leaving)[0], leaving, first
    leaving = recv_state(last, last, comm, reverse=True) if several else last
    du, first = run(leaving)
    if several:
        send_state(first, comm, reverse=True)
        first = broadcast(first, comm, root=0) if p.state_dtype is not None else first
    return du, leaving, first


def _gated_linear_attention_vjp(douts: tuple[Array | None, Array | None], residuals: Any) -> tuple[Array | None, ...]:
    """Return the gradients of `gated_linear_attention` for q, k, v, decay, beta and state.

    The adjoint of the state runs from the last token to the first, across ranks as the state does; states are formed
    again from those that are kept every 64 tokens.

    Parameters
    ----------
    douts : (dout, dstate)
        Gradients for this rank's output and for the final state, the same on all ranks; None for one that is not used.
    residuals : object
        The second value of `gated_linear_attention.forward`.

    Returns
    -------
    dq, dk, dv, ddecay, dbeta : array
        For this rank's tokens; dbeta is None without beta.
    dstate : array or None
        For the state before the sequence, on all ranks; None where none was given.

    Notes
    -----
    Collective. About 19 n d e flops per head, 27 n d e with beta.
    """
    p, news, states, maps = residuals
    (dout, dstate), work, xp = douts, Deferred(), namespace(p.q)
    given = {"dout": (dout, p.shape_of(p.v)), "dstate": (dstate, p.shape_of(p.state))}
    agree_cotangents(p.comm, "gated_linear_attention", p.q, given, same=["dstate"])
    with abort_on_error(p.comm):
        g, last = p.flat(dout, p.v), p.flat(dstate, p.state)
        du, leaving, first = _adjoints(work, p, g, last, maps)
    found: tuple[Any, ...] = ()
    with work:
        beta = None if p.beta is None else p.beta[:, :, None]
        dv, written, erased = (du, p.v, None) if beta is None else (beta * du, beta * news, -beta * du)
        dq, dk, dlog = run_gradient(p.q, p.k, written, erased, g, p.gate, states, leaving)
        dlog = dlog.sum(axis=2) if len(p.decay_shape) == len(p.leading) + 1 else dlog
        dbeta = None if beta is None else xp.einsum("bne,bne->bn", du, news)
        kinds = (dq, dk, dv, -dlog, dbeta)
        found = tuple(None if a is None else narrowed(p.unflatten(a), p.dtype, _GRADIENT) for a in kinds)
        dinitial = None if p.state_dtype is None else narrowed(p.unflatten(first), p.state_dtype, _GRADIENT)
        found = (*found, dinitial)
    work.settle(p.comm, "the gradient of gated_linear_attention")
    return found


@op(vjp=_gated_linear_attention_vjp, collective=True)
def gated_linear_attention(
    q: Array,
    k: Array,
    v: Array,
    decay: Array,
    beta: Real | None = None,
    state: Real | None = None,
    *,
    segments: Array | None = None,
    method: LightningMethod = "gather",
    comm: Comm = None,
    final_state: bool = True,
) -> tuple[tuple[Array, Array | None], Any]:
    """Attend with a decay for each token, or each of its features, and with the delta rule if beta is given.

    With a_t = exp(-decay_t): S_t = diag(a_t) S_{t-1} + k_t v_t^T and out_t = S_t^T q_t. With beta, a token replaces
    what the state holds at its key: S_t = (I - beta_t k_t k_t^T) diag(a_t) S_{t-1} + beta_t k_t v_t^T.

    Parameters
    ----------
    q, k : (heads, n, d) or (batch, heads, n, d) array
        This rank's run of the sequence; runs follow each other in the order of the ranks and may differ in length,
        also be empty. float16, bfloat16, float32 or float64; 16 bits are computed in float32. With beta, keys have
        norm 1 in most models; the delta rule grows without bound where beta_t |k_t|^2 > 2.
    v : (..., n, e) array
    decay : (..., n) or (..., n, d) array
        0 or more, of the dtype of q; infinity forgets everything.
    beta : (..., n) array, optional
        The rate of the delta rule, of the dtype of q.
    state : (..., heads, d, e) array, optional
        The state before the first token of the whole sequence, the same on all ranks; zero unless given.
    segments : (n,) or (batch, n) int array, optional
        A label, 0 or more, for each token: the state is zero again where the label differs from that of the token
        before. A label that returns after another one is refused, and so are the negative ones of padding.
    method : {"gather", "ring"}
        The state crosses ranks by one all-gather, or from neighbor to neighbor.
    comm : mpi4py communicator, optional
    final_state : bool
        False returns None for the state, which saves the ring a broadcast.

    Returns
    -------
    out : (..., n, e) array
        For this rank's tokens, in the dtype of q.
    state : (..., heads, d, e) array
        After the last token of the whole sequence, on all ranks: where a next call goes on.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank, also where a result is NaN or Inf or exceeds the range of its dtype.

    Notes
    -----
    Collective. 5 n d e flops per head, 7 n d e with beta. Gates are multiplied, never divided by, so that no decay
    overflows. On a GPU and without a compiler the same runs in chunks of 64 tokens by matrix products. "ring" sends the
    state once, d e numbers a head, and a rank waits for all before it. With "gather" all ranks work at once: each first
    runs its tokens from zero, and sends the state with the map of states through them, d (e + 1) numbers a head to each
    other rank; with beta the map is a matrix, whose d columns run with those of v: d (e + d) numbers, and (d + e) / e
    of the flops again. A single decay per head is `lightning_attention`, which is faster.

    References
    ----------
    Yang et al., Gated linear attention (arXiv 2312.06635); Dao and Gu, Mamba-2 (arXiv 2405.21060); Yang et al.,
    DeltaNet over sequences (arXiv 2406.06484) and Gated DeltaNet (arXiv 2412.06464); Sun et al., LASP-2 (arXiv
    2502.07563).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import gated_linear_attention
    >>> q = k = v = np.ones((1, 3, 1))
    >>> out, state = gated_linear_attention(q, k, v, np.full((1, 3), np.log(2.0)))
    >>> out.ravel(), state.ravel()
    (array([1.  , 1.5 , 1.75]), array([1.75]))
    """
    p = agreed_gated_problem(q, k, v, decay, beta, state, segments, method, comm, final_state)
    work = Deferred()
    with abort_on_error(comm):
        (out, news, states), end, maps = _states(work, p, final_state)
    with work:
        out = narrowed(p.unflatten(out), p.dtype, _OUT)
        end = narrowed(p.unflatten(end), end.dtype, "the state") if final_state and end is not None else None
    work.settle(comm, "gated_linear_attention")
    return (out, end), (p, news, states, maps)


@entry
def gated_linear_step(
    q: Array, k: Array, v: Array, decay: Array, beta: Real | None = None, state: Real | None = None
) -> tuple[Array, Array]:
    """Attend from one token, with the recurrence of `gated_linear_attention`.

    Parameters
    ----------
    q, k : (heads, d) or (batch, heads, d) array
    v : (..., heads, e) array
    decay : (..., heads) or (..., heads, d) array
        0 or more, of the dtype of q.
    beta : (..., heads) array, optional
        The rate of the delta rule.
    state : (..., heads, d, e) array, optional
        The state before the token; zero unless given.

    Returns
    -------
    out : (..., heads, e) array
    state : (..., heads, d, e) array
        A new array.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    One rank, 5 heads d e flops, and 2 heads d e more with beta.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import gated_linear_step
    >>> one, state = np.ones((1, 1)), None
    >>> for _ in range(3):
    ...     out, state = gated_linear_step(one, one, one, np.log([2.0]), state=state)
    >>> out
    array([[1.75]])
    """
    xp, work = namespace(q, k, v, decay, beta, state), working_dtype(q.dtype)
    rates = None if beta is None else beta[..., None]
    gates = decay[..., None, :] if decay.ndim == q.ndim else decay[..., None]
    check_gated(q[..., None, :], k[..., None, :], v[..., None, :], gates, rates, state)
    wq, wk, wv = (a.astype(work, copy=False) for a in (q, k, v))
    aged: Any = xp.zeros((*k.shape, v.shape[-1]), work)
    if state is not None:
        factor = xp.exp(-decay.astype(work))
        aged = factor[..., None] * state if decay.ndim == q.ndim else factor[..., None, None] * state
    if beta is not None:
        wv = beta.astype(work)[..., None] * (wv - xp.matmul(wk[..., None, :], aged)[..., 0, :])
    new = (aged + wk[..., :, None] * wv[..., None, :]).astype(work, copy=False)
    out = xp.matmul(wq[..., None, :], new)[..., 0, :]
    return narrowed(out, q.dtype, _OUT), new
