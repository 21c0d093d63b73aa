"""Inputs of weights: what the rules say beside what the layers return."""

from __future__ import annotations

from typing import Any

import coded_models
import numpy as np
import pytest

from sci.compression.networks.uses import Enough, NamedWeight, Rows, Spectrum, run_with, uses_of
from sci.nn import concatenate, convolve, linear, pointwise_conv
from sci.operators.coordinates import grid_coordinates
from sci.operators.fno.layers import layered_block, perceptron
from sci.operators.fno.perceptron import channel_mlp

RNG = np.random.default_rng(16)


def seen_by(call: Any) -> list[Rows | Spectrum]:
    """Return the uses in a call."""
    found: list[Rows | Spectrum] = []
    run_with(call, lambda op, args, options: found.extend(uses_of(op, args, options)))
    return found


def named(shape: tuple[int, ...], name: str = "w") -> NamedWeight:
    """Return a random weight with a name."""
    return NamedWeight(name, RNG.normal(size=shape))


def test_rows_times_the_weight_are_the_outputs() -> None:
    w, x = named((4, 6)), RNG.normal(size=(2, 3, 6))
    (use,) = seen_by(lambda: linear(x, w))
    np.testing.assert_allclose(use.x @ w.held.T, linear(x, w.held).reshape(-1, 4))
    field = RNG.normal(size=(2, 6, 3, 5))
    (use,) = seen_by(lambda: pointwise_conv(field, w))
    expected = np.moveaxis(pointwise_conv(field, w.held), 1, -1).reshape(-1, 4)
    np.testing.assert_allclose(use.x @ w.held.T, expected)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}])
def test_patches_of_convolutions(options: dict[str, Any]) -> None:
    kernel, field = named((4, 3, 3, 3)), RNG.normal(size=(2, 3, 8, 9))
    (use,) = seen_by(lambda: convolve(field, kernel, **options))
    expected = np.moveaxis(convolve(field, kernel.held, **options), 1, -1).reshape(-1, 4)
    np.testing.assert_allclose(use.x @ kernel.held.reshape(4, -1).T, expected, atol=1e-12)


def test_perceptrons_are_seen_inside() -> None:
    x, b0, b1 = RNG.normal(size=(2, 3, 4, 4)), RNG.normal(size=5), RNG.normal(size=2)
    w0, w1 = named((5, 3), "w0"), named((2, 5), "w1")
    first, second = seen_by(lambda: channel_mlp(x, w0, b0, w1, b1))
    assert (first.key, second.key) == (("w0",), ("w1",))
    out = second.x @ w1.held.T + b1
    np.testing.assert_allclose(out, np.moveaxis(channel_mlp(x, w0.held, b0, w1.held, b1), 1, -1).reshape(-1, 2))


@pytest.mark.parametrize("name", ["fno", "tucker"])
def test_fused_blocks_are_seen_as_their_layers(name: str) -> None:
    """The fused block and the same layers one by one: the same inputs for every weight."""
    model = coded_models.OPERATORS[name]()
    x = coded_models.fields(name, RNG, 2)
    held = {n: NamedWeight(n, p) for n, p in model.parameters.items()}
    fused = {use.key: use.x for use in seen_by(lambda: model.forward(held, x))}
    assert model.config.fused
    assert len(fused) == 2 * 4 + 4
    assert all(np.isfinite(a).all() for a in fused.values())

    def by_layers() -> None:
        y = perceptron(held, "lifting", concatenate(x, grid_coordinates(x), axis=1), model.config)
        for index in range(2):
            y = layered_block(held, y, model.config, index)
        perceptron(held, "projection", y, model.config)

    for use in seen_by(by_layers):
        np.testing.assert_allclose(use.x, fused[use.key], rtol=0, atol=2e-5 * np.abs(fused[use.key]).max())


def test_a_pass_can_end_early() -> None:
    calls = []

    def see(op: str, args: Any, options: Any) -> None:
        calls.append(op)
        raise Enough

    w = named((3, 3))
    run_with(lambda: linear(linear(np.ones((1, 3)), w), w), see)
    assert calls == ["linear"]
    assert seen_by(lambda: linear(np.ones((1, 3)), w.held)) == []
