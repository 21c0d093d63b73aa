"""Compound scaling: exact exponents, rounded sizes, and the factor that was reached."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend import shape_array
from sci.errors import InvalidValueError
from sci.operators import FNO
from sci.scaling import StagedNetwork, count, scale_factors, scale_network

SMALL = StagedNetwork((2, 4, 2), (32, 64, 128), (2, 2, 2), 64)
GROUPED = StagedNetwork((2, 4), (64, 256), (2, 2), 64, bottleneck=1, group_width=8)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1 / 3, 0.8, 1.0])
@pytest.mark.parametrize("fixed_grid", [False, True])
@pytest.mark.parametrize("s", [0.25, 4.0, 16.0])
def test_exponents_are_exact(ndim: int, alpha: float, fixed_grid: bool, s: float) -> None:
    found = scale_factors(s, alpha, ndim=ndim, fixed_grid=fixed_grid)
    assert found.flops == pytest.approx(s, rel=1e-12)
    assert found.depth * found.width**2 * found.resolution**ndim == pytest.approx(s, rel=1e-12)
    assert found.activations == pytest.approx(s ** (1 - alpha / 2), rel=1e-12)
    assert found.width == pytest.approx(s ** (alpha / 2), rel=1e-12)


def test_published_activations() -> None:
    assert [round(scale_factors(s).activations, 3) for s in (4.0, 16.0)] == [2.297, 5.278]


@pytest.mark.parametrize("network", [SMALL, GROUPED], ids=["dense", "grouped"])
@pytest.mark.parametrize("s", [0.25, 2.0, 4.0, 16.0])
def test_sizes_are_rounded_and_the_factor_is_told(network: StagedNetwork, s: float) -> None:
    scaled = scale_network(network, s)
    made = scaled.network
    assert all(w % 8 == 0 for w in made.widths)
    assert made.resolution % 4 == 0
    assert min(made.depths) >= 1
    if network.group_width:
        assert made.group_width in (1, 2, 4) or made.group_width % 8 == 0
        assert all(w % made.group_width == 0 for w in made.widths)
    assert scaled.flops == made.counts().flops / network.counts().flops
    assert scaled.flops == pytest.approx(s, rel=0.5)
    assert f"{scaled.flops:.4g} of {s:.4g}" in repr(scaled)


def test_a_large_network_reaches_the_exponents() -> None:
    large = StagedNetwork((40, 40), (512, 1024), (2, 2), 256)
    scaled = scale_network(large, 4.0)
    assert scaled.flops == pytest.approx(4.0, rel=0.04)
    assert scaled.activations == pytest.approx(2.297, rel=0.04)


def test_an_operator_follows_the_factors_of_a_fixed_grid() -> None:
    def flops(width: int, layers: int) -> int:
        model = FNO((4, 4), 1, 1, width, layers)
        return count(model.forward, model.parameters, shape_array((1, 1, 64, 64), np.float32)).flops

    factors = scale_factors(8.0, ndim=2, fixed_grid=True)
    small = flops(32, 4)
    large = flops(round(32 * factors.width / 4) * 4, round(4 * factors.depth))
    # The transforms grow like the width alone.
    assert 4 < large / small < 8.5


@pytest.mark.parametrize("bad", [{"s": 0.0}, {"s": np.inf}, {"alpha": 1.5}, {"ndim": 4}])
def test_impossible_scalings_are_refused(bad: dict) -> None:
    with pytest.raises(InvalidValueError):
        scale_factors(**{"s": 2.0, **bad})
