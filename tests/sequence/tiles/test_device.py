"""The kernels of a GPU run on the host from their source: tiles that are seen, hidden, cut and skipped."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import attention_arrays, dense, dense_vjp, seen_by

from sci.sequence.tiles.device import add_gradients_on_device, attend_on_device
from sci.sequence.tiles.seen import Seen


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n", "d", "width", "group"), [(1, 1, 1, 1), (65, 5, 70, 2), (130, 70, 70, 1)])
def test_tiles_give_the_dense_sum_and_its_gradients(n: int, d: int, width: int, group: int, causal: bool) -> None:
    q, k, _, _ = attention_arrays(n, heads=2 * group, d=d)
    v, dout = attention_arrays(n, heads=2 * group, d=width, count=2)
    k, v = (a[::group].copy() for a in (k, v))
    positions, scale = np.arange(n), d**-0.5
    low, high = np.zeros(n, np.int64), positions if causal else np.full(n, n)
    out, lse, cut = np.zeros_like(dout), np.full((2 * group, n), -np.inf), n // 3
    for part in (slice(0, cut), slice(cut, n)):
        if part.start < part.stop:
            keys, values = (np.ascontiguousarray(a[:, part]) for a in (k, v))
            attend_on_device(q, keys, values, Seen.of(low, high, positions[part], np.zeros(2)), out, lse, scale)
    table = seen_by(n, causal, None)
    expected = dense(q, *(np.repeat(a, group, axis=0) for a in (k, v)), scale, table)
    np.testing.assert_allclose(out, expected[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(lse, expected[1], rtol=0, atol=1e-13)
    delta, found = (dout * out).sum(axis=2), [np.zeros_like(a) for a in (q, k, v)]
    seen = Seen.of(low, high, positions, np.zeros(2))
    add_gradients_on_device(q, k, v, dout, lse, delta, seen, *found, scale)
    repeated = (np.repeat(a, group, axis=0) for a in (k, v))
    dq, *others = dense_vjp(q, *repeated, scale, table, dout, np.zeros((2 * group, n)))
    wanted = (dq, *(a.reshape(2, group, *a.shape[1:]).sum(axis=1) for a in others))
    for gradient, want in zip(found, wanted):
        np.testing.assert_allclose(gradient, want, rtol=0, atol=1e-12 * max(1.0, np.abs(want).max()))
