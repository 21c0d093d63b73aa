"""The kernels of a GPU run on the host from their source: tiles that are seen, hidden, cut and skipped."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import attention_arrays, dense, dense_vjp, seen_by

from sci.sequence.attention.device_tiles import add_gradients_on_device, attend_on_device


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (65, 5), (130, 70)])
def test_tiles_give_the_dense_sum_and_its_gradients(n: int, d: int, causal: bool) -> None:
    q, k, v, dout = attention_arrays(n, d=d)
    positions, scale = np.arange(n), d**-0.5
    low, high = np.zeros(n, np.int64), positions if causal else np.full(n, n)
    out, lse, cut = np.zeros_like(q), np.full((2, n), -np.inf), n // 3
    for part in (slice(0, cut), slice(cut, n)):
        if part.start < part.stop:
            keys, values = (np.ascontiguousarray(a[:, part]) for a in (k, v))
            attend_on_device(scale * q, keys, values, low, high, positions[part], out, lse)
    seen = seen_by(n, causal, None)
    expected = dense(q, k, v, scale, seen)
    np.testing.assert_allclose(out, expected[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(lse, expected[1], rtol=0, atol=1e-13)
    delta, found = (dout * out).sum(axis=2), [np.zeros_like(a) for a in (q, k, v)]
    add_gradients_on_device(scale * q, k, v, dout, lse, delta, low, high, positions, *found)
    found[0] *= scale
    for gradient, want in zip(found, dense_vjp(q, k, v, scale, seen, dout, np.zeros((2, n)))):
        np.testing.assert_allclose(gradient, want, rtol=0, atol=1e-12 * max(1.0, np.abs(want).max()))
