"""Planes of a bias, and weights that dropout keeps whatever the tiles are."""

from __future__ import annotations

import numpy as np
import pytest

from sci.sequence.tiles.rules import Planes, Rules


@pytest.mark.parametrize("shape", [(3, 6, 9), (1, 6, 9), (3, 1, 9), (1, 6, 1), (1, 1, 1)])
def test_planes_broadcast_and_gather_their_gradient(shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    plane = np.zeros(3, np.int64) if shape[0] == 1 else np.array([2, 0, 1])
    whole = np.broadcast_to(array[plane], (3, 6, 9))
    for keys in (np.arange(2, 7), np.arange(1, 9, 3), np.array([0, 1, 7, 8])):
        part = Planes(array, plane).of_keys(keys)
        block = part.block(slice(1, 4), slice(0, keys.size))
        np.testing.assert_array_equal(np.broadcast_to(block, (3, 3, keys.size)), whole[:, 1:4][:, :, keys])
        flat, (of_row, of_key) = part.array.reshape(-1), part.strides
        at = part.origins[:, None, None] + of_row * np.arange(6)[:, None] + of_key * np.arange(keys.size)
        np.testing.assert_array_equal(flat[at], whole[:, :, keys])
        total = np.zeros_like(part.array)
        part.add(total, np.ones((3, 6, keys.size)), slice(0, 6), slice(0, keys.size))
        assert total.sum() == 3 * 6 * keys.size
        assert part.is_shared == (shape[0] == 1)


def test_kept_weights_do_not_depend_on_tiles() -> None:
    n, m = 7, 19
    rules = Rules(np.arange(2), np.arange(n)[None], np.arange(n), np.arange(m), rate=0.25, seed=3)
    whole = rules.kept(slice(0, n), slice(0, m), np)
    assert set(np.unique(whole)) == {0.0, 1 / 0.75}
    np.testing.assert_array_equal(rules.kept(slice(2, 5), slice(3, 14), np), whole[:, 2:5, 3:14])
    many = Rules(np.arange(4), np.arange(64)[None], np.arange(64), np.arange(256), rate=0.25, seed=4)
    share = (many.kept(slice(0, 64), slice(0, 256), np) == 0).mean()
    assert abs(share - 0.25) < 5 * (0.25 * 0.75 / 65536) ** 0.5
    assert not np.array_equal(
        whole,
        Rules(np.arange(2, 4), rules.places, rules.queries, rules.keys, rate=0.25, seed=3).kept(
            slice(0, n), slice(0, m), np
        ),
    )
    assert Rules(np.arange(2), rules.places, rules.queries, rules.keys).is_idle
