"""Seeded inputs for the reductions over pairs: whole and partial blocks and groups, ties, coincident points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

import sci
from sci.backend import to_device, to_host
from sci.kernels import block_size
from sci.linalg import log_sum_exp, nearest, nearest_k, steepest, weighted_sum

Pair = tuple[np.ndarray, np.ndarray]
BLOCK = block_size(np.empty(0))
SHAPES = ((1, 1, 1), (BLOCK, 8, 3), (2 * BLOCK + 5, 21, 30), (3, 50, 2), (5 * BLOCK, 2 * BLOCK + 1, 4))


def points(rng: np.random.Generator, n: int, m: int, d: int, dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points x (n, d) and y (m, d) on a lattice, so that distances tie and points coincide, and heights (m,)."""
    x, y = (rng.integers(-2, 3, size=(k, d)).astype(dtype) / 2 for k in (n, m))
    heights = rng.normal(size=m).astype(dtype)
    heights[1::5] = -np.inf
    return x, y, heights


def _both(run: Callable[[], Any]) -> Iterator[Pair]:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        expected = run()
    for one, other in zip(found, expected, strict=True):
        yield np.nan_to_num(one, posinf=1e4), np.nan_to_num(other, posinf=1e4)


def _cases(run: Callable[..., Any]) -> Callable[..., Iterator[Pair]]:
    def pairs(rng: np.random.Generator, dtype: str, *arguments: int) -> Iterator[Pair]:
        for n, m, d in SHAPES:
            x, y, heights = points(rng, n, m, d, dtype)
            yield from _both(lambda x=x, y=y, h=heights: run(x, y, h, *arguments))

    return pairs


def _weighted(x: Any, y: Any, h: Any) -> tuple[Any, ...]:
    values = y[:, :1] * np.arange(1, 7, dtype=y.dtype)
    return (weighted_sum(x, y, values, h, 2.0, log_sum_exp(x, y, h, 2.0)),)


def _among(y: Any) -> tuple[Any, ...]:
    """Half of the others as neighbors of every point."""
    return nearest_k(y, len(y) // 2) if len(y) > 1 else ()


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "nearest": _cases(lambda x, y, h: nearest(x, y)),
    "nearest_k": _cases(lambda x, y, h: (*nearest_k(x, min(5, len(y)), y), *_among(y))),
    "log_sum_exp": _cases(lambda x, y, h: (log_sum_exp(x, y, h, 2.0),)),
    "weighted_sum": _cases(_weighted),
    "steepest": _cases(lambda x, y, h, classes: steepest(y, np.round(h.clip(-1)), classes=bool(classes))),
}


def on_device(xp: ModuleType) -> list[np.ndarray]:
    """Every reduction on arrays of a namespace."""
    x, y, h = (to_device(a, xp) for a in points(np.random.default_rng(3), 70, 41, 3, np.float64))
    values = xp.ascontiguousarray(y[:, :2])
    soft = log_sum_exp(x, y, h, 1.5)
    labels = to_device(np.arange(41.0) % 3, xp)
    results = [*nearest(x, y), *nearest_k(x, 4), soft, weighted_sum(x, y, values, h, 1.5, soft), *steepest(y, labels)]
    return [np.nan_to_num(to_host(a), posinf=1e4) for a in results]
