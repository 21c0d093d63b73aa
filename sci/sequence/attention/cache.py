"""Keys and values of earlier tokens, kept for the queries that come after them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.sequence.attention.pattern import Pattern
from sci.sequence.attention.problem import check_arrays, checked_window, flat_heads
from sci.sequence.attention.scores import Scores, checked_cap, checked_slopes
from sci.sequence.checks import narrowed, scale_or, working_dtype
from sci.sequence.tiles.attend import attend

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """The keys and values of one layer, block after block.

    Each call of `attend` adds a block of tokens, which see themselves and all blocks before them: what
    `softmax_attention(blocks=)` computes for the whole sequence at once, to rounding. With `causal` a token of a block
    sees none after it, as `softmax_attention(causal=True)`. `keep` adds a block without queries, and `look` asks
    without adding, for keys that lie on several ranks.

    Parameters
    ----------
    causal : bool
        Whether a token sees only itself and those before it, in its own block too.
    window, sink_tokens, cap, slopes
        As in `softmax_attention`. Keys that lie before the window of the next token, and are no sinks, are forgotten:
        at most as many of them are kept as of others.

    Notes
    -----
    float16 and bfloat16 are kept in two bytes and read in float32, one block after another; sums are float32.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import KeyValueCache, softmax_attention
    >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 5, 4))
    >>> cache = KeyValueCache()
    >>> parts = [cache.attend(q[:, a:b], k[:, a:b], v[:, a:b], scale=0.5) for a, b in ((0, 1), (1, 5))]
    >>> whole, _ = softmax_attention(q, k, v, blocks=(1, 4), scale=0.5)
    >>> bool(np.allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-15))
    True
    >>> cache
    KeyValueCache(2 blocks, 5 tokens)
    """

    @entry
    def __init__(
        self,
        *,
        causal: bool = False,
        window: int | Sequence[int | None] | None = None,
        sink_tokens: int = 0,
        cap: float | None = None,
        slopes: Real | Sequence[float] | None = None,
    ) -> None:
        self._causal, self._window, self._sinks = causal, checked_window(window, sink_tokens), sink_tokens
        self._cap, self._slopes = cap, slopes
        self._parts: list[tuple[np.ndarray, Array, Array]] = []
        self._form: tuple[Any, ...] | None = None
        self._heads: tuple[int, ...] | None = None
        self._blocks = self._tokens = 0

    def __repr__(self) -> str:
        return f"KeyValueCache({self._blocks} blocks, {self._tokens} tokens)"

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        return sum(int(k.nbytes + v.nbytes) for _, k, v in self._parts)

    @entry
    def attend(self, q: Array, k: Array, v: Array, *, scale: float) -> Array:
        """Return the attention of a block to itself and to what was kept, and keep its keys and values.

        Parameters
        ----------
        q : (..., heads, n, head_dim) float32, float64, float16 or bfloat16
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
        if q.shape[-2] != k.shape[-2]:
            raise ShapeError(f"q has {q.shape[-2]} tokens, k and v {k.shape[-2]}; expected those of one block")
        scores, scale, start = self._scores(q), scale_or(scale, 1.0), self._tokens
        self._form, self._heads = form, tuple(q.shape[:-2])
        self._add(k, v)
        out, _ = self._over(q, scores, start, scale)
        self._forget()
        return narrowed(out, q.dtype, "the output")

    @entry
    def keep(self, k: Array, v: Array) -> None:
        """Keep the keys and values of a block, as `attend` does.

        Parameters
        ----------
        k, v : (..., key_heads, n, head_dim), (..., key_heads, n, width)

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        self._form = self._checked_form(k, k, v, of_queries=False)
        self._add(k, v)
        self._forget()

    @entry
    def look(self, q: Array, *, scale: float) -> tuple[Array, Array]:
        """Return the attention of tokens that come after all that was kept, and its log-sum-exp; nothing is kept.

        Parameters
        ----------
        q : (..., heads, n, head_dim) array
        scale : float

        Returns
        -------
        out : (..., heads, n, width) array
            Zeros where nothing is seen.
        lse : (..., heads, n) array
            In the dtype of sums: `merge_attention` joins what ranks see that hold keys of one sequence.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also before any block was kept, of whatever length.
        """
        if self._form is None:
            raise InvalidValueError("the cache has seen no block; expected keep or attend before look")
        dtype, *shapes = self._form
        xp = namespace(q)
        self._checked_form(q, *(xp.zeros((*shape[:-1], 0, shape[-1]), dtype) for shape in shapes))
        return self._over(q, self._scores(q), self._tokens, scale_or(scale, 1.0))

    def _checked_form(self, q: Array, k: Array, v: Array, of_queries: bool = True) -> tuple[Any, ...]:
        check_arrays(q, k, v)
        form, heads = (q.dtype, *((*a.shape[:-2], a.shape[-1]) for a in (k, v))), tuple(q.shape[:-2])
        if self._form not in (None, form):
            raise ShapeError(f"the block has dtype, keys and values {form}; those before have {self._form}")
        if of_queries and self._heads not in (None, heads):
            raise ShapeError(f"the block has queries {heads}; those before have {self._heads}")
        return form

    def _scores(self, q: Array) -> Scores:
        leading, dtype = tuple(q.shape[:-2]), working_dtype(q.dtype)
        slopes = checked_slopes(self._slopes, leading, dtype, namespace(q))
        return Scores(math.prod(leading), checked_cap(self._cap, dtype), slopes)

    def _over(self, q: Array, scores: Scores, start: int, scale: float) -> tuple[Array, Array]:
        """Return the attention of queries from place `start` over what is kept, and its log-sum-exp."""
        xp, n, dtype = namespace(q), q.shape[-2], working_dtype(q.dtype)
        queries, at = flat_heads(q).astype(dtype, copy=False), np.arange(n)
        pattern = Pattern("contiguous", (n,), (self._tokens,), self._causal, self._window, self._sinks, offset=start)
        width = self._parts[0][2].shape[-1]
        out = xp.zeros((*queries.shape[:2], width), dtype)
        lse = xp.full(queries.shape[:2], -xp.inf, dtype)
        for positions, keys, values in self._parts:
            rules = scores.rules(pattern, at, positions, [])
            near, held = (a.astype(dtype, copy=False) for a in (keys, values))
            for seen in pattern.seen(at, positions, np.zeros(keys.shape[0])):
                attend(queries, near, held, seen, out, lse, scale=scale, rules=rules)
        leading = q.shape[:-2]
        return out.reshape(*leading, n, width), lse.reshape(*leading, n)

    def _add(self, k: Array, v: Array) -> None:
        """Add a block, and join blocks of like size."""
        xp, n = namespace(k), k.shape[-2]
        positions = np.arange(self._tokens, self._tokens + n)
        self._blocks, self._tokens = self._blocks + 1, self._tokens + n
        # Copies: the caller may write the next block into the same memory.
        self._parts.append((positions, flat_heads(k).copy(), flat_heads(v).copy()))
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
