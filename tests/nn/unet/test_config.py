"""Choices of a U-Net: what they refuse, and the factors of skips with the theory behind them."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import UNetConfig, stunet_config


def test_what_makes_no_network_is_refused():
    for options, words in (
        ({"axes": 4}, "axes is 4"),
        ({"channels": (8,)}, "two stages"),
        ({"channels": (8, 0)}, "positive"),
        ({"depths": (1, 2, 3)}, "one depth for"),
        ({"kernel": 4}, "odd"),
        ({"groups": 3}, "a divisor of all"),
        ({"skip_decay": 0.0}, "skip_decay"),
        ({"norm": "batch"}, "norm"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            UNetConfig(**{"axes": 2, "in_channels": 1, "out_channels": 2, "channels": (8, 16), **options})


def test_factors_of_skips_start_at_the_finest():
    def factors(kind: str) -> list[float]:
        return UNetConfig(2, 1, 1, (4, 4, 4, 4), skip_scaling=kind, skip_decay=0.7).skip_factors()

    assert factors("none") == [1.0, 1.0, 1.0]
    assert factors("root_half") == [0.5**0.5] * 3
    np.testing.assert_allclose(factors("decay"), [1.0, 0.7, 0.49])


def test_stunet_has_six_stages():
    large = stunet_config("large", 2, 5, axes=2)
    assert large.channels == (64, 128, 256, 512, 1024, 1024)
    assert (large.depths, large.multiple, large.in_channels, large.out_channels) == ((2,) * 6, 32, 2, 5)


def _maps(rng: np.random.Generator, n: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Encoders a_i, decoders b_i and a bottom b_{N+1}, linear, which keep the mean square of what they act on."""
    a, b = (rng.normal(size=(count, n, n)) / n**0.5 for count in (levels, levels + 1))
    return a, b


def _linear_unet(a: np.ndarray, b: np.ndarray, factors: list[float], x: np.ndarray) -> np.ndarray:
    """f_i(x) = b_i (factor_i a_i x + f_{i+1}(a_i x)), the recursion of a U-Net without activations."""
    if not len(a):
        return b[0] @ x
    inner = a[0] @ x
    return b[0] @ (factors[0] * inner + _linear_unet(a[1:], b[1:], factors[1:], inner))


@pytest.mark.parametrize("kind", ["none", "root_half", "decay"])
def test_the_recursion_of_a_linear_unet_is_the_sum_over_its_paths(kind):
    """The path over skip i goes down i maps and up as many; one goes through the bottom."""
    rng = np.random.default_rng(0)
    factors = UNetConfig(1, 1, 1, (4,) * 7, skip_scaling=kind).skip_factors()
    a, b = _maps(rng, 20, 6)
    paths = np.zeros((20, 20))
    down = up = np.eye(20)
    for i in range(6):
        down, up = a[i] @ down, up @ b[i]
        paths += factors[i] * up @ down
    paths += up @ b[6] @ down
    found = _linear_unet(a, b, factors, np.eye(20))
    np.testing.assert_allclose(found, paths, rtol=0, atol=1e-13 * np.abs(paths).max())


@pytest.mark.parametrize("kind", ["none", "decay"])
def test_squares_grow_by_one_and_the_sum_of_squared_factors(kind):
    """E |f(x)|^2 / |x|^2 over random maps, within three standard errors."""
    rng = np.random.default_rng(1)
    factors = UNetConfig(1, 1, 1, (4,) * 7, skip_scaling=kind).skip_factors()
    ratios = []
    for _ in range(600):
        x = rng.normal(size=32)
        out = _linear_unet(*_maps(rng, 32, 6), factors, x)
        ratios.append((out @ out) / (x @ x))
    expected = 1 + sum(f * f for f in factors)
    error = np.std(ratios, ddof=1) / len(ratios) ** 0.5
    assert abs(np.mean(ratios) - expected) < 3 * error
    assert error < 0.1 * expected
