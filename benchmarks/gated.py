"""Gated linear attention beside the best array code of the same formulas, on one thread, in process CPU time.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/sequence.py --only gated

Four heads of 64, float32. Array code is, for a gate a token, `numpy_blocks` here, with the block of 32, 64, 128 or 256
tokens that is fastest in this run: its gate has the gradient q dq - k dk, summed from the end. For a gate a feature and
for the delta rule it is the library's own form in array calls, which runs where no compiler is: pairs of tokens as
products of two matrices over halves of blocks, and the WY form with batched solves. Runs of both alternate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sci
from sci.sequence import gated_linear_attention

HEADS, D = 4, 64


def blocks_of(q: Any, decay: Any, size: int) -> list[tuple[slice, Any, Any, Any, Any]]:
    """Return each block with the decays between its tokens, from its start, to its end, and over all of it."""
    found = []
    for start in range(0, q.shape[1], size):
        part = slice(start, start + size)
        sums = np.cumsum(decay[:, part], axis=1)
        apart = sums[:, None, :] - sums[:, :, None]
        mask = np.tril(np.exp(np.minimum(apart, 0)))
        ages, youth = np.exp(-sums)[..., None], np.exp(sums - sums[:, -1:])[..., None]
        found.append((part, mask, ages, youth, ages[:, -1:]))
    return found


def numpy_blocks(q: Any, k: Any, v: Any, dout: Any, decay: Any, size: int) -> Any:
    """Run the block form of a gate a token forward, and backward if `dout` is given: one sweep up, one sweep down."""
    blocks, state, out = blocks_of(q, decay, size), np.zeros((HEADS, D, D), "f4"), np.empty_like(v)
    dq, dk, dv = np.empty_like(q), np.empty_like(k), np.empty_like(v)
    for s, mask, ages, youth, whole in blocks:
        out[:, s] = (q[:, s] @ k[:, s].swapaxes(1, 2) * mask) @ v[:, s] + (ages * q[:, s]) @ state
        if dout is not None:
            weights = dout[:, s] @ v[:, s].swapaxes(1, 2) * mask
            dq[:, s] = weights @ k[:, s] + ages * (dout[:, s] @ state.swapaxes(1, 2))
        state = whole * state + (youth * k[:, s]).swapaxes(1, 2) @ v[:, s]
    if dout is None:
        return out
    back = np.zeros_like(state)
    for s, mask, ages, youth, whole in reversed(blocks):
        scores, weights = q[:, s] @ k[:, s].swapaxes(1, 2) * mask, dout[:, s] @ v[:, s].swapaxes(1, 2) * mask
        dk[:, s] = weights.swapaxes(1, 2) @ q[:, s] + youth * (v[:, s] @ back.swapaxes(1, 2))
        dv[:, s] = scores.swapaxes(1, 2) @ dout[:, s] + youth * (k[:, s] @ back)
        back = whole * back + (ages * q[:, s]).swapaxes(1, 2) @ dout[:, s]
    steps = np.einsum("hnd,hnd->hn", q, dq) - np.einsum("hnd,hnd->hn", k, dk)
    return dq, dk, dv, -np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]


def ours(arrays: tuple[Any, ...], dout: Any, kernels: Any = "compiled") -> Any:
    """Run the library, all gradients if `dout` is given."""
    with sci.options(kernels=kernels):
        (out, _), residuals = gated_linear_attention.forward(*arrays)
        return out if dout is None else gated_linear_attention.vjp((dout, None), residuals)


def paired(runs: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the least CPU time of each, in milliseconds; runs alternate."""
    best = [np.inf] * len(runs)
    for _ in range(repeats):
        for i, run in enumerate(runs):
            start = time.process_time()
            run()
            best[i] = min(best[i], 1e3 * (time.process_time() - start))
    return best


def gated(lengths: list[int], repeats: int) -> None:
    """Print times of gates a token and a feature, and of the delta rule with both."""
    rng = np.random.default_rng(0)
    print(f"{'gates':>15} {'tokens':>7} {'pass':>9} {'ours ms':>8} {'arrays ms':>10}   ours/arrays  difference")
    for n in lengths:
        q, k, v, g = (rng.standard_normal((HEADS, n, D), dtype=np.float32) for _ in range(4))
        k /= np.linalg.norm(k, axis=2, keepdims=True)
        decay, beta = (0.1 * rng.exponential(size=(HEADS, n, D))).astype("f4"), rng.random((HEADS, n), dtype=np.float32)
        token = np.ascontiguousarray(decay[..., 0])
        for name, gate, rate in (
            *(("token", token, None), ("feature", decay, None)),
            *(("delta, token", token, beta), ("delta, feature", decay, beta)),
        ):
            arrays = (q, k, v, gate, rate)
            for title, dout in (("forward", None), ("with back", g)):
                if name == "token":
                    form = lambda size, d=dout: numpy_blocks(q, k, v, d, token, size)  # noqa: B023, E731
                    times = paired([lambda f=form, b=b: f(b) for b in (32, 64, 128, 256)], 2)
                    size = (32, 64, 128, 256)[int(np.argmin(times))]
                    rival = lambda f=form, b=size: f(b)  # noqa: E731
                else:
                    size, rival = 64, lambda a=arrays, d=dout: ours(a, d, "reference")
                mine = lambda a=arrays, d=dout: ours(a, d)  # noqa: E731
                first, second = (x if dout is None else x[0] for x in (mine(), rival()))
                error = np.abs(first - second).max() / np.abs(second).max()
                a, b = paired([mine, rival], repeats)
                print(
                    f"{name:>15} {n:>7} {title:>9} {a:8.1f} {b:10.1f}   {a / b:.2f} (block {size})   {error:.1e}",
                    flush=True,
                )
