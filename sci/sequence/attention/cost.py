"""Flops, bytes sent and memory of softmax attention over ranks, by formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.sequence.attention.problem import METHODS, AttentionMethod, checked_blocks

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
    blocks: Sequence[int] | None = None,
    dtype: str = "float32",
    backward: bool = False,
) -> AttentionCost:
    """Return the cost of `softmax_attention`, or of `softmax_attention.vjp`, for n tokens over `n_ranks` ranks.

    Parameters
    ----------
    n : int
        Length of the whole sequence, in equal parts; for "ulysses" heads in equal parts too.
    heads : int
        Heads times batches.
    head_dim : int
        Numbers per token and head.
    n_ranks : int
        Ranks that the sequence is spread over.
    method : {"ring", "rsa", "ulysses"}
    causal : bool
    blocks : sequence of int, optional
        As in `softmax_attention`; they sum to n.
    dtype : {"float16", "float32", "float64"}
        Of the arrays; float16 is summed in float32.
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
    Bytes are exact and counted in the tests. Flops are those of a balanced layout; "rsa" does not skip what a mask
    hides. Memory is a bound that the tests check.

    Examples
    --------
    >>> from sci.sequence import attention_cost
    >>> attention_cost(4096, 8, 64, 4).bytes_sent / 1e6
    12.582912
    """
    if method not in METHODS:
        raise InvalidValueError(f"method is {method!r}; expected one of {', '.join(map(repr, METHODS))}")
    if min(n, heads, head_dim, n_ranks) < 1:
        raise InvalidValueError(
            f"n {n}, heads {heads}, head_dim {head_dim}, n_ranks {n_ranks}; expected positive numbers"
        )
    share = _seen_share(n, causal, checked_blocks(blocks, causal))
    given = np.dtype(dtype).itemsize
    summed = max(given, 4)
    elements = heads * n / n_ranks * head_dim
    others = n_ranks - 1
    if method == "ulysses":
        units = 3 * given + (4 + 2 / head_dim if backward else 1 + 1 / head_dim) * summed
        sent = elements * others / n_ranks * units
    else:
        sent = elements * others * 2 * (given + (summed if backward else 0))
    flops = (10 if backward else 4) * elements * n * (1.0 if method == "rsa" else share)
    memory = 18.0 * elements * summed
    if method == "rsa":
        memory = ((9 + 4 * n_ranks) * elements + (1.2 + 3 / n_ranks) * elements * n / head_dim) * summed
    return AttentionCost(flops, sent, memory)


def _seen_share(n: int, causal: bool, blocks: tuple[int, ...] | None) -> float:
    """Return the share of the pairs of tokens that a mask lets see each other; a causal one counts as half."""
    if blocks is None:
        return 0.5 if causal else 1.0
    if sum(blocks) != n:
        raise InvalidValueError(f"blocks have {sum(blocks)} tokens in all; expected n = {n}")
    return float(np.dot(blocks, np.cumsum(blocks))) / n**2
