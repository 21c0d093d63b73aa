"""The coordinate check tells standard and maximal-update networks apart, as theory says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError
from sci.nn import SGDP, Adam, Role, coordinate_check, initial_normal, linear, mean, rescaled, tanh, with_roles

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 6)), RNG.normal(size=(20, 2))
WIDTHS = [32, 128, 512]


def roles(n: int) -> dict[str, Role]:
    return {"a": Role("input", 6, n), "b": Role("hidden", n, n), "c": Role("hidden", n, n), "d": Role("output", n, 2)}


def forward(p: Any, x: Any) -> Any:
    for name in "abc":
        x = tanh(linear(x, p[name]))
    return linear(x, p["d"])


def loss(output: Any) -> Any:
    return mean((output - Y) * (output - Y))


@pytest.mark.parametrize("optimizer", [Adam(0.01), SGDP(0.3, momentum=0.0, delta=0.0)])
def test_activations_move_alike_at_all_widths_under_the_rule_only(optimizer: Any) -> None:
    def standard(width: int, seed: int) -> Any:
        own, rng = roles(width), np.random.default_rng(seed)
        drawn = {n: initial_normal(rng, (r.fan_out, r.fan_in), r.fan_in**-0.5, dtype=float) for n, r in own.items()}
        return drawn, optimizer

    def maximal(width: int, seed: int) -> Any:
        drawn, _ = standard(width, seed)
        own, base = roles(width), roles(WIDTHS[0])
        return rescaled(drawn, own, base), with_roles(optimizer, own, base=base)

    wild, calm = (coordinate_check(make, forward, loss, X, widths=WIDTHS, seeds=4) for make in (standard, maximal))
    assert calm.layers == ("linear_0", "tanh_0", "linear_1", "tanh_1", "linear_2", "tanh_2", "linear_3")
    assert np.abs(calm.slopes[:-1]).max() < 0.15
    assert wild.slopes[-1] > 0.35
    # The read-out starts smaller in wider networks; it does not grow.
    assert calm.slopes[-1] < 0.15


def test_wrong_arguments_and_divergence_are_errors() -> None:
    def make(width: int, seed: int) -> Any:
        return {"w": np.ones((width, 6)), "d": np.ones((2, width))}, SGDP(1e200)

    with pytest.raises(InvalidValueError, match="two different"):
        coordinate_check(make, forward, loss, X, widths=[8, 8])
    with np.errstate(all="ignore"), pytest.raises(ConvergenceError):
        coordinate_check(make, lambda p, x: linear(linear(x, p["w"]), p["d"]), loss, X, widths=[4, 8], steps=4)
