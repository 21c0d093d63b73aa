"""Pieces of fields cover them once; the layers on a piece are those of sci.nn."""

from __future__ import annotations

import numpy as np
import pytest

from sci.nn import Tape, channel_scale, gelu, pointwise_conv
from sci.operators.fno import tiles as module
from sci.operators.fno.tiles import perceptron_tile, perceptron_tile_vjp, skip, skip_vjp, tiles

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 2, 5), (7, 1, 3), (2, 3, 40), (9, 1, 16)])
def test_tiles_cover_a_field_once(monkeypatch, shape):
    monkeypatch.setattr(module, "TILE_POINTS", 16)
    count = np.zeros(shape, int)
    for tile in tiles(count):
        count[tile] += 1
        assert count[tile].shape[0] * count[tile].shape[2] <= 16
    assert (count == 1).all()


def test_a_perceptron_on_a_tile_is_its_layers():
    x, w0, b0, w1, b1 = (RNG.normal(size=s) for s in ((2, 3, 5), (4, 3), (4,), (2, 4), (2,)))
    expected = pointwise_conv(gelu(pointwise_conv(x, w0, b0)), w1, b1)
    np.testing.assert_array_equal(perceptron_tile(x, w0, b0, w1, b1), expected)
    dout, sums = RNG.normal(size=expected.shape), [np.zeros_like(a) for a in (w0, b0, w1, b1)]
    dx = perceptron_tile_vjp(x, dout, (w0, b0, w1), sums)
    tape = Tape()
    variables = tape.watch(dict(zip("xabcd", (x, w0, b0, w1, b1))))
    x_, *rest = variables.values()
    pointwise_conv(gelu(pointwise_conv(x_, rest[0], rest[1])), rest[2], rest[3]).backward(dout)
    for found, variable in zip((dx, *sums), variables.values()):
        np.testing.assert_allclose(found, variable.gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "shape"), [("linear", (3, 3)), ("soft-gating", (3,)), ("identity", None)])
def test_skips_and_their_gradients(kind, shape):
    x, dout = RNG.normal(size=(2, 2, 3, 5))
    weight = None if shape is None else RNG.normal(size=shape)
    layer = {"linear": pointwise_conv, "soft-gating": channel_scale}.get(kind)
    total = None if weight is None else np.zeros_like(weight)
    dx = skip_vjp(x, dout, kind, weight, total)
    if layer is None:
        assert skip(x, kind, weight) is x
        assert dx is dout
        return
    out, residuals = layer.forward(x, weight)
    np.testing.assert_array_equal(skip(x, kind, weight), out)
    for found, expected in zip((dx, total), layer.vjp(dout, residuals)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    assert skip_vjp(x, dout, None, None, None) is None
