"""Seeded inputs for the kernels of softmax attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.sequence.attention.device_tiles import add_gradients_on_device, attend_on_device
from sci.sequence.attention.tiles import KeyRange, add_gradients, add_gradients_reference, attend, attend_reference

Pair = tuple[np.ndarray, np.ndarray]
SHAPES = (
    (1, 1, 1, 1),
    (2, 50, 70, 64),
    (3, 130, 49, 40),
    (2, 16, 48, 17),
    (1, 7, 150, 256),
    (2, 0, 5, 8),
    (2, 5, 0, 8),
)


def _both(run: Callable[[], list[np.ndarray]]) -> Iterator[Pair]:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        expected = run()
    for a, b in zip(found, expected):
        assert np.array_equal(np.isneginf(a), np.isneginf(b))
        yield tuple(np.where(np.isneginf(x), 0, x) for x in (a, b))


def _problems(rng: np.random.Generator, dtype: str) -> Iterator[tuple]:
    """Queries that see anything, some nothing; causal attention; attention to all. Scores large and small."""
    for heads, n, m, d in SHAPES:
        q, k, v, dout = (rng.normal(size=(heads, length, d)).astype(dtype) for length in (n, m, m, n))
        low = rng.integers(-5, m // 2 + 1, n)
        ranges = (
            KeyRange(low, low + rng.integers(-3, m + 1, n)),
            KeyRange(np.zeros(n, np.int64), np.arange(n) + m - n),
            KeyRange(np.zeros(n, np.int64), np.full(n, m)),
        )
        # The error of a weight is that of its score, so single precision gets small scores.
        for key_range, size in zip(ranges, (1.0, 0.5 if dtype == "f4" else 30.0, 1e-3)):
            yield (q * q.dtype.type(size / d**0.5)), k, v, dout, key_range, np.arange(m)


def forward(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Two parts of the keys, one after the other."""
    for q, k, v, _, key_range, positions in _problems(rng, dtype):

        def run(q=q, k=k, v=v, key_range=key_range, positions=positions) -> list[np.ndarray]:
            out, lse, cut = np.zeros_like(q), np.full(q.shape[:2], -np.inf, dtype), len(positions) // 3
            for part in (slice(0, cut), slice(cut, None)):
                attend(q, k[:, part].copy(), v[:, part].copy(), key_range, positions[part], out, lse)
            return [out, lse]

        yield from _both(run)


def backward(rng: np.random.Generator, dtype: str, threads: int) -> Iterator[Pair]:
    """Gradients added to what is there; with many threads the sweep is not fused."""
    for q, k, v, dout, key_range, positions in _problems(rng, dtype):
        out, lse = np.zeros_like(q), np.full(q.shape[:2], -np.inf, dtype)
        attend(q, k, v, key_range, positions, out, lse)
        delta, lse = (dout * out).sum(axis=2), np.where(np.isneginf(lse), q.dtype.type(1e30), lse)
        start = [rng.normal(size=a.shape).astype(dtype) for a in (q, k, v)]

        def run(
            given=(q, k, v, dout, lse, delta), key_range=key_range, positions=positions, start=start
        ) -> list[np.ndarray]:
            gradients = [a.copy() for a in start]
            with sci.options(threads=threads):
                add_gradients(*given, key_range, positions, *gradients)
            return gradients

        yield from _both(run)


def tiles_forward(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """What a device runs, on the host: two parts of the keys."""
    for q, k, v, _, key_range, positions in _problems(rng, dtype):
        results, cut = [], len(positions) // 3
        for on_device in (True, False):
            out, lse = np.zeros_like(q), np.full(q.shape[:2], -np.inf, dtype)
            for part in (slice(0, cut), slice(cut, None)):
                given = (q, k[:, part].copy(), v[:, part].copy())
                if on_device and 0 not in (*q.shape, len(positions[part])):
                    attend_on_device(*given, key_range.low, key_range.high, positions[part], out, lse)
                elif not on_device:
                    attend_reference(*given, key_range, positions[part], out, lse)
            assert not np.isposinf(lse).any()
            results.append((out, np.where(np.isneginf(lse), 7.0, lse)))
        yield from zip(*results)


def tiles_backward(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for q, k, v, dout, key_range, positions in _problems(rng, dtype):
        if 0 in (*q.shape, *k.shape):
            continue
        out, lse = np.zeros_like(q), np.full(q.shape[:2], -np.inf, dtype)
        attend_reference(q, k, v, key_range, positions, out, lse)
        given = (q, k, v, dout, np.where(np.isneginf(lse), q.dtype.type(1e30), lse), (dout * out).sum(axis=2))
        found, expected = ([np.ones_like(a) for a in (q, k, v)] for _ in range(2))
        add_gradients_on_device(*given, key_range.low, key_range.high, positions, *found)
        add_gradients_reference(*given, key_range, positions, *expected)
        yield from zip(found, expected)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "attention_forward": forward,
    "attention_backward_keys": lambda rng, dtype: backward(rng, dtype, 1),
    "attention_tiles_forward": tiles_forward,
    "attention_tiles_keys": tiles_backward,
    "attention_tiles_queries": tiles_backward,
    "attention_backward_queries": lambda rng, dtype: backward(rng, dtype, 8),
}
