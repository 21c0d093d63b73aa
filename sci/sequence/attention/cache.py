"""Keys and values of earlier tokens, kept for the queries that come after them."""

from __future__ import annotations

from sci.backend import Array, namespace
from sci.sequence.attention.problem import flat_heads
from sci.sequence.attention.tiles import KeyRange, attend

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """The keys and values of one layer, block after block.

    Each call of `attend` adds a block of tokens, which see themselves and all blocks before them: what
    `softmax_attention(blocks=)` computes for the whole sequence at once, to rounding.

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

    def __init__(self) -> None:
        self._parts: list[tuple[Array, Array]] = []

    def __repr__(self) -> str:
        return f"KeyValueCache({len(self._parts)} blocks, {sum(k.shape[1] for k, _ in self._parts)} tokens)"

    def attend(self, q: Array, k: Array, v: Array, *, scale: float) -> Array:
        """Return the attention of a block to itself and to what was kept, and keep its keys and values.

        Parameters
        ----------
        q, k, v : (..., heads, n, head_dim) float32 or float64
            The tokens of the block; leading axes, heads and head_dim are those of the blocks before.
        scale : float

        Returns
        -------
        (..., heads, n, head_dim)

        Notes
        -----
        4 n m flops a head and number for m tokens kept; the blocks are met one after the other by online softmax, and
        are not copied.
        """
        xp, shape = namespace(q, k, v), q.shape
        queries = flat_heads(q) * q.dtype.type(scale)
        self._parts.append((flat_heads(k), flat_heads(v)))
        out, lse = xp.zeros_like(queries), xp.full(queries.shape[:2], -xp.inf, q.dtype)
        low = xp.zeros(queries.shape[1], "int64")
        for keys, values in self._parts:
            length = keys.shape[1]
            attend(queries, keys, values, KeyRange(low, low + length), xp.arange(length), out, lse)
        return out.reshape(shape)
