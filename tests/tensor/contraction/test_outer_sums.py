"""Sums of several outer products, on the stand-in for CuPy."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np

from sci.backend import to_host
from sci.tensor.contraction.outer_sums import outer_sums


def test_three_products_take_two_launches(monkeypatch):
    cupy = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    rng = np.random.default_rng(0)
    host = [tuple(rng.normal(size=(2, c, 700)) for c in side) for side in ((5, 40), (4, 3), (33, 2))]
    with fake_cupy.counting() as asked:
        pairs = [tuple(map(cupy.asarray, pair)) for pair in host]
        asked.clear()
        found = outer_sums(pairs, diagonal=True)
        assert asked == {"launches": 2}
    for k, (a, b) in enumerate(host):
        np.testing.assert_allclose(to_host(found[2 * k]), np.einsum("smp,snp->mn", a, b), rtol=0, atol=1e-11)
        np.testing.assert_allclose(to_host(found[2 * k + 1]), a.sum(axis=(0, 2)), rtol=0, atol=1e-11)
    np.testing.assert_allclose(to_host(found[6]), (host[1][0] * host[0][1][:, :4]).sum(axis=(0, 2)), rtol=0, atol=1e-11)
