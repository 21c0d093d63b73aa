"""Ranges of keys: from positions, cut into blocks, and back from keys to queries."""

from __future__ import annotations

import numpy as np
import pytest

from sci.sequence.tiles.seen import Seen


def tables(seen: Seen, m: int) -> np.ndarray:
    at = np.arange(m)
    return (seen.start[:, :, None] <= at) & (at < seen.stop[:, :, None])


@pytest.mark.parametrize("seed", range(4))
def test_blocks_and_queries_of_keys_cover_what_is_seen(seed: int) -> None:
    rng, n, m = np.random.default_rng(seed), 23, 17
    positions = np.sort(rng.choice(60, m, replace=False))
    low = rng.integers(-5, 60, (2, n))
    high = low + rng.integers(-3, 30, (2, n))
    seen = Seen.of(low, high, positions, np.array([0, 1, 1]))
    whole = tables(seen, m)
    np.testing.assert_array_equal(whole, (low[:, :, None] <= positions) & (positions <= high[:, :, None]))
    first, last = seen.queries_of(m)
    at = np.arange(n)[None, :, None]
    assert not (whole & ~((first[:, None] <= at) & (at < last[:, None]))).any()
    covered = np.zeros_like(whole)
    for rows, keys in seen.blocks(m, 5, 4):
        table = seen.table(rows, keys)
        part = whole[:, rows, keys]
        np.testing.assert_array_equal(np.ones_like(part) if table is None else table, part)
        np.testing.assert_array_equal(tables(seen.block(rows, keys), keys.stop - keys.start), part)
        covered[:, rows, keys] = True
    assert not (whole & ~covered).any()


def test_bounds_are_tight_where_ranges_increase() -> None:
    at = np.arange(12)
    first, last = Seen.of(at - 3, at, at, np.zeros(1)).queries_of(12)
    np.testing.assert_array_equal(first[0], at)
    np.testing.assert_array_equal(last[0], np.minimum(at + 4, 12))


def test_what_nobody_sees_is_empty() -> None:
    assert Seen.of(np.array([5]), np.array([4]), np.arange(9), np.zeros(1)).is_empty
    assert not Seen.everything(3, 2, 4).is_empty
    assert Seen.everything(3, 2, 4).heads(slice(1, 3)).row_of.shape == (2,)
