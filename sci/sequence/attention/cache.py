"""Keys and values of earlier tokens, kept for the queries that come after them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import DTypeError, ShapeError
from sci.sequence.attention.pattern import Pattern
from sci.sequence.attention.problem import check_arrays, checked_window, flat_heads
from sci.sequence.attention.scores import Scores, checked_cap, checked_slopes
from sci.sequence.checks import scale_or
from sci.sequence.tiles.attend import attend

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """The keys and values of one layer, block after block.

    Each call of `attend` adds a block of tokens, which see themselves and all blocks before them: what
    `softmax_attention(blocks=)` computes for the whole sequence at once, to rounding. With `causal` a token of a block
    sees none after it, as `softmax_attention(causal=True)`.

    Parameters
    ----------
    causal : bool
        Whether a token sees only itself and those before it, in its own block too.
    window, sink_tokens, cap, slopes
        As in `softmax_attention`. Keys that lie before the window of the next token, and are no sinks, are forgotten:
        at most as many of them are kept as of others.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import softmax_attention
    >>> from sci.sequence.attention.cache import KeyValueCache
    >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 5, 4))
    >>> cache = KeyValueCache()
    >>> parts = [cache.attend(q[:, a:b], k[:, a:b], v[:, a:b], scale=0.5) for a, b in ((0, 1), (1, 5))]
    >>> whole, _ = softmax_attention(q, k, v, blocks=(1, 4), scale=0.5)
    >>> bool(np.allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-15))
    True
    >>> cache
    KeyValueCache(2 blocks, 5 tokens)
    """

    def __init__(
        self,
        *,
        causal: bool = False,
        window: int | Sequence[int | None] | None = None,
        sink_tokens: int = 0,
        cap: float | None = None,
        slopes: Any = None,
    ) -> None:
        self._causal, self._window, self._sinks = causal, checked_window(window, sink_tokens), sink_tokens
        self._cap, self._slopes = cap, slopes
        self._parts: list[tuple[np.ndarray, Array, Array]] = []
        self._form: tuple[Any, ...] | None = None
        self._blocks = self._tokens = 0

    def __repr__(self) -> str:
        return f"KeyValueCache({self._blocks} blocks, {self._tokens} tokens)"

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        return sum(int(k.nbytes + v.nbytes) for _, k, v in self._parts)

    def attend(self, q: Array, k: Array, v: Array, *, scale: float) -> Array:
        """Return the attention of a block to itself and to what was kept, and keep its keys and values.

        Parameters
        ----------
        q : (..., heads, n, head_dim) float32 or float64
            The queries of the block; leading axes, heads and head_dim are those of the blocks before.
        k, v : (..., key_heads, n, head_dim), (..., key_heads, n, width)
            Its keys and values; key_heads divides heads.
        scale : float

        Returns
        -------
        (..., heads, n, width)

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also for a block of another form than those before. The cache is then as before.

        Notes
        -----
        2 n m (head_dim + width) flops a head for m tokens seen. Blocks are met one after the other by online softmax;
        a block joins the one before when it has grown as large, so that n tokens one by one lie in log2 n arrays.
        """
        form = self._checked_form(q, k, v)
        scale = scale_or(scale, 1.0)
        xp, leading, n = namespace(q, k, v), tuple(q.shape[:-2]), q.shape[-2]
        slopes = checked_slopes(self._slopes, leading, q.dtype, xp)
        scores, at = Scores(math.prod(leading), checked_cap(self._cap, q.dtype), slopes), np.arange(n)
        queries, start = flat_heads(q), self._tokens
        self._form = form
        self._keep(np.arange(start, start + n), flat_heads(k), flat_heads(v))
        pattern = Pattern("contiguous", (n,), (self._tokens,), self._causal, self._window, self._sinks, offset=start)
        out = xp.zeros((*queries.shape[:2], v.shape[-1]), q.dtype)
        lse = xp.full(queries.shape[:2], -xp.inf, q.dtype)
        for positions, keys, values in self._parts:
            rules = scores.rules(pattern, at, positions, [])
            for seen in pattern.seen(at, positions, np.zeros(keys.shape[0])):
                attend(queries, keys, values, seen, out, lse, scale=scale, rules=rules)
        self._forget()
        return out.reshape(*leading, n, v.shape[-1])

    def _checked_form(self, q: Array, k: Array, v: Array) -> tuple[Any, ...]:
        check_arrays(q, k, v)
        if str(q.dtype) not in ("float32", "float64"):
            raise DTypeError(f"q has dtype {q.dtype}; expected float32 or float64")
        if q.shape[-2] != k.shape[-2]:
            raise ShapeError(f"q has {q.shape[-2]} tokens, k and v {k.shape[-2]}; expected those of one block")
        form = (str(q.dtype), tuple(q.shape[:-2]), *((*a.shape[:-2], a.shape[-1]) for a in (k, v)))
        if self._form not in (None, form):
            raise ShapeError(f"the block has dtype, heads, keys and values {form}; those before have {self._form}")
        return form

    def _keep(self, positions: np.ndarray, k: Array, v: Array) -> None:
        """Add a block, and join blocks of like size."""
        xp = namespace(k)
        self._blocks, self._tokens = self._blocks + 1, self._tokens + positions.size
        self._parts.append((positions, k.copy(), v.copy()))  # the caller may write the next block into the same memory
        while len(self._parts) > 1 and self._parts[-2][0].size <= self._parts[-1][0].size:
            (at, *early), (more, *late) = self._parts[-2:]
            joined = (xp.concatenate(pair, axis=1) for pair in zip(early, late))
            self._parts[-2:] = [(np.concatenate([at, more]), *joined)]

    def _forget(self) -> None:
        """Drop keys that no later token sees, where they are half of a block or more."""
        before = None if self._window is None else self._window[0]
        if before is None:
            return
        parts, self._parts = self._parts, []
        for at, k, v in parts:
            wanted = (at >= self._tokens - before) | (at < self._sinks)
            if 2 * np.count_nonzero(wanted) <= at.size:
                xp, chosen = namespace(k), np.flatnonzero(wanted)
                k, v = (xp.ascontiguousarray(a[:, to_device(chosen, xp)]) for a in (k, v))
                at = at[chosen]
            if at.size:
                self._parts.append((at, k, v))
