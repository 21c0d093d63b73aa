"""Gated recurrences in array calls, chunk by chunk, for devices and as the reference of the compiled kernels.

Between tokens s < t of a chunk a feature decays by the product of the gates after s, up to t. It is the exponential of
a difference of running sums of logarithms, never more than 0; gates of exactly 0 are counted apart, so that no infinity
enters a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace

__all__ = ["SEGMENT", "adjoint_reference", "forward_reference", "gradient_reference"]

SEGMENT = 64
"""Tokens between states that are kept."""

_CHUNKS = {True: 16, False: 64}
"""Tokens in a chunk where each feature has a gate, and where a head has one; they divide SEGMENT."""


@dataclass(frozen=True)
class _Decays:
    """Products of gates (b, c, g) in a chunk: from the state before it, to its end, and between tokens."""

    entering: Array
    leaving: Array
    whole: Array
    between: Array
    """(b, c, c, g): entry t, s is the decay from s to t, 0 for s > t."""

    @classmethod
    def of(cls, gate: Array) -> _Decays:
        xp, c = namespace(gate), gate.shape[1]
        shut = gate == 0
        sums = xp.cumsum(xp.log(xp.where(shut, 1, gate)), axis=1)
        closed = xp.cumsum(shut, axis=1)
        entering = xp.exp(sums) * (closed == 0)
        leaving = xp.exp(sums[:, -1:] - sums) * (closed == closed[:, -1:])
        earlier = xp.asarray(np.tril(np.ones((c, c), bool)))[None, :, :, None]
        open_ = (closed[:, :, None] == closed[:, None]) & earlier
        between = xp.exp(xp.where(open_, sums[:, :, None] - sums[:, None], 0)) * open_
        kinds = (a.astype(gate.dtype, copy=False) for a in (entering, leaving, between))
        entering, leaving, between = kinds
        return cls(entering, leaving, entering[:, -1, :, None], between)

    def pairs(self, left: Array, right: Array) -> Array:
        """Return the sum over features of left_t right_s times the decay from s to t: (b, c, c)."""
        if self.between.shape[3] == 1:
            return (left @ right.swapaxes(1, 2)) * self.between[..., 0]
        return namespace(left).einsum("btx,bsx,btsx->bts", left, right, self.between)

    def from_earlier(self, weights: Array, right: Array) -> Array:
        """Return the sum over s of weights_ts right_s times the decay from s to t: (b, c, d)."""
        if self.between.shape[3] == 1:
            return (weights * self.between[..., 0]) @ right
        return namespace(right).einsum("bts,bsx,btsx->btx", weights, right, self.between)

    def from_later(self, weights: Array, left: Array) -> Array:
        """Return the sum over t of weights_st left_t times the decay from s to t: (b, c, d)."""
        if self.between.shape[3] == 1:
            return (weights * self.between[..., 0].swapaxes(1, 2)) @ left
        return namespace(left).einsum("bst,btx,btsx->bsx", weights, left, self.between)


def _chunks(n: int, gate: Array) -> list[slice]:
    size = _CHUNKS[gate.shape[2] > 1]
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def _strict(pairs: Array) -> Array:
    """Return the pairs (b, c, c) of two tokens that differ."""
    xp = namespace(pairs)
    return pairs * xp.asarray(1 - np.eye(pairs.shape[1]), dtype=pairs.dtype)


def _solved(pairs: Array, beta: Array, right: Array) -> Array:
    """Solve x_t + sum over s of pairs_ts beta_s x_s = right_t, s before t (or after it), for (b, c, e)."""
    xp = namespace(right)
    eye = xp.eye(right.shape[1], dtype=right.dtype)
    return xp.linalg.solve(eye + pairs * beta[:, None, :], right)


def forward_reference(
    q: Array, k: Array, v: Array, gate: Array, beta: Array | None, state: Array
) -> tuple[Array, Array, Array]:
    """Reference of the kernel `gated_forward`: the WY form of the delta rule in each chunk, and matrix products."""
    xp, (_b, n, _d), _e = namespace(q), q.shape, v.shape[2]
    out, news, states = xp.empty_like(v), v if beta is None else xp.empty_like(v), []
    for part in _chunks(n, gate):
        if part.start % SEGMENT == 0:
            states.append(state)
        decays, key, value = _Decays.of(gate[:, part]), k[:, part], v[:, part]
        if beta is not None:
            read = value - (key * decays.entering) @ state
            news[:, part] = _solved(_strict(decays.pairs(key, key)), beta[:, part], read)
            value = news[:, part] * beta[:, part, None]
        out[:, part] = decays.pairs(q[:, part], key) @ value + (q[:, part] * decays.entering) @ state
        state = decays.whole * state + (key * decays.leaving).swapaxes(1, 2) @ value
    return out, news, xp.stack([*states, state], axis=1)


def adjoint_reference(
    q: Array, k: Array, dout: Array, gate: Array, beta: Array | None, last: Array
) -> tuple[Array, Array]:
    """Reference of the kernel `gated_adjoint`, chunk by chunk from the end."""
    xp = namespace(q)
    written = xp.empty_like(dout)
    for part in reversed(_chunks(q.shape[1], gate)):
        decays, query, key, g = _Decays.of(gate[:, part]), q[:, part], k[:, part], dout[:, part]
        du = (key * decays.leaving) @ last + decays.pairs(query, key).swapaxes(1, 2) @ g
        last = decays.whole * last + (query * decays.entering).swapaxes(1, 2) @ g
        if beta is not None:
            du = _solved(_strict(decays.pairs(key, key)).swapaxes(1, 2), beta[:, part], du)
            last -= (key * decays.entering).swapaxes(1, 2) @ (beta[:, part, None] * du)
        written[:, part] = du
    return written, last


def gradient_reference(
    q: Array, k: Array, u: Array, w: Array | None, dout: Array, gate: Array, states: Array, last: Array
) -> tuple[Array, Array, Array]:
    """Reference of the kernel `gated_gradient`: the gradient of a gate is the sum of the pairs that cross it.

    From one token to the next these sums change by pairs of that token with others, never with itself.
    """
    xp, n = namespace(q), q.shape[1]
    dq, dk, dlog = xp.empty_like(q), xp.empty_like(k), xp.empty_like(k)
    entering: list[Array] = []
    for part in _chunks(n, gate):
        if part.start % SEGMENT == 0:
            state = states[:, part.start // SEGMENT]
        entering.append(state)
        decays = _Decays.of(gate[:, part])
        state = decays.whole * state + (k[:, part] * decays.leaving).swapaxes(1, 2) @ u[:, part]
    for part, before in zip(reversed(_chunks(n, gate)), reversed(entering)):
        decays, query, key, value, g = _Decays.of(gate[:, part]), q[:, part], k[:, part], u[:, part], dout[:, part]
        after = decays.whole * before + (key * decays.leaving).swapaxes(1, 2) @ value
        flow = (after * last).sum(axis=2)
        strict, own = _strict(g @ value.swapaxes(1, 2)), (g * value).sum(axis=2)[..., None]
        read = decays.from_earlier(strict, key) + decays.entering * (g @ before.swapaxes(1, 2))
        kept = decays.from_later(strict.swapaxes(1, 2), query) + decays.leaving * (value @ last.swapaxes(1, 2))
        last = decays.whole * last + (query * decays.entering).swapaxes(1, 2) @ g
        steps = query * read
        dk[:, part] = own * query
        if w is not None:
            other = w[:, part]
            strict = _strict(other @ value.swapaxes(1, 2))
            kept += decays.from_later(strict.swapaxes(1, 2), key)
            erased = decays.from_earlier(strict, key) + decays.entering * (other @ before.swapaxes(1, 2))
            steps += key * erased
            dk[:, part] += erased
            last += (key * decays.entering).swapaxes(1, 2) @ other
        steps -= key * kept
        dq[:, part] = read + own * key
        dk[:, part] += kept
        sums = xp.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
        dlog[:, part] = xp.where(gate[:, part] == 0, 0, flow[:, None] + sums)
    return dq, dk, dlog
