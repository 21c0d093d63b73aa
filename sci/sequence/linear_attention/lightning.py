"""Linear attention with decay: lightning attention, its gradients, one recurrent step, on one rank or many."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, is_device_array, namespace, require_finite, to_host
from sci.distributed import Comm, abort_on_error, allreduce_sum, broadcast, size
from sci.distributed.agreement import verdict
from sci.distributed.communicators import channel_of
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import op
from sci.sequence.linear_attention.decay_gradient import Boundary, decay_gradient
from sci.sequence.linear_attention.kernel import LEARNING_SEGMENT, SEGMENT, run_recurrence
from sci.sequence.linear_attention.ranks import gathered_states, local_sum, recv_state, send_state

__all__ = ["lightning_attention", "lightning_step"]

Method: TypeAlias = Literal["gather", "ring"]


@dataclass(frozen=True)
class _Call:
    """Flat arrays of one call: b sequences of this rank's n tokens, and what all ranks agreed upon."""

    q: Array
    k: Array
    v: Array
    decay: Array
    state: Array
    lengths: np.ndarray
    method: Method
    comm: Comm
    leading: tuple[int, ...]
    dtypes: tuple[Any, Any]
    """Dtypes of q, and of decay."""
    given: bool
    """Whether the caller passed a state."""


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
        What `lightning_attention` returned.

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
    Collective. About 12 n d e flops a head, and half as many crossings as the forward sweep needs: one state.
    """
    call, entering, learn_decay = residuals
    dout, dstate = douts
    xp, comm = namespace(call.q), call.comm
    with abort_on_error(comm):
        g = xp.zeros_like(call.v) if dout is None else _flat(xp, dout, call.v.shape, call.v.dtype)
        end = xp.zeros_like(call.state) if dstate is None else _flat(xp, dstate, call.state.shape, call.v.dtype)
        first = None
        if size(comm) > 1 and call.method == "gather":
            local = local_sum(call.q, g, call.decay, reverse_weights=True)
            end, first = gathered_states(local, call.decay, call.lengths, end, comm, reverse=True)
        elif size(comm) > 1:
            end = recv_state(end, end, comm, reverse=True)
        dv, back, dv_finite = run_recurrence(call.k, call.q, g, call.decay, end, reverse=True)
        start = back[:, 0]
        if size(comm) == 1:
            first = start
        elif call.method == "ring":
            send_state(start, comm, reverse=True)
            first = broadcast(start, comm, root=0) if call.given else None
        length = LEARNING_SEGMENT if learn_decay else SEGMENT
        dq, states, dq_finite = run_recurrence(g, call.v, call.k, call.decay, _swapped(xp, entering), segment=length)
        dk, back, dk_finite = run_recurrence(
            call.v, g, call.q, call.decay, _swapped(xp, end), reverse=True, segment=length
        )
        ddecay = None
        if learn_decay:
            own = decay_gradient(call.q, call.k, call.v, g, call.decay, dq, dk, Boundary(states, back, length))
            ddecay = allreduce_sum(own, comm, checked=True)
        require_finite(start, "the gradient of lightning attention")
        for array, finite in ((dq, dq_finite), (dk, dk_finite), (dv, dv_finite)):
            if not finite:
                require_finite(array, "the gradient of lightning attention")
    dq, dk, dv = (_unflatten(a, call).astype(call.dtypes[0], copy=False) for a in (dq, dk, dv))
    dinitial = _unflatten(first, call).copy() if call.given and first is not None else None
    return dq, dk, dv, None if ddecay is None else ddecay.astype(call.dtypes[1], copy=False), dinitial


@op(vjp=_lightning_attention_vjp)
def lightning_attention(
    q: Array,
    k: Array,
    v: Array,
    decay: Array,
    state: Array | None = None,
    *,
    method: Method = "gather",
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
        How the state crosses ranks: one all-gather of all ranks' sums, or from neighbor to neighbor.
    comm : mpi4py communicator, optional
    final_state : bool
        False returns None for the state, and saves the ring its broadcast.
    learn_decay : bool
        False saves the gradient for the decay, which is None then.

    Returns
    -------
    out : (..., n, e) array
        For this rank's tokens, in the dtype of q.
    state : (..., heads, d, e) array
        After the last token of the whole sequence, on all ranks: where a next call goes on.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        On every rank. NaN or Inf in the result ends the job of several ranks.

    Notes
    -----
    Collective. About 4 n d e flops a head; the state is the only thing that crosses ranks, heads d e numbers whatever
    the length. "ring" sends it once, but a rank waits for all before it; its result is bit for bit that of serial
    calls, run after run, each with the state of the last. "gather" first sums k v^T of its tokens (half as many flops
    again), sends it to all others, and then all ranks work at once.

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
    call = _agreed(q, k, v, decay, state, method, comm)
    with abort_on_error(comm):
        entering, leaving = call.state, None
        if size(comm) > 1 and method == "gather":
            local = local_sum(call.k, call.v, call.decay)
            entering, leaving = gathered_states(local, call.decay, call.lengths, call.state, comm)
        elif size(comm) > 1:
            entering = recv_state(call.state, call.state, comm)
        out, states, finite = run_recurrence(call.q, call.k, call.v, call.decay, entering)
        end = states[:, -1]
        if size(comm) == 1:
            leaving = end.copy()
        elif method == "ring":
            send_state(end, comm)
            leaving = broadcast(end, comm, root=size(comm) - 1) if final_state else None
        if not finite:
            require_finite(out, "the output of lightning attention")
        require_finite(end, "the state of lightning attention")
    shaped = None if leaving is None or not final_state else _unflatten(leaving, call)
    return (_unflatten(out, call).astype(call.dtypes[0], copy=False), shaped), (call, entering, learn_decay)


def lightning_step(q: Array, k: Array, v: Array, decay: Array, state: Array | None = None) -> tuple[Array, Array]:
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
    xp = namespace(q, k, v, decay, state)
    problem = _problem(q[..., None, :], k[..., None, :], v[..., None, :], decay, state, "gather")
    if problem is not None:
        raise problem
    work = np.float32 if q.dtype == np.float16 else q.dtype
    wq, wk, wv = (a.astype(work, copy=False) for a in (q, k, v))
    new = wk[..., :, None] * wv[..., None, :]
    if state is not None:
        new += xp.exp(-decay.astype(work))[:, None, None] * state
    out = xp.matmul(wq[..., None, :], new)[..., 0, :]
    require_finite(out, "the output of lightning attention")
    return out.astype(q.dtype, copy=False), new


def _agreed(q: Array, k: Array, v: Array, decay: Array, state: Array | None, method: Method, comm: Comm) -> _Call:
    """Check the arguments on all ranks, and return them as flat arrays."""
    error: Exception | None = None
    header = [0] * 10
    try:
        namespace(q, k, v, decay, state)
        error = _problem(q, k, v, decay, state, method)
        if error is None:
            dims = [*([0] * (4 - q.ndim)), *q.shape[:-2], q.shape[-1], v.shape[-1]]
            flags = [q.dtype.itemsize, state is not None, method == "ring", is_device_array(q)]
            checksum = zlib.crc32(np.ascontiguousarray(to_host(decay)).tobytes())
            header = [q.shape[-2], checksum, *map(int, flags), *dims]
    except Exception as caught:
        error = caught
    table = verdict(channel_of(comm), error, header)
    if (table[:, 1:] != table[0, 1:]).any():
        other = int(np.flatnonzero((table[:, 1:] != table[0, 1:]).any(axis=1))[0])
        raise InvalidValueError(
            f"lightning attention: rank {other} differs from rank 0 in decay, dtype, device, method, state or "
            "none, or shape (but for the length); expected the same on all ranks"
        )
    xp = namespace(q, k, v)
    work = np.float32 if q.dtype == np.float16 else q.dtype
    leading, (n, d), e = q.shape[:-2], q.shape[-2:], v.shape[-1]
    b = int(np.prod(leading))
    fq, fk, fv = (_flat(xp, a, (b, n, a.shape[-1]), work) for a in (q, k, v))
    initial = xp.zeros((b, d, e), work) if state is None else _flat(xp, state, (b, d, e), work)
    slopes = xp.ascontiguousarray(decay.astype(work, copy=False))
    dtypes = (q.dtype, decay.dtype)
    return _Call(fq, fk, fv, slopes, initial, table[:, 0], method, comm, leading, dtypes, state is not None)


def _problem(q: Array, k: Array, v: Array, decay: Array, state: Array | None, method: str) -> Exception | None:
    """Return what is wrong with the arguments of one rank, or None."""
    if method not in ("gather", "ring"):
        return InvalidValueError(f"method is {method!r}; expected 'gather' or 'ring'")
    if q.ndim not in (3, 4) or k.shape != q.shape or v.shape[:-1] != q.shape[:-1] or 0 in (q.shape[-1], v.shape[-1]):
        return ShapeError(
            f"q, k, v have shapes {q.shape}, {k.shape}, {v.shape}; expected (heads, n, d), (heads, n, d), "
            "(heads, n, e), or these with a leading batch"
        )
    if q.dtype not in (np.float16, np.float32, np.float64) or k.dtype != q.dtype or v.dtype != q.dtype:
        return DTypeError(f"q, k, v have dtypes {q.dtype}, {k.dtype}, {v.dtype}; expected one of float16, 32 or 64")
    if decay.shape != (q.shape[-3],) or decay.dtype.kind != "f":
        return ShapeError(
            f"decay has shape {decay.shape} of {decay.dtype}; expected ({q.shape[-3]},) floats, one a head"
        )
    if not bool((decay >= 0).all()) or not bool(namespace(decay).isfinite(decay).all()):
        return InvalidValueError("decay holds negative, infinite or NaN entries; expected 0 or more: lam = exp(-decay)")
    expected = (*q.shape[:-2], q.shape[-1], v.shape[-1])
    if state is not None and state.shape != expected:
        return ShapeError(f"state has shape {state.shape}; expected {expected}, (..., heads, d, e)")
    return None


def _flat(xp: Any, array: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    if array.size != int(np.prod(shape)):
        raise ShapeError(f"a gradient or state has shape {array.shape}; expected {shape} or its batched form")
    return xp.ascontiguousarray(array.reshape(shape), dtype=dtype)


def _unflatten(array: Array, call: _Call) -> Array:
    return array.reshape(*call.leading, *array.shape[1:])


def _swapped(xp: Any, state: Array) -> Array:
    return xp.ascontiguousarray(state.swapaxes(1, 2))
