"""Parameters of a U-Net: the published numbers, roles, and initial values."""

from __future__ import annotations

import numpy as np
import pytest

from sci.nn import Role, UNetConfig, stunet_config
from sci.nn.unet.layout import initial_parameters, initial_statistics, layout


def number(config: UNetConfig) -> int:
    return sum(int(np.prod(entry.shape)) for entry in layout(config).values())


@pytest.mark.parametrize(
    ("size", "count"), [("small", 14596941), ("base", 58262669), ("large", 440302605), ("huge", 1457326221)]
)
def test_stunet_has_the_published_number_of_parameters(size, count):
    assert number(stunet_config(size)) == count


def test_roles_follow_the_layers():
    config = UNetConfig(2, 3, 5, (8, 16), skip_scaling="learned")
    roles = {name: entry.role for name, entry in layout(config).items()}
    assert roles["encoder.0.0.conv1.weight"] == Role("input", 27, 8, scale_invariant="channel")
    assert roles["encoder.0.0.shortcut.weight"] == Role("input", 3, 8)
    assert roles["encoder.0.0.conv2.weight"] == Role("hidden", 72, 8, scale_invariant="channel")
    assert roles["encoder.1.0.conv1.weight"] == Role("hidden", 72, 16, scale_invariant="channel")
    assert roles["decoder.0.mix.weight"] == Role("hidden", 16, 8)
    assert roles["heads.0.weight"] == Role("output", 8, 5)
    assert roles["encoder.1.0.norm2.weight"].kind == "gain"
    assert roles["encoder.1.0.norm2.bias"].kind == "bias"
    group = layout(UNetConfig(2, 3, 5, (8, 16), norm="group", groups=2))
    assert group["encoder.0.0.conv1.weight"].role.scale_invariant is None


def test_options_change_what_they_say():
    config = UNetConfig(3, 1, 2, (4, 8, 8), (1, 2, 1), norm="evonorm_s0", separable=True, deep_supervision=False)
    shapes = {name: entry.shape for name, entry in layout(config).items()}
    assert shapes["encoder.1.1.conv1.taps"] == (8, 1, 3, 3, 3)
    assert shapes["encoder.1.1.conv1.weight"] == (8, 8)
    assert shapes["encoder.1.1.norm1.gate"] == (8,)
    assert "encoder.1.1.shortcut.weight" not in shapes
    assert "heads.0.weight" in shapes
    assert "heads.1.weight" not in shapes
    assert initial_statistics(config, "f4") == {}


def test_initial_values_keep_the_variance():
    config = UNetConfig(2, 1, 2, (32, 64), norm="evonorm_b0")
    found = initial_parameters(config, np.random.default_rng(0), np.float32)
    weight = found["encoder.1.0.conv2.weight"]
    assert weight.dtype == np.float32
    assert weight.std() == pytest.approx((2 / (1 + 0.01**2) / (64 * 9)) ** 0.5, rel=0.02)
    assert not found["encoder.1.0.conv2.bias"].any()
    assert (found["encoder.1.0.norm1.gate"] == 1).all()
    statistics = initial_statistics(config, np.float32)
    assert statistics["encoder.1.0.norm1.variance"].shape == (64,)
    assert statistics["encoder.1.0.norm1.count"] == 0
