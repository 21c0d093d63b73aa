"""Gated recurrences in array calls, chunk by chunk, for devices and as the reference of the compiled kernels.

Between tokens s < t of a chunk a feature decays by the product of the gates after s, up to t. Products are formed of
the gates themselves, never by division nor by differences of logarithms, so that no decay spoils that of other tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace

__all__ = ["SEGMENT", "adjoint_reference", "forward_reference", "gradient_reference"]

SEGMENT = 64
"""Tokens in a chunk, between states that are kept."""


@dataclass(frozen=True)
class _Level:
    """Products of gates in all blocks of 2 m tokens of a chunk: (b, blocks, m, g), at most 1."""

    up: Array
    """From the middle of a block to each token of its second half."""
    down: Array
    """From each token of its first half to the middle."""

    def part(self, array: Array, half: int) -> Array:
        """Return a view (b, blocks, m, x) of one half of all blocks of (b, tokens, x)."""
        _, blocks, m, _ = self.up.shape
        return array.reshape(array.shape[0], blocks, 2, m, array.shape[2])[:, :, half]

    def place(self, rows: int) -> tuple[Any, ...]:
        """Return the index of the pairs of all blocks in `square`; `rows` is the half of the first token."""
        each = namespace(self.up).arange(self.up.shape[1])
        return (slice(None), each, rows, slice(None), each, 1 - rows)

    def square(self, pairs: Array) -> Array:
        """Return the view (b, blocks, 2, m, blocks, 2, m) of pairs (b, tokens, tokens)."""
        _, blocks, m, _ = self.up.shape
        return pairs.reshape(pairs.shape[0], blocks, 2, m, blocks, 2, m)


@dataclass(frozen=True)
class _Decays:
    """Products of gates (b, c, g) in a chunk: from the state before it, to its end, and between tokens.

    Two tokens lie in the two halves of one block of 2, 4, 8, ... tokens: the decay between them is the product of the
    decays to and from its middle, so that all pairs are products of two matrices, whose factors are at most 1.
    """

    entering: Array
    leaving: Array
    whole: Array
    between: Array | None
    """(b, c, c, 1) if a head has one gate: entry t, s is the decay from s to t, 0 for s > t."""
    levels: tuple[_Level, ...]

    @classmethod
    def of(cls, gate: Array) -> _Decays:
        xp, (b, c, g) = namespace(gate), gate.shape
        entering, levels, between = xp.cumprod(gate, axis=1), _levels(_padded(gate, 1)), None
        if g == 1:
            size = 1 << (c - 1).bit_length()
            between = xp.zeros((b, size, size), gate.dtype)
            each = xp.arange(size)
            between[:, each, each] = 1
            for level in levels:
                level.square(between)[level.place(1)] = (level.up * level.down.swapaxes(2, 3)).swapaxes(0, 1)
            between = between[:, :c, :c, None]
        return cls(entering, _later(gate), entering[:, -1, :, None], between, levels)

    def pairs(self, left: Array, right: Array) -> Array:
        """Return the sum over features of left_t right_s times the decay from s to t: (b, c, c)."""
        if self.between is not None:
            return (left @ right.swapaxes(1, 2)) * self.between[..., 0]
        xp, c = namespace(left), left.shape[1]
        left, right = _padded(left), _padded(right)
        out = xp.zeros((left.shape[0], left.shape[1], left.shape[1]), left.dtype)
        each = xp.arange(left.shape[1])
        out[:, each, each] = (left * right).sum(axis=2)
        for level in self.levels:
            found = (level.part(left, 1) * level.up) @ (level.part(right, 0) * level.down).swapaxes(2, 3)
            level.square(out)[level.place(1)] = found.swapaxes(0, 1)
        return out[:, :c, :c]

    def from_earlier(self, weights: Array, right: Array) -> Array:
        """Return the sum over s of weights_ts right_s times the decay from s to t: (b, c, d)."""
        if self.between is not None:
            return (weights * self.between[..., 0]) @ right
        return self._weighed(weights, right, 1)

    def from_later(self, weights: Array, left: Array) -> Array:
        """Return the sum over t of weights_st left_t times the decay from s to t: (b, c, d)."""
        if self.between is not None:
            return (weights * self.between[..., 0].swapaxes(1, 2)) @ left
        return self._weighed(weights, left, 0)

    def _weighed(self, weights: Array, array: Array, half: int) -> Array:
        """Return the sums for tokens of the second halves of blocks (`half` 1) over the first ones, or the reverse."""
        c = array.shape[1]
        array, weights = _padded(array), _padded(_padded(weights).swapaxes(1, 2)).swapaxes(1, 2)
        xp = namespace(array)
        weights, each = xp.ascontiguousarray(weights), xp.arange(array.shape[1])
        out = weights[:, each, each, None] * array
        for level in self.levels:
            here, there = (level.up, level.down) if half else (level.down, level.up)
            block = level.square(weights)[level.place(half)].swapaxes(0, 1)
            part = level.part(out, half)
            part += here * (block @ (level.part(array, 1 - half) * there))
        return out[:, :c]


def _padded(array: Array, value: float = 0) -> Array:
    """Return (b, c, x) with a power of 2 of tokens; the new ones hold `value`."""
    xp, (b, c, x) = namespace(array), array.shape
    more = (1 << (c - 1).bit_length()) - c
    return array if not more else xp.concatenate([array, xp.full((b, more, x), value, array.dtype)], axis=1)


def _later(gate: Array) -> Array:
    """Return the product of the gates after each token (..., m, g)."""
    xp = namespace(gate)
    products = xp.cumprod(gate[..., :0:-1, :], axis=-2)[..., ::-1, :]
    return xp.concatenate([products, xp.ones_like(gate[..., :1, :])], axis=-2)


def _levels(gate: Array) -> tuple[_Level, ...]:
    """Return the levels of gates (b, 2^k tokens, g)."""
    xp, levels, m = namespace(gate), [], 1
    while m < gate.shape[1]:
        halves = gate.reshape(len(gate), -1, 2, m, gate.shape[2])
        levels.append(_Level(xp.cumprod(halves[:, :, 1], axis=2), _later(halves[:, :, 0])))
        m *= 2
    return tuple(levels)


def _chunks(n: int) -> list[slice]:
    return [slice(i, min(i + SEGMENT, n)) for i in range(0, n, SEGMENT)]


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
    for part in _chunks(n):
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
    for part in reversed(_chunks(q.shape[1])):
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
    for i, part in reversed(list(enumerate(_chunks(n)))):
        before = states[:, i]
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
