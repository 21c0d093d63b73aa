"""Linformer attention against the dense sum of projected keys."""

from __future__ import annotations

import numpy as np
import pytest
from attention_oracle import attention_arrays, dense
from gradients import assert_vjp

from sci.errors import InvalidValueError
from sci.nn import Tape
from sci.sequence import (
    linformer_attention,
)


@pytest.mark.parametrize(
    ("dtype", "precision", "rounding"), [("f2", None, 6e-4), ("f4", None, 5e-6), ("f4", "float64", 1e-7)]
)
def test_linformer_sums_in_wider_numbers(dtype: str, precision: str | None, rounding: float) -> None:
    """Sums over 3,000 tokens, with gradients, against float64."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 3000, 4)).astype(dtype) for _ in range(3)]
    arrays += [rng.uniform(0, 1e-3, (5, 3000)).astype(dtype) for _ in range(2)]
    dout = rng.normal(size=(2, 3000, 4)).astype(dtype)
    results = []
    for inputs, option in ((arrays, precision), ([a.astype("f8") for a in arrays], None)):
        out, residuals = linformer_attention.forward(*inputs, precision=option)
        results.append((out, *linformer_attention.vjp(dout, residuals)))
    for found, want in zip(*results):
        assert found.dtype == np.dtype(dtype)
        assert np.abs(found - want).max() <= rounding * np.abs(want).max()
    if dtype == "f2":
        with pytest.raises(InvalidValueError, match="exceeds the range of float16"):
            linformer_attention(*(1e4 * a for a in arrays[:3]), *(1e3 * a for a in arrays[3:]))


def test_linformer() -> None:
    q, k, v, _ = attention_arrays(12)
    e, f = np.random.default_rng(3).normal(size=(2, 4, 12))
    expected = dense(q, e @ k, f @ v, 5**-0.5, np.ones((12, 4), bool))[0]
    np.testing.assert_allclose(linformer_attention(q, k, v, e, f), expected, rtol=1e-12)
    assert_vjp(linformer_attention, [q, k, v, e, f], scale=0.7)
    variable = Tape().watch(e)
    out = linformer_attention(q, k, v, variable, f)
    out.backward(np.ones_like(q))
    assert variable.gradient.shape == e.shape
