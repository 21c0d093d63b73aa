"""Run gated recurrences over local arrays: the compiled kernels, or their array form.

S <- diag(a_t) S, u_t = beta_t (v_t - S^T k_t), S <- S + k_t u_t^T, out_t = S^T q_t, and u_t = v_t without beta.
"""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import get_kernel, launch, use_compiled
from sci.sequence.gated.reference import SEGMENT, adjoint_reference, forward_reference, gradient_reference

__all__ = ["run_adjoint", "run_forward", "run_gradient"]

_FILE = "attention/gated.cu"
_STEPS = 4
"""Tokens that the kernels take at once, of whose keys they hold a decayed copy."""


def run_forward(
    q: Array, k: Array, v: Array, gate: Array, beta: Array | None, state: Array
) -> tuple[Array, Array, Array]:
    """Run the recurrence over every sequence, from `state`, and keep the states between segments of 64 tokens.

    Parameters
    ----------
    q, k : (b, n, d) array
        C-contiguous, float32 or float64, as are all.
    v : (b, n, e) array
    gate : (b, n, 1) or (b, n, d) array
        The factors a_t, from 0 to 1.
    beta : (b, n) array or None
    state : (b, d, e) array

    Returns
    -------
    out : (b, n, e) array
    news : (b, n, e) array
        v_t - S^T k_t before the token is written; v itself without beta.
    states : (b, segments + 1, d, e) array
        Before each segment, and after the last one.

    Notes
    -----
    5 n d e flops a sequence, and 2 n d e more with beta.
    """
    xp = namespace(q, k, v, gate, state)
    kernel = get_kernel(_FILE, "gated_forward", q.dtype, beta is not None)
    if not use_compiled(kernel, q):
        return forward_reference(q, k, v, gate, beta, state)
    (b, n, d), e = q.shape, v.shape[2]
    states, out = xp.empty((b, -(-n // SEGMENT) + 1, d, e), q.dtype), xp.empty_like(v)
    states[:, 0] = state
    rates, news = _beta(q, beta), xp.empty((b, 0 if beta is None else n, e), q.dtype)
    work = xp.empty((b, _STEPS, d), q.dtype)
    launch(kernel, b, q, k, v, gate, rates, states, work, out, news, b, n, d, e, gate.shape[2])
    return out, v if beta is None else news, states


def run_adjoint(q: Array, k: Array, dout: Array, gate: Array, beta: Array | None, last: Array) -> tuple[Array, Array]:
    """Return the adjoints (b, n, e) of all u_t, and (b, d, e) of the first state, from that of the last state."""
    xp = namespace(q, k, dout, gate, last)
    kernel = get_kernel(_FILE, "gated_adjoint", q.dtype, beta is not None)
    if not use_compiled(kernel, q):
        return adjoint_reference(q, k, dout, gate, beta, last)
    (b, n, d), e = q.shape, dout.shape[2]
    du, first, work = xp.empty_like(dout), last.copy(), xp.empty((b, _STEPS, d), q.dtype)
    launch(kernel, b, q, k, dout, gate, _beta(q, beta), first, work, du, b, n, d, e, gate.shape[2])
    return du, first


def run_gradient(
    q: Array, k: Array, u: Array, w: Array | None, dout: Array, gate: Array, states: Array, last: Array
) -> tuple[Array, Array, Array]:
    """Return the gradients (b, n, d) of q, k and the logarithms of the gates of features.

    Parameters
    ----------
    q, k : (b, n, d) array
    u, dout : (b, n, e) array
        What each token writes, and the gradient of the output.
    w : (b, n, e) array or None
        The adjoint of S^T k_t: - beta_t times that of u_t; None without beta.
    gate : (b, n, 1) or (b, n, d) array
    states : (b, segments + 1, d, e) array
    last : (b, d, e) array
        The adjoint of the last state.

    Notes
    -----
    14 n d e flops a sequence, and 4 n d e more with beta. States are formed again in each segment, a token at a time.
    """
    xp = namespace(q, k, u, dout, gate, states, last)
    kernel = get_kernel(_FILE, "gated_gradient", q.dtype, w is not None)
    if not use_compiled(kernel, q):
        return gradient_reference(q, k, u, w, dout, gate, states, last)
    (b, n, d), e = q.shape, u.shape[2]
    turned, end = (xp.ascontiguousarray(a.swapaxes(-1, -2)) for a in (states, last))
    end = end.copy() if end is last or np.may_share_memory(end, last) else end
    dq, dk, dlog = (xp.zeros_like(q) for _ in range(3))
    erased = xp.empty((b, 0, e), q.dtype) if w is None else w
    launch(kernel, b, q, k, u, erased, dout, gate, turned, end, dq, dk, dlog, b, n, d, e, gate.shape[2])
    return dq, dk, dlog


def _beta(q: Array, beta: Array | None) -> Array:
    return namespace(q).empty((q.shape[0], 0), q.dtype) if beta is None else beta
