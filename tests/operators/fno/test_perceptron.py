"""Perceptrons over channels: derivatives over several tiles."""

from __future__ import annotations

import numpy as np
from gradients import assert_vjp

from sci.operators.fno import tiles
from sci.operators.fno.perceptron import channel_mlp


def normal(rng, *shape):
    return rng.normal(size=shape)


def test_gradients_of_a_perceptron(monkeypatch):
    monkeypatch.setattr(tiles, "TILE_POINTS", 16)  # several tiles, the last one shorter
    rng = np.random.default_rng(0)
    shapes = ((2, 3, 5, 7), (6, 3), (6,), (4, 6), (4,))
    assert_vjp(channel_mlp, [normal(rng, *s) for s in shapes])
