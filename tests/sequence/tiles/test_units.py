"""Attention of 16 bits by matrix units, on the stand-in for CuPy: what takes it, and the answers beside float64."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest

from sci.backend import to_device, to_host
from sci.sequence import softmax_attention
from sci.sequence.tiles import units
from sci.sequence.tiles.units import fits_units


@pytest.fixture
def cupy(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def _dtype(name: str) -> np.dtype:
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("width", [64, 128])
def test_documents_windows_sinks_and_grouped_heads(cupy, name, width, monkeypatch):
    asked, rng, dtype = [], np.random.default_rng(0), _dtype(name)
    monkeypatch.setattr(
        units, "launch", lambda kernel, *rest, run=units.launch: (asked.append(kernel), run(kernel, *rest))
    )
    shapes = ((2, 4, 50, width), (2, 2, 50, width), (2, 2, 50, width), (2, 4, 50, width))
    q, k, v, dout = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    kinds = (
        {"causal": True, "window": (20, 0), "sink_tokens": 3, "cap": 2.0},
        {"causal": True, "segments": np.repeat([0, 1, 2], (10, 33, 7))},
        {"sink_logits": np.ones(4, dtype)},
    )
    for options in kinds:
        given = dict(options)
        sinks = given.pop("sink_logits", None)
        wide = [a.astype(float) for a in (q, k, v)] + [None, sinks if sinks is None else sinks.astype(float)]
        (out, lse), residuals = softmax_attention.forward(*wide, **given)
        expected = softmax_attention.vjp((dout.astype(float), None), residuals)
        there = [to_device(a, cupy) for a in (q, k, v)] + [None, None if sinks is None else to_device(sinks, cupy)]
        (found, found_lse), residuals = softmax_attention.forward(*there, **given)
        gradients = softmax_attention.vjp((to_device(dout, cupy), None), residuals)
        assert (found.dtype, found_lse.dtype) == (dtype, np.float32)
        np.testing.assert_allclose(to_host(found_lse), lse, rtol=0, atol=1e-4)
        last = 8 * 2.0 ** (-8 if name == "bfloat16" else -11)
        for a, b in zip((found, *gradients[:3]), (out, *expected[:3])):
            assert np.abs(to_host(a).astype(float) - b).max() < last * np.abs(b).max()
    assert {kernel.template for kernel in asked} == {
        f"attention_units_{part}" for part in ("forward", "keys", "queries")
    }


def test_what_the_units_take(cupy, monkeypatch):
    def fields(width: int, dtype: str) -> tuple:
        return cupy.ones((2, 5, width), np.dtype(dtype)), cupy.ones((2, 5, width), np.dtype(dtype))

    assert fits_units(*fields(64, "f2"))
    assert not fits_units(*fields(64, "f4"))
    assert not fits_units(*fields(80, "f2"))
    assert not fits_units(*(a.get() for a in fields(64, "f2")))
    monkeypatch.setattr(units, "_capability", lambda *_: 75)
    assert not fits_units(*fields(64, "f2"))


def test_a_precision_that_is_given_keeps_weights_in_it(cupy, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("16 bits were multiplied")

    monkeypatch.setattr(units, "launch", refuse)
    q = cupy.ones((1, 4, 64), np.float16)
    out, _ = softmax_attention(q, q, q, precision="float32")
    assert out.dtype == np.float16
    with pytest.raises(AssertionError, match="16 bits"):
        softmax_attention(q, q, q)
