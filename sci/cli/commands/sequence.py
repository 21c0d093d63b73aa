"""`sci sequence bench`: what attention costs on this machine, and what it would send and hold on many ranks."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.cli.common import chosen_namespace
from sci.cli.outcome import computing, tell
from sci.errors import InvalidValueError
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
    sizes = {"--length": a.length, "--heads": a.heads, "--head-dim": a.head_dim, "--ranks": a.ranks}
    for name, value in {**sizes, "--repeats": a.repeats}.items():
        if value < 1:
            raise InvalidValueError(f"{name} {value}: expected a positive number")
    with computing():
        timings = _timings(a)
    report = {"tokens": a.length, "heads": a.heads, "head_dim": a.head_dim, "dtype": a.dtype, "causal": not a.full}
    report |= {"timings": timings, "ranks": a.ranks, "methods": _methods(a)}
    tell(a, report, _table(a, report))


def _timings(a: argparse.Namespace) -> list[dict[str, Any]]:
    rng = np.random.default_rng(a.seed)
    q, k, v, dout = (rng.standard_normal((a.heads, a.length, a.head_dim)).astype(a.dtype) for _ in range(4))
    found = [
        _timing(
            "softmax", a, lambda: softmax_attention.forward(q, k, v, causal=not a.full), softmax_attention.vjp, dout
        )
    ]
    if not a.full and a.dtype != "float16":
        decay = (2.0 ** -np.arange(1, a.heads + 1)).astype(a.dtype)
        forward = lambda: lightning_attention.forward(q, k, v, decay)  # noqa: E731
        found.append(_timing("lightning", a, forward, lightning_attention.vjp, dout))
    return found


def _timing(
    name: str, a: argparse.Namespace, forward: Callable[[], Any], backward: Callable[..., Any], dout: np.ndarray
) -> dict[str, Any]:
    _, residuals = forward()
    backward((dout, None), residuals)
    return {
        "method": name,
        "forward_seconds": _fastest(a.repeats, forward),
        "backward_seconds": _fastest(a.repeats, lambda: backward((dout, None), residuals)),
    }


def _fastest(repeats: int, action: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(repeats):
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
    rows = [("sequence", f"{a.length:,} tokens, {a.heads} heads of {a.head_dim}, {a.dtype}, {kind}")]
    for timing in report["timings"]:
        seconds = (timing["forward_seconds"], timing["backward_seconds"])
        rows.append((timing["method"], f"forward {seconds[0]:.4f} s, gradients {seconds[1]:.4f} s"))
    rows.append(("ranks", f"{a.ranks}; each sends, holds at most, and computes, with gradients:"))
    for m in report["methods"]:
        sent = (m["forward_bytes"] + m["backward_bytes"]) / 1e6
        text = f"{sent:.2f} MB; {m['memory_bytes'] / 1e6:.1f} MB; {m['flops'] / 1e9:.1f} Gflop"
        rows.append((m["method"], text))
    return rows
