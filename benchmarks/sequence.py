"""Attention beside torch and array code, on one thread, in process CPU time, everything of a row in one run.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/sequence.py [--only softmax memory ...]

softmax: causal, 8 heads of 64, float32, forward and forward with backward, beside torch's scaled_dot_product_attention
and the array reference (matrix products of BLAS over tiles, softmax in NumPy). The limit is the speed of a matrix
product, measured in the same run; flops are those of the pairs that are seen, 2 heads n^2 head_dim forward and 5
backward. Target: 1.1 of torch.

options: each option of attention beside its plain form, and beside torch where scaled_dot_product_attention has it,
with enable_gqa, attn_mask (a mask, or a bias with its gradient) and dropout_p; 2,048 tokens.

short: a batch of 512 sequences of 64 tokens, one of 512, and documents of 4 to 32 tokens against their share of pairs.
Target: 1.0 of torch.

lightning: 64K tokens of the same shape, beside the block form in NumPy; benchmarks/lightning.py has more rows. Target:
200 ms, and 1.0 s with the backward pass.

gated: gates for each token or each of its features, and the delta rule, beside array code: benchmarks/gated.py.

tensor: pairs of 512 keys, d = 4, float64: the polynomial beside the exact method, and both beside a row loop in NumPy.
Target: 500 times the exact one for errors under 1e-7. `tol` is what the degree promises beforehand for a weight, for
any keys in these bounds; errors of random ones are smaller, so the target has two readings, and both are printed.

memory: peak memory (tracemalloc) and time of one gradient of both models, 8 layers of width 128 and two texts of 512
tokens, by what is computed again and whether activations are kept in two bytes.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import gated
import lightning
import numpy as np

import sci
from sci.nn import value_and_gradients
from sci.sequence import PairScore, ParallelTransformer, TransNormer, rank_grid, softmax_attention, tensor_attention

HEADS, D = 8, 64


best = lightning.measure
"""The least CPU time of some runs, in milliseconds. Kernels are compiled on small arrays beforehand."""


def gemm_peak() -> float:
    """Return the speed of a large matrix product in float32, in GF/s."""
    a = np.random.default_rng(0).random((1536, 1536), dtype=np.float32)
    return 2 * 1536**3 / best(lambda: a @ a, 5) / 1e6


def ours(q: Any, k: Any, v: Any, dout: Any) -> Any:
    """Run the library."""
    (out, _), residuals = softmax_attention.forward(q, k, v, causal=True)
    return out if dout is None else softmax_attention.vjp((dout, None), residuals)


def torch_result(torch: Any, x: Any) -> Any:
    """Return torch's causal attention of x to itself."""
    t = torch.from_numpy(x[None])
    return torch.nn.functional.scaled_dot_product_attention(t, t, t, is_causal=True)[0].numpy()


def softmax(lengths: list[int], repeats: int) -> None:
    """Softmax attention."""
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    print(f"softmax: a matrix product runs at {gemm_peak():.0f} GF/s; torch {torch.__version__}")
    print(f"{'tokens':>7} {'pass':>9} {'ours ms':>9} {'torch':>9} {'tiles':>9} {'GF/s':>6}   ours/torch ours/tiles")
    small = rng.standard_normal((HEADS, 256, D), dtype=np.float32)
    error = np.abs(ours(small, small, small, None) - torch_result(torch, small)).max()
    ours(small, small, small, small)
    for n in lengths:
        q, k, v, g = (rng.standard_normal((HEADS, n, D), dtype=np.float32) for _ in range(4))
        theirs = [torch.from_numpy(a) for a in (q, k, v)]
        for dout in (None, g):
            grad = None if dout is None else torch.from_numpy(dout)
            mine = best(lambda q=q, k=k, v=v, d=dout: ours(q, k, v, d), repeats)
            rival = best(lambda t=theirs, d=grad: lightning.torch_softmax(torch, t, d), repeats)
            tiles = np.nan
            if n <= 4096:
                with sci.options(kernels="reference"):
                    tiles = best(lambda q=q, k=k, v=v, d=dout: ours(q, k, v, d), 1)
            flops = (2 if dout is None else 7) * HEADS * n * n * D
            name = "forward" if dout is None else "with back"
            print(
                f"{n:>7} {name:>9} {mine:9.1f} {rival:9.1f} {tiles:9.1f} {flops / mine / 1e6:6.1f}   "
                f"{mine / rival:10.2f} {mine / tiles:10.2f}",
                flush=True,
            )
    print(f"largest difference from torch at 256 tokens {error:.1e}")


def timed(arrays: Any, given: Any, repeats: int, **options: Any) -> tuple[float, float]:
    """Return the milliseconds of the forward pass, and of both."""
    *inputs, dout = arrays

    def both() -> Any:
        return softmax_attention.vjp((dout, None), softmax_attention.forward(*inputs, *given, **options)[1])

    return best(lambda: softmax_attention.forward(*inputs, *given, **options), repeats), best(both, repeats)


def torch_timed(arrays: Any, repeats: int, mask: Any = None, **options: Any) -> tuple[float, float]:
    """Return the same of torch's scaled_dot_product_attention."""
    import torch

    *inputs, grad = (torch.from_numpy(a[None] if a.ndim == 3 else a) for a in arrays)
    attend = torch.nn.functional.scaled_dot_product_attention

    def both() -> Any:
        leaves = [t.clone().requires_grad_(True) for t in inputs]
        bias = mask.clone().requires_grad_(True) if mask is not None and mask.dtype != torch.bool else mask
        attend(*leaves, attn_mask=bias, **options).backward(grad)

    with torch.no_grad():
        forward = best(lambda: attend(*inputs, attn_mask=mask, **options), repeats)
    return forward, best(both, repeats)


def expert_options(_: list[int], repeats: int) -> None:
    """Attention as experts call it."""
    import torch

    torch.set_num_threads(1)
    n, rng = 2048, np.random.default_rng(0)
    q, k, v, g = (rng.standard_normal((HEADS, n, D), dtype=np.float32) for _ in range(4))
    bias, mask = rng.standard_normal((HEADS, n, n), dtype=np.float32), rng.random((n, n)) < 0.5
    full, few = (q, k, v, g), (q, k[:2].copy(), v[:2].copy(), g)
    causal = {"causal": True}
    score = PairScore(lambda p, i, j: p * np.abs(i[:, None] - j), lambda p, i, j, dbias: p * dbias.sum())
    rows: list[tuple[str, Any, Any, dict[str, Any], dict[str, Any] | None]] = [
        ("plain", full, (), {}, {}),
        ("causal", full, (), causal, {"is_causal": True}),
        ("2 heads of keys", few, (), causal, {"is_causal": True, "enable_gqa": True}),
        ("window 256", full, (), causal | {"window": 255}, None),
        ("window 256, 4 sinks", full, (), causal | {"window": 255, "sink_tokens": 4}, None),
        ("slopes", full, (), causal | {"slopes": 2.0 ** -np.arange(1, HEADS + 1)}, None),
        ("cap", full, (), causal | {"cap": 30.0}, None),
        ("bias", full, (bias,), {}, {"mask": torch.from_numpy(bias[None])}),
        ("mask", full, (), {"mask": mask}, {"mask": torch.from_numpy(mask)}),
        ("dropout", full, (), {"dropout": 0.1, "seed": 0}, {"dropout_p": 0.1}),
        ("callable", full, (None, None, np.ones(1, "f4")), {"score": score}, None),
    ]
    print(
        f"{'option':>20} {'forward':>9} {'torch':>9} {'ratio':>6} {'both':>9} {'torch':>9} {'ratio':>6}   forward/plain"
    )
    base = np.nan
    for name, arrays, given, options, theirs in rows:
        mine = timed(arrays, given, repeats, **options)
        rival = (np.nan, np.nan) if theirs is None else torch_timed(arrays, repeats, **theirs)
        base = mine[0] if name == "plain" else base
        cells = " ".join(f"{a:9.1f} {b:9.1f} {a / b:6.2f}" for a, b in zip(mine, rival))
        print(f"{name:>20} {cells}   {mine[0] / base:6.2f}", flush=True)


def short(_: list[int], repeats: int) -> None:
    """Many short sequences, and short documents."""
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for batch, n in ((512, 64), (1, 512)):
        arrays = [rng.standard_normal((batch, n, D), dtype=np.float32) for _ in range(4)]
        mine, rival = timed(arrays, (), 5 * repeats), torch_timed(arrays, 5 * repeats)
        print(
            f"short: {batch} x {n} tokens: ours {mine[0]:.2f} and {mine[1]:.2f} ms, of torch's time "
            f"{mine[0] / rival[0]:.2f} forward, {mine[1] / rival[1]:.2f} with gradients"
        )
    for n, each in ((2048, 4), (4096, 8), (8192, 32)):
        arrays = [rng.standard_normal((HEADS, n, D), dtype=np.float32) for _ in range(4)]
        whole = timed(arrays, (), 1)
        parts = timed(arrays, (), 2 * repeats, segments=np.repeat(np.arange(n // each), each))
        print(
            f"short: {n} tokens in documents of {each}, {each / n:.2%} of pairs: {parts[0] / whole[0]:.2%} of the "
            f"time forward, {parts[1] / whole[1]:.2%} with gradients"
        )


def linear(lengths: list[int], repeats: int) -> None:
    """Lightning attention, at four times the longest of the lengths."""
    n = 4 * max(lengths)
    rng, decay = np.random.default_rng(0), (2.0 ** -np.arange(1, HEADS + 1)).astype("f4")
    q, k, v, g = (rng.standard_normal((HEADS, n, D), dtype=np.float32) for _ in range(4))
    for dout in (None, g):
        mine = best(lambda d=dout: lightning.ours(q, k, v, d, decay), repeats)
        b = lightning.best_block(lambda b, d=dout: lightning.numpy_blocks(q, k, v, d, decay, b))
        rival = best(lambda d=dout, b=b: lightning.numpy_blocks(q, k, v, d, decay, b), repeats)
        name = "forward" if dout is None else "with back"
        print(f"lightning: {n} tokens, {name}: {mine:.0f} ms, NumPy {rival:.0f} (block {b}), ratio {mine / rival:.2f}")


def row_loop(q: Any, k1: Any, k2: Any, v1: Any, v2: Any) -> Any:
    """Run tensor attention query by query in NumPy."""
    out = np.empty_like(q)
    for i, row in enumerate(q):
        scores = (k1 * row / q.shape[1]) @ k2.T
        weights = np.exp(scores - scores.max())
        out[i] = (v1 * (weights @ v2)).sum(axis=0) / weights.sum()
    return out


def tensor(_: list[int], repeats: int) -> None:
    """Tensor attention."""
    n, d = 512, 4
    rng = np.random.default_rng(0)
    values = [rng.uniform(-1, 1, (n, d)) for _ in range(2)]
    for size in (0.5, 1.0):
        arrays = [*(rng.uniform(-size, size, (n, d)) for _ in range(3)), *values]
        result = tensor_attention(*arrays)
        exact = best(lambda a=arrays: tensor_attention(*a), repeats)
        loop = best(lambda a=arrays: row_loop(*a), 1)
        print(f"tensor: n {n}, d {d}, entries up to {size}: exact {exact:.0f} ms, NumPy row loop {loop:.0f} ms")
        for tol in (1e-3, 3e-4, 1e-5, 1e-7):
            run = lambda a=arrays, t=tol: tensor_attention(*a, method="polynomial", tol=t)  # noqa: E731
            error, ms = np.abs(run() - result).max(), best(run, 30)
            print(
                f"  polynomial, tol {tol:g}: {ms:.2f} ms, error {error:.1e}; exact / polynomial {exact / ms:.0f}, "
                f"row loop / polynomial {loop / ms:.0f}"
            )


def kept_memory(_: list[int], repeats: int) -> None:
    """Print memory and time of one gradient by what is computed again and kept in two bytes, and of halved passes."""
    texts = np.random.default_rng(0).integers(0, 17, (2, 513))
    recurrent = TransNormer.create(seed=1, width=128, heads=4, layers=8, hidden=256)
    parallel = ParallelTransformer(128, 4, 8, 512, 256, rank_grid(None))
    whole = parallel.whole(0)
    models: dict[str, Callable[..., Any]] = {
        "TransNormer": lambda again, kept: value_and_gradients(
            lambda v: recurrent.loss(v, texts, recompute=again), recurrent.parameters, activations=kept
        ),
        "ParallelTransformer": lambda again, kept: parallel.loss_and_gradients(
            whole, texts, recompute=again, activations=kept
        ),
    }
    for name, gradient in models.items():
        for kept in (None, "bfloat16"):
            for again in ("none", "attention", "feedforward", "block"):
                gradient(again, kept)
                seconds = []
                for _ in range(repeats):
                    start = time.process_time()
                    gradient(again, kept)
                    seconds.append(time.process_time() - start)
                tracemalloc.start()
                gradient(again, kept)
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                print(
                    f"{name}, activations {kept or 'float32'}, recompute {again}: {peak / 1e6:.1f} MB, "
                    f"{1000 * min(seconds):.0f} ms"
                )


CASES: dict[str, Callable[[list[int], int], None]] = {
    "softmax": softmax,
    "options": expert_options,
    "short": short,
    "lightning": linear,
    "gated": gated.gated,
    "tensor": tensor,
    "memory": kept_memory,
}


def main() -> None:
    """Run the chosen cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--lengths", nargs="+", type=int, default=[1024, 4096, 16384], metavar="N")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with sci.options(threads=1):
        for name in options.only:
            start = time.perf_counter()
            CASES[name](options.lengths, options.repeats)
            print(f"({name}: {time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
