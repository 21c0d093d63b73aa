"""Flops, bytes sent and memory of softmax attention over ranks, by formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.distributed import Layout, split
from sci.errors import InvalidValueError
from sci.sequence.attention.pattern import Pattern
from sci.sequence.attention.problem import METHODS, AttentionMethod, checked_blocks, checked_window
from sci.sequence.checks import check_choice

__all__ = ["AttentionCost", "attention_cost"]


@entry
@dataclass(frozen=True)
class AttentionCost:
    """Cost of one call on one rank.

    Parameters
    ----------
    flops : float
        Multiplications and additions of matrix products.
    bytes_sent : float
        Sent to other ranks.
    memory : float
        Upper bound of the bytes allocated beside the input.

    Examples
    --------
    >>> from sci.sequence import attention_cost
    >>> attention_cost(1024, 8, 64)
    AttentionCost(flops=2147483648.0, bytes_sent=0.0, memory=37748736.0)
    """

    flops: float
    bytes_sent: float
    memory: float


@entry
def attention_cost(
    n: int,
    heads: int,
    head_dim: int,
    n_ranks: int = 1,
    *,
    method: AttentionMethod = "ring",
    causal: bool = False,
    window: int | Sequence[int | None] | None = None,
    sink_tokens: int = 0,
    blocks: Sequence[int] | None = None,
    layout: Layout = "contiguous",
    key_length: int | None = None,
    key_heads: int | None = None,
    width: int | None = None,
    dtype: str = "float32",
    backward: bool = False,
) -> AttentionCost:
    """Return the cost of `softmax_attention`, or of `softmax_attention.vjp`, for n tokens over `n_ranks` ranks.

    Parameters
    ----------
    n : int
        Length of the whole sequence of queries, in equal parts.
    heads : int
        Heads times batches.
    head_dim : int
        Numbers per token and head.
    n_ranks : int
        Ranks that the sequence is spread over.
    method : {"ring", "rsa", "ulysses"}
    causal, window, sink_tokens, blocks, layout
        As in `softmax_attention`; blocks sum to n.
    key_length, key_heads, width : int, optional
        Length of the whole sequence of keys, heads of keys times batches, numbers per value: n, heads and head_dim by
        default.
    dtype : {"float16", "bfloat16", "float32", "float64"}
        Of the arrays; 16 bits are summed in float32.
    backward : bool
        The gradients instead of the output. Memory is then that of both passes.

    Returns
    -------
    AttentionCost

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Bytes are exact and counted in the tests: those of the rank that sends most. Flops are the mean over ranks, for
    causal attention to itself half of all pairs; "rsa" skips nothing of it. Memory is a bound that the tests check.

    Examples
    --------
    >>> from sci.sequence import attention_cost
    >>> attention_cost(4096, 8, 64, 4).bytes_sent / 1e6
    12.582912
    >>> attention_cost(4096, 8, 64, 4, causal=True, window=512, key_heads=2).bytes_sent / 1e6  # one hop of a quarter
    1.048576
    """
    if method not in METHODS:
        raise InvalidValueError(f"method is {method!r}; expected one of {', '.join(map(repr, METHODS))}")
    check_choice(dtype, ("float16", "bfloat16", "float32", "float64"), "dtype")
    m, own, width = (b if a is None else a for a, b in ((key_length, n), (key_heads, heads), (width, head_dim)))
    if min(n, heads, head_dim, n_ranks, m, own, width) < 1 or heads % own:
        raise InvalidValueError(
            f"n {n}, heads {heads}, head_dim {head_dim}, n_ranks {n_ranks}, key_length {m}, key_heads {own}, width "
            f"{width}; expected positive numbers, and key_heads that divides heads"
        )
    ends, sides = checked_blocks(blocks, causal), checked_window(window, sink_tokens)
    parts = [tuple(split(length, rank=r, size=n_ranks) for r in range(n_ranks)) for length in (n, m)]
    lengths, key_lengths = (tuple(p.stop - p.start for p in of) for of in parts)
    pattern = Pattern(layout, lengths, key_lengths, causal, sides, sink_tokens, ends)
    given = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    summed = max(given, 4)
    shape = _Shape(pattern, heads, own, head_dim, width, given, summed)
    share = 1.0 if method == "rsa" else _seen_share(pattern)
    flops = (6 * head_dim + 4 * width if backward else 2 * (head_dim + width)) * heads * n / n_ranks * m * share
    elements = max(heads * n, own * m) / n_ranks * max(head_dim, width)
    memory = 18.0 * elements * summed
    if method == "rsa":
        strip = heads * n / n_ranks * m
        memory = ((9 + 4 * n_ranks) * elements + (1.2 + 3 / n_ranks) * strip) * summed
    sent = {"ring": _ring_bytes, "rsa": _rsa_bytes, "ulysses": _all_to_all_bytes}[method](shape, backward)
    return AttentionCost(flops, float(sent), memory)


@dataclass(frozen=True)
class _Shape:
    """The pattern, heads, widths, and bytes of a number that is given and of one of a sum."""

    pattern: Pattern
    heads: int
    own: int
    d: int
    e: int
    given: int
    summed: int

    @property
    def key_numbers(self) -> int:
        """Numbers of a key and its value in all heads."""
        return self.own * (self.d + self.e)


def _ring_bytes(shape: _Shape, backward: bool) -> int:
    """Return the bytes of the rank that sends most: its keys to those who need them, gradients to their owners."""
    needed, lengths = shape.pattern.needed.copy(), np.array(shape.pattern.key_lengths)
    np.fill_diagonal(needed, False)
    keys, gradients = needed.sum(axis=0) * lengths * shape.given, needed @ lengths * shape.summed
    return int((keys + gradients * backward).max()) * shape.key_numbers


def _rsa_bytes(shape: _Shape, backward: bool) -> int:
    lengths = shape.pattern.key_lengths
    return (sum(lengths) - min(lengths)) * shape.key_numbers * (shape.given + shape.summed * backward)


def _all_to_all_bytes(shape: _Shape, backward: bool) -> int:
    """Return the bytes of the rank that sends most: heads to others, and results of its own heads back."""
    pattern, group, n_ranks = shape.pattern, shape.heads // shape.own, len(shape.pattern.key_lengths)
    shares = [split(shape.heads, rank=r, size=n_ranks) for r in range(n_ranks)]
    queries = np.array([s.stop - s.start for s in shares])
    keys = np.array([-(-s.stop // group) - s.start // group if s.stop > s.start else 0 for s in shares])
    sent = []
    for rank, (n, m) in enumerate(zip(pattern.query_lengths, pattern.key_lengths)):
        leaving = n * (shape.heads - queries[rank]), m * (keys.sum() - keys[rank])
        coming = queries[rank] * (pattern.n - n), keys[rank] * (pattern.m - m)
        numbers = leaving[0] * shape.d + leaving[1] * (shape.d + shape.e)
        sums = coming[0] * (shape.e + 1)
        if backward:
            sums = leaving[0] * (shape.e + 2) + coming[0] * shape.d + coming[1] * (shape.d + shape.e)
        sent.append(numbers * shape.given + sums * shape.summed)
    return int(max(sent))


def _seen_share(pattern: Pattern) -> float:
    """Return the share of the pairs of tokens that see each other; of a causal mask alone half."""
    if pattern.blocks is not None and sum(pattern.blocks) != pattern.n:
        raise InvalidValueError(f"blocks have {sum(pattern.blocks)} tokens in all; expected n = {pattern.n}")
    if pattern.window is None and pattern.n == pattern.m and pattern.blocks is None:
        return 0.5 if pattern.causal else 1.0
    pairs = sum(float(np.maximum(high - low + 1, 0).sum()) for low, high in pattern.ranges())
    return pairs / (pattern.n * pattern.m)
