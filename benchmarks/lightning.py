"""Lightning attention beside array code of the same formulas and torch, on one thread, in process CPU time.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/lightning.py [--length 65536]

Eight heads of 64, float32. `blocks` is the block form in NumPy and in torch (batched matrix products, masks, one
state), with the block of 64, 128 or 256 tokens that NumPy is fastest with in this run; `softmax` is torch's causal
scaled_dot_product_attention, at lengths where it ends in reasonable time. Target for 64K tokens is 200 ms forward and
1.0 s with the backward pass, on a processor where the NumPy blocks take 278 and 1140.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sci
from sci.sequence import lightning_attention

HEADS, D = 8, 64


def measure(run: Callable[[], Any], repeats: int) -> float:
    """Return the least CPU time of a run, in milliseconds."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return 1e3 * best


def decays(b: int, decay: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the weights between the tokens of a block, of the state at each, to its end, and over all of it."""
    i = np.arange(b)
    apart = i[:, None] - i
    mask = np.where(apart >= 0, np.exp(-decay[:, None, None] * np.maximum(apart, 0)), 0.0)
    ages, youth = np.exp(-decay[:, None] * (i + 1))[..., None], np.exp(-decay[:, None] * (b - 1 - i))[..., None]
    return tuple(a.astype("f4") for a in (mask, ages, youth, np.exp(-decay * b)[:, None, None]))


def best_block(run: Callable[[int], Any]) -> int:
    """Return the tokens in a block with which `run` takes least time."""
    return min((64, 128, 256), key=lambda b: measure(lambda: run(b), 2))


def numpy_blocks(q: Any, k: Any, v: Any, dout: Any, decay: Any, b: int) -> Any:
    """Run the block form forward, and backward if `dout` is given: one sweep up, one sweep down."""
    mask, ages, youth, whole = decays(b, decay)
    state, out = np.zeros((HEADS, D, D), "f4"), np.empty_like(v)
    blocks = [slice(s, s + b) for s in range(0, q.shape[1], b)]
    for s in blocks:
        out[:, s] = (q[:, s] @ k[:, s].swapaxes(1, 2) * mask) @ v[:, s] + (ages * q[:, s]) @ state
        state = whole * state + (youth * k[:, s]).swapaxes(1, 2) @ v[:, s]
    if dout is None:
        return out
    dq, dk, dv = np.empty_like(q), np.empty_like(q), np.empty_like(q)
    state = np.zeros_like(state)
    for s in blocks:
        dq[:, s] = (dout[:, s] @ v[:, s].swapaxes(1, 2) * mask) @ k[:, s] + ages * (dout[:, s] @ state.swapaxes(1, 2))
        state = whole * state + (youth * k[:, s]).swapaxes(1, 2) @ v[:, s]
    back = np.zeros_like(state)
    for s in reversed(blocks):
        scores, weights = q[:, s] @ k[:, s].swapaxes(1, 2) * mask, dout[:, s] @ v[:, s].swapaxes(1, 2) * mask
        dk[:, s] = weights.swapaxes(1, 2) @ q[:, s] + youth * (v[:, s] @ back.swapaxes(1, 2))
        dv[:, s] = scores.swapaxes(1, 2) @ dout[:, s] + youth * (k[:, s] @ back)
        back = whole * back + (ages * q[:, s]).swapaxes(1, 2) @ dout[:, s]
    return dq, dk, dv


def torch_blocks(torch: Any, arrays: list[Any], dout: Any, decay: np.ndarray, b: int) -> Any:
    """Run the block form in torch, with its autograd if `dout` is given."""
    mask, ages, youth, whole = (torch.from_numpy(a) for a in decays(b, decay))
    q, k, v = (a.detach().requires_grad_(dout is not None) for a in arrays)
    state, outs = torch.zeros(HEADS, D, D), []
    # One view of all blocks: slices of q would each send back a gradient of its whole length.
    for qs, ks, vs in zip(*(a.view(HEADS, -1, b, D).unbind(1) for a in (q, k, v))):
        outs.append((qs @ ks.transpose(1, 2) * mask) @ vs + (ages * qs) @ state)
        state = whole * state + (youth * ks).transpose(1, 2) @ vs
    out = torch.cat(outs, dim=1)
    if dout is not None:
        out.backward(dout)
    return out


def torch_softmax(torch: Any, arrays: list[Any], dout: Any) -> None:
    """Run torch's causal softmax attention."""
    q, k, v = (a.detach()[None].requires_grad_(dout is not None) for a in arrays)
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    if dout is not None:
        out.backward(dout[None])


def ours(q: Any, k: Any, v: Any, dout: Any, decay: Any) -> Any:
    """Run the library, all gradients but that of the fixed decay."""
    (out, _), residuals = lightning_attention.forward(q, k, v, decay, learn_decay=False)
    return out if dout is None else lightning_attention.vjp((dout, None), residuals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=65536)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        torch = None
    rng, decay = np.random.default_rng(0), (2.0 ** -np.arange(1, HEADS + 1)).astype("f4")
    titles = f"{'tokens':>7} {'pass':>9} {'ours':>8} {'numpy blocks':>13} {'torch blocks':>13} {'softmax':>9}"
    print(f"{titles}   ratios (block)")
    for n in (4096, 16384, options.length):
        q, k, v, g = (rng.standard_normal((HEADS, n, D), dtype=np.float32) for _ in range(4))
        for name, dout in (("forward", None), ("with back", g)):
            repeats = options.repeats
            with sci.options(threads=1):
                mine = measure(lambda q=q, k=k, v=v, d=dout: ours(q, k, v, d, decay), repeats)
            b = best_block(lambda b, q=q, k=k, v=v, d=dout: numpy_blocks(q, k, v, d, decay, b))
            rivals = [measure(lambda q=q, k=k, v=v, d=dout, b=b: numpy_blocks(q, k, v, d, decay, b), repeats)]
            if torch is not None:
                t, dt = [torch.from_numpy(a) for a in (q, k, v)], None if dout is None else torch.from_numpy(dout)
                rivals.append(measure(lambda t=t, dt=dt, b=b: torch_blocks(torch, t, dt, decay, b), min(repeats, 2)))
                if n <= 4096:
                    rivals.append(measure(lambda t=t, dt=dt: torch_softmax(torch, t, dt), 2))
            cells = [f"{r:>{w}.1f}" for r, w in zip(rivals, (13, 13, 9))] + [""] * 3
            ratios = " ".join(f"{mine / r:.2f}" for r in rivals)
            print(f"{n:>7} {name:>9} {mine:8.1f} {' '.join(cells[:3]):<37}   {ratios} ({b})")
    first = rng.standard_normal((HEADS, 4096, D), dtype=np.float32)
    expected = numpy_blocks(first, first, first, None, decay, 64)
    error = np.abs(ours(first, first, first, None, decay) - expected).max() / np.abs(expected).max()
    print(f"largest difference between ours and the NumPy blocks, relative to the largest entry: {error:.1e}")


if __name__ == "__main__":
    main()
