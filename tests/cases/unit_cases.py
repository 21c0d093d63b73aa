"""Cases of the kernels of attention by matrix units, whose fragments the host runs entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sci.sequence.tiles.reference import add_gradients_reference, attend_reference
from sci.sequence.tiles.rules import Rules
from sci.sequence.tiles.seen import Seen
from sci.sequence.tiles.units import add_gradients_by_units, attend_by_units

Pair = tuple[np.ndarray, np.ndarray]
SHAPES = ((1, 1, 1, 1), (2, 1, 33, 70), (4, 2, 70, 65))
"""Heads of queries and of keys, and lengths."""


def _narrow(array: np.ndarray, brain: int) -> np.ndarray:
    import ml_dtypes

    return array.astype(ml_dtypes.bfloat16 if brain else np.float16)


def _problems(rng: np.random.Generator, brain: int, width: int) -> Iterator[tuple]:
    for heads, own, n, m in SHAPES:
        shapes = ((heads, n, width), (own, m, width), (own, m, width), (heads, n, width))
        arrays = [_narrow(rng.normal(size=shape), brain) for shape in shapes]
        low, keys = rng.integers(-5, m // 2 + 1, n), np.arange(m)
        some = Seen.of(low, low + rng.integers(-3, m + 1, n), keys, np.zeros(own))
        for seen in (some, Seen.of(np.zeros(n, np.int64), np.arange(n) + m - n, keys, np.zeros(own))):
            yield arrays, seen, width**-0.5, 0.0 if seen is some else 1.5


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def _capped(cap: float, n: int, m: int, heads: int) -> Rules | None:
    return None if not cap else Rules(np.arange(heads), np.zeros((1, n), np.int64), np.arange(n), np.arange(m), cap)


def _near(found: np.ndarray, expected: np.ndarray, brain: int) -> Pair:
    """Weights are rounded to 8 or 11 bits: results differ by a few of their last places."""
    error = np.abs(found - expected) / np.abs(expected).max(initial=1.0)
    return np.maximum(error, 8 * 2.0 ** (-8 if brain else -11)), np.full(error.shape, 8 * 2.0 ** (-8 if brain else -11))


def forward(rng: np.random.Generator, dtype: str, brain: int, width: int) -> Iterator[Pair]:
    """Two parts of the keys, one after the other."""
    for (q, k, v, _), seen, scale, cap in _problems(rng, brain, width):
        results = []
        for units in (True, False):
            out, lse = np.zeros(q.shape, np.float32), np.full(q.shape[:2], -np.inf, np.float32)
            cut, n, m = k.shape[1] // 3, q.shape[1], k.shape[1]
            for part in (slice(0, cut), slice(cut, m)):
                if part.start == part.stop:
                    continue
                near, values, own = k[:, part].copy(), v[:, part].copy(), seen.block(slice(0, n), part)
                if units:
                    attend_by_units(q, near, values, own, out, lse, scale, cap)
                else:
                    rules = _capped(cap, n, part.stop - part.start, len(q))
                    attend_reference(*map(_wide, (q, near, values)), own, out, lse, scale, rules)
            results.append((out, lse))
        assert np.array_equal(*(np.isneginf(lse) for _, lse in results))
        yield _near(results[0][0], results[1][0], brain)
        found, expected = (np.where(np.isneginf(lse), 7.0, lse) for _, lse in results)
        yield found / 100, expected / 100  # sums are of float: to 1e-4


def backward(rng: np.random.Generator, dtype: str, brain: int, width: int) -> Iterator[Pair]:
    """Gradients added to what is there; small ones do not vanish."""
    for index, ((q, k, v, dout), seen, scale, cap) in enumerate(_problems(rng, brain, width)):
        size = np.float32(1e-6 if index % 2 else 1.0)
        wide = [_wide(a) for a in (q, k, v)]
        out, lse = np.zeros(q.shape, np.float32), np.full(q.shape[:2], -np.inf, np.float32)
        rules = _capped(cap, q.shape[1], k.shape[1], len(q))
        attend_reference(*wide, seen, out, lse, scale, rules)
        grad = _wide(dout) * size
        shared = (grad, np.where(np.isneginf(lse), np.float32(1e30), lse), (grad * out).sum(axis=2), seen)
        found, expected = ([size * np.ones(a.shape, np.float32) for a in (q, k, v)] for _ in range(2))
        add_gradients_by_units(q, k, v, *shared, *found, scale, cap)
        add_gradients_reference((*wide, *shared[:3]), seen, expected, scale, rules, None)
        for a, b in zip(found, expected):
            yield _near(a / size, b / size, brain)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "attention_units_forward": forward,
    "attention_units_keys": backward,
    "attention_units_queries": backward,
}
