"""Sums over entries against a loop, for every number of axes, dense and scattered."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import observe, sums
from sci.completion.sums import EntrySums, products

RNG = np.random.default_rng(5)


def _naive(k, index, weights, tables):
    out = np.zeros_like(tables[k])
    for row, weight in zip(index, weights):
        term = np.full(out.shape[1], weight)
        for j, table in enumerate(tables):
            if j != k:
                term = term * table[row[j]]
        out[row[k]] += term
    return out


@pytest.mark.parametrize(("shape", "n"), [((6, 5), 20), ((4, 5, 7), 60), ((20, 30, 40), 150), ((3, 4, 3, 5, 2, 3), 90)])
@pytest.mark.parametrize("block", [2**21, 12])
def test_sums_are_those_of_a_loop(shape, n, block, monkeypatch) -> None:
    """Also where blocks are small and nothing is kept."""
    monkeypatch.setattr(sums, "_BLOCK", block)
    if block < 100:
        monkeypatch.setattr(sums, "_KEPT", 0)
    index, y = RNG.integers(0, shape, size=(n, len(shape))), RNG.normal(size=n)
    seen = observe(np.concatenate([index, index[:5]]), np.concatenate([y, y[:5]]), shape=shape)
    found, tables = EntrySums(seen), [RNG.normal(size=(extent, 4)) for extent in shape]
    for k in (*range(len(shape)), 0):
        for values, weights in ((False, seen.weights), (True, seen.weights * seen.standardized)):
            want = _naive(k, seen.index, weights, tables)
            np.testing.assert_allclose(found(k, tables, values=values), want, rtol=1e-12, atol=1e-12)
        tables[k] = RNG.normal(size=tables[k].shape)  # what was kept of the old one is of no use now
    np.testing.assert_allclose(found.total_squares, (seen.weights * seen.standardized**2).sum(), rtol=1e-14)


def test_the_split_puts_pairs_that_repeat_on_one_side() -> None:
    """A few sites at many times: one side has the sites, and their matrix is dense."""
    sites = RNG.permutation(300)[:20]
    lat, lon = np.divmod(sites, 20)
    rows = [(lat[s], lon[s], t) for s in range(20) for t in range(50) if RNG.random() < 0.7]
    found = EntrySums(observe(np.array(rows), RNG.normal(size=len(rows)), shape=(15, 20, 50)))
    assert found.sides == ((0, 1), (2,))
    assert repr(found) == "EntrySums(dense (20, 50) of axes (0, 1) by (2,))"


def test_products_leave_the_tables_alone() -> None:
    tables = [np.ones((2, 3)), np.full((2, 3), 2.0)]
    assert products(tables, np.array([[0, 1], [1, 1]])).tolist() == [[2.0] * 3] * 2
    assert tables[0].max() == 1.0
