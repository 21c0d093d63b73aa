"""Softmax attention on ranks as threads against the dense sum, for the tests of each method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attention_features import CASES, assert_close, found
from attention_oracle import attention_arrays, dense, dense_vjp, seen_by
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import shard, traffic
from sci.sequence import attention_cost, softmax_attention


def assert_dense_on_ranks(
    method: str,
    size: int,
    n: int,
    layout: str,
    *,
    causal: bool = False,
    segments: np.ndarray | None = None,
    blocks: Sequence[int] | None = None,
) -> None:
    """Compare the output and all gradients on every rank with the dense sum over the whole sequence."""
    q, k, v, dout = attention_arrays(n, heads=3)
    dlse = dout[..., 0]
    seen = seen_by(n, causal, segments, blocks)
    out, lse, _ = dense(q, k, v, 0.4, seen)
    expected = (out, np.where(np.isneginf(lse), 0, lse), *dense_vjp(q, k, v, 0.4, seen, dout, dlse))

    def body(comm: ThreadComm) -> None:
        def mine(a: np.ndarray) -> np.ndarray:
            return shard(a, comm, 1, layout)

        ids = None if segments is None else shard(segments, comm, 0, layout)
        options = {"causal": causal, "blocks": blocks, "scale": 0.4, "segments": ids}
        options |= {"method": method, "layout": layout, "comm": comm}
        (o, o_lse), residuals = softmax_attention.forward(mine(q), mine(k), mine(v), **options)
        found = (o, np.where(np.isneginf(o_lse), 0, o_lse), *softmax_attention.vjp((mine(dout), mine(dlse)), residuals))
        for got, want in zip(found, expected):
            np.testing.assert_allclose(got, mine(want), rtol=0, atol=1e-12 * max(1.0, np.abs(want).max(initial=0)))

    on_ranks(size, body)


def bytes_on_ranks(method: str, size: int, n: int, heads: int, d: int) -> list[tuple[float, float]]:
    """Return what each rank sent in a forward and backward pass, and what the formula says."""
    q, k, v, dout = attention_arrays(n, heads, d)
    costs = [
        attention_cost(n, heads, d, size, method=method, dtype="float64", backward=b).bytes_sent for b in (False, True)
    ]

    def body(comm: ThreadComm) -> float:
        mine = [shard(a, comm, 1) for a in (q, k, v, dout)]
        _, residuals = softmax_attention.forward(*mine[:3], method=method, comm=comm)
        softmax_attention.vjp((mine[3], None), residuals)
        return sum(t.bytes for name, t in traffic(comm).items() if name != "agree")

    return [(sent, sum(costs)) for sent in on_ranks(size, body)]


def assert_case_on_ranks(name: str, method: str, size: int, layout: str, uneven: bool = False) -> None:
    """Compare all outputs and gradients of a case on every rank; uneven parts are a fifth, none, and the rest."""

    def body(comm: ThreadComm) -> None:
        def cuts(length: int) -> np.ndarray:
            ends = [*(0, length // 5, length // 5, length)[: comm.size], length]
            return np.arange(ends[comm.rank], ends[comm.rank + 1])

        for one in found(CASES[name], comm, method, layout, cuts if uneven else None):
            assert_close(*one)

    on_ranks(size, body)
