"""Seeded inputs for the kernels of softmax attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.backend import Array
from sci.sequence.tiles.attend import add_gradients, attend
from sci.sequence.tiles.device import add_gradients_on_device, attend_on_device
from sci.sequence.tiles.reference import add_gradients_reference, attend_reference
from sci.sequence.tiles.rules import Planes, Rules
from sci.sequence.tiles.seen import Seen

Pair = tuple[np.ndarray, np.ndarray]
SHAPES = (
    (1, 1, 1, 1, 1, 1),
    (2, 2, 50, 70, 64, 64),
    (3, 1, 60, 49, 40, 17),
    (2, 2, 16, 48, 17, 70),
    (1, 1, 7, 150, 256, 256),
    (2, 2, 0, 5, 8, 8),
    (2, 2, 5, 0, 8, 8),
)
WIDE = (2, 1, 20, 33, 300, 576)
"""Heads of queries and of keys, lengths, widths of keys and of values; wide ones in double precision."""


def _both(run: Callable[[], list[np.ndarray]]) -> Iterator[Pair]:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        expected = run()
    for a, b in zip(found, expected):
        assert np.array_equal(np.isneginf(a), np.isneginf(b))
        yield tuple(np.where(np.isneginf(x), 0, x) for x in (a, b))


def _rules(rng: np.random.Generator, dtype: str, heads: int, n: int, m: int) -> Rules:
    """Everything that can be done with a score."""
    plane = np.arange(heads) % 2
    at = np.arange(n)
    return Rules(
        np.arange(heads) + 3,
        (at + m - n)[None],
        at,
        np.arange(m) + (m % 2),
        1.5,
        rng.uniform(0, 0.1, heads).astype(dtype),
        Planes(rng.normal(size=(2, n, m + 3)).astype(dtype), plane, 2, 1),
        Planes(rng.random((2, 1, m)) < 0.8, plane),
        rng.integers(0, 2, (1, n)),
        rng.integers(0, 2, (1, m)),
        0.3,
        2**33 + 7,
    )


def _problems(rng: np.random.Generator, dtype: str, ruled: bool = True) -> Iterator[tuple]:
    """Queries that see anything, some nothing; causal attention; to all; all rules. Scores large and small."""
    for heads, own, n, m, d, e in (*SHAPES, *[WIDE][: dtype == "f8"]):
        shapes = ((heads, n, d), (own, m, d), (own, m, e), (heads, n, e))
        q, k, v, dout = (rng.normal(size=shape).astype(dtype) for shape in shapes)
        low, keys = rng.integers(-5, m // 2 + 1, n), np.arange(m)
        seen = (
            Seen.of(low, low + rng.integers(-3, m + 1, n), keys, np.zeros(own)),
            Seen.of(np.zeros(n, np.int64), np.arange(n) + m - n, keys, np.zeros(own)),
            Seen.everything(n, m, own),
        )
        # The error of a weight is that of its score, so single precision gets small scores.
        for one, size in zip(seen, (1.0, 0.5 if dtype == "f4" else 30.0, 1e-3)):
            yield q, k, v, dout, one, size / d**0.5, None
        if ruled:
            yield q, k, v, dout, seen[1], d**-0.5, _rules(rng, dtype, heads, n, m)


def _blank(q: Array, v: Array) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((*q.shape[:2], v.shape[2]), q.dtype), np.full(q.shape[:2], -np.inf, q.dtype)


def _parts(k: Array, v: Array, seen: Seen) -> Iterator[tuple[Array, Array, Seen]]:
    cut, n, m = k.shape[1] // 3, seen.start.shape[1], k.shape[1]
    for part in (slice(0, cut), slice(cut, m)):
        yield k[:, part].copy(), v[:, part].copy(), seen.block(slice(0, n), part)


def forward(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Two parts of the keys, one after the other; with rules all at once."""
    for q, k, v, _, seen, scale, rules in _problems(rng, dtype):

        def run(q=q, k=k, v=v, seen=seen, scale=scale, rules=rules) -> list[np.ndarray]:
            out, lse = _blank(q, v)
            for part in _parts(k, v, seen) if rules is None else [(k, v, seen)]:
                attend(q, *part, out, lse, scale=scale, rules=rules)
            return [out, lse]

        yield from _both(run)


def backward(rng: np.random.Generator, dtype: str, threads: int) -> Iterator[Pair]:
    """Gradients added to what is there; with many threads the sweep is not fused, unless there is a bias."""
    for q, k, v, dout, seen, scale, rules in _problems(rng, dtype):
        out, lse = _blank(q, v)
        attend(q, k, v, seen, out, lse, scale=scale, rules=rules)
        delta, lse = (dout * out).sum(axis=2), np.where(np.isneginf(lse), q.dtype.type(1e30), lse)
        start = [rng.normal(size=a.shape).astype(dtype) for a in (q, k, v)]
        wanted = rules is not None and threads == 1
        if wanted:
            start.append(rng.normal(size=rules.bias.array.shape).astype(dtype))

        def run(
            given=(q, k, v, dout, lse, delta, seen), scale=scale, rules=rules, start=start, wanted=wanted
        ) -> list[np.ndarray]:
            gradients = [a.copy() for a in start]
            with sci.options(threads=threads):
                dbias = gradients[3] if wanted else None
                add_gradients(*given, *gradients[:3], scale=scale, rules=rules, dbias=dbias)
            return gradients

        yield from _both(run)


def tiles_forward(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """What a device runs, on the host: two parts of the keys."""
    for q, k, v, _, seen, scale, _ in _problems(rng, dtype, ruled=False):
        results = []
        for on_device in (True, False):
            out, lse = _blank(q, v)
            for near, values, part in _parts(k, v, seen):
                if on_device and 0 not in (*q.shape, *near.shape):
                    attend_on_device(q, near, values, part, out, lse, scale)
                elif not on_device:
                    attend_reference(q, near, values, part, out, lse, scale, None)
            assert not np.isposinf(lse).any()
            results.append((out, np.where(np.isneginf(lse), 7.0, lse)))
        yield from zip(*results)


def tiles_backward(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for q, k, v, dout, seen, scale, _ in _problems(rng, dtype, ruled=False):
        if 0 in (*q.shape, *k.shape):
            continue
        out, lse = _blank(q, v)
        attend_reference(q, k, v, seen, out, lse, scale, None)
        given = (q, k, v, dout, np.where(np.isneginf(lse), q.dtype.type(1e30), lse), (dout * out).sum(axis=2))
        found, expected = (tuple(np.ones_like(a) for a in (q, k, v)) for _ in range(2))
        add_gradients_on_device(*given, seen, *found, scale)
        add_gradients_reference(given, seen, expected, scale, None, None)
        yield from zip(found, expected)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "attention_forward": forward,
    "attention_backward_keys": lambda rng, dtype: backward(rng, dtype, 1),
    "attention_tiles_forward": tiles_forward,
    "attention_tiles_keys": tiles_backward,
    "attention_tiles_queries": tiles_backward,
    "attention_backward_queries": lambda rng, dtype: backward(rng, dtype, 8),
}
