"""`sci sequence bench`: what attention costs on this machine, and what it would send and hold on many ranks."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sci.cli.common import chosen_namespace
from sci.cli.estimates.needs import goes_on
from sci.cli.estimates.sequences import bench_needs
from sci.cli.outcome import tell
from sci.distributed import Layout, agreed, allreduce_max, shard, size
from sci.sequence import (
    attention_cost,
    lightning_attention,
    softmax_attention,
)

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> None:
    """Time, predict and report."""
    a = arguments
    chosen_namespace(a, on_device=False)
    ranks = size(a.comm)
    a.ranks = a.ranks or (ranks if ranks > 1 else 4)
    if not _fits(a):
        return
    timings = _timings(a)
    report = {"tokens": a.length, "heads": a.heads, "head_dim": a.head_dim, "dtype": a.dtype, "causal": not a.full}
    report |= {"timed_on": ranks, "timings": timings, "ranks": a.ranks, "methods": _methods(a)}
    tell(a, report, _table(a, report))


def _fits(a: argparse.Namespace) -> bool:
    """Return True if the arrays fit into memory and are to be timed; one process is tried, with few tokens."""

    def timed(tokens: int) -> list[dict[str, Any]]:
        return _timings(argparse.Namespace(**{**vars(a), "length": tokens, "repeats": 1, "comm": None}))

    array = np.dtype(a.dtype).itemsize * a.heads * a.length * a.head_dim
    return goes_on(
        a,
        lambda: bench_needs(timed, a.length, a.repeats, size(a.comm)),
        bound=100.0 * array,
        disk=0.0,
        outputs=[],
        remedy="use a smaller --length, --heads or --head-dim",
        about={"tokens": a.length},
    )


def _timings(a: argparse.Namespace) -> list[dict[str, Any]]:
    """Time attention on one process, or each way of spreading it over the ranks of the launcher."""
    rng = np.random.default_rng(a.seed)
    arrays = [rng.standard_normal((a.heads, a.length, a.head_dim)).astype(a.dtype) for _ in range(4)]
    causal, spread = not a.full, size(a.comm) > 1
    layout: Layout = "zigzag" if spread and causal else "contiguous"  # which shares the work of causal attention evenly
    q, k, v, dout = (shard(x, a.comm, -2, layout) for x in arrays)
    found = []
    for method in ("ring", "rsa", "ulysses") if spread else ("ring",):
        options = {"causal": causal, "method": method, "layout": layout, "comm": a.comm}
        forward = partial(softmax_attention.forward, q, k, v, **options)
        found.append(_timing(f"softmax {method}" if spread else "softmax", a, forward, softmax_attention.vjp, dout))
    if causal and a.dtype != "float16":
        decay = (2.0 ** -np.arange(1, a.heads + 1)).astype(a.dtype)
        q, k, v, dout = (shard(x, a.comm, -2) for x in arrays)
        for method in ("gather", "ring") if spread else ("gather",):
            forward = partial(lightning_attention.forward, q, k, v, decay, method=method, comm=a.comm)
            name = f"lightning {method}" if spread else "lightning"
            found.append(_timing(name, a, forward, lightning_attention.vjp, dout))
    return found


def _timing(
    name: str, a: argparse.Namespace, forward: Callable[[], Any], backward: Callable[..., Any], dout: np.ndarray
) -> dict[str, Any]:
    _, residuals = forward()
    backward((dout, None), residuals)
    seconds = np.array([_fastest(a, forward), _fastest(a, lambda: backward((dout, None), residuals))])
    slowest = allreduce_max(seconds, a.comm)
    return {"method": name, "forward_seconds": float(slowest[0]), "backward_seconds": float(slowest[1])}


def _fastest(a: argparse.Namespace, action: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(a.repeats):
        with agreed(a.comm, "a run"):  # all ranks begin together
            pass
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _methods(a: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for method in ("ring", "rsa", "ulysses"):
        ahead, back = (
            attention_cost(
                a.length, a.heads, a.head_dim, a.ranks, method=method, causal=not a.full, dtype=a.dtype, backward=b
            )
            for b in (False, True)
        )
        rows.append(
            {
                "method": method,
                "forward_bytes": ahead.bytes_sent,
                "backward_bytes": back.bytes_sent,
                "memory_bytes": back.memory,
                "flops": ahead.flops + back.flops,
            }
        )
    return rows


def _table(a: argparse.Namespace, report: dict[str, Any]) -> list[tuple[str, str]]:
    kind = "causal" if report["causal"] else "full"
    where = f", on {report['timed_on']} ranks, the slowest counts" if report["timed_on"] > 1 else ""
    rows = [("sequence", f"{a.length:,} tokens, {a.heads} heads of {a.head_dim}, {a.dtype}, {kind}{where}")]
    for timing in report["timings"]:
        seconds = (timing["forward_seconds"], timing["backward_seconds"])
        rows.append((timing["method"], f"forward {seconds[0]:.4f} s, gradients {seconds[1]:.4f} s"))
    rows.append(("ranks", f"{a.ranks}; each sends, holds at most, and computes, with gradients:"))
    for m in report["methods"]:
        sent = (m["forward_bytes"] + m["backward_bytes"]) / 1e6
        text = f"{sent:.2f} MB; {m['memory_bytes'] / 1e6:.1f} MB; {m['flops'] / 1e9:.1f} Gflop"
        rows.append((m["method"], text))
    return rows
