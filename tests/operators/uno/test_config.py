"""Architectures of U-shaped operators: widths, grids and skips that follow, and what is refused."""

from __future__ import annotations

import pytest

from sci.errors import InvalidValueError
from sci.operators import UNOConfig

SIZES = (((6, 6), (4, 4), (4, 4), (4, 4), (6, 6)), (8, 12, 12, 12, 8), (1, 0.5, 1, 1, 2), 2, 3, 8)


def test_what_follows_from_the_options():
    config = UNOConfig(*SIZES, domain_padding=0.25)
    assert (config.dim, config.n_layers, config.n_modes, config.paddings) == (2, 5, (6, 6), (0.25, 0.25))
    assert config.horizontal() == {4: 0, 3: 1}
    assert [layer.in_channels for layer in config.layers] == [8, 8, 12, 24, 20]
    assert [layer.activate for layer in config.layers] == [True] * 4 + [False]
    assert config.grids((8, 10)) == [(12, 14), (12, 14), (6, 7), (6, 7), (6, 7), (12, 14)]
    assert config.output_grid((8, 10)) == (8, 10)
    finer = UNOConfig(SIZES[0], SIZES[1], (1, 0.5, 1, 1, (4, 3)), 2, 3, 8, domain_padding=0.25)
    assert finer.output_grid((8, 10)) == (16, 15)
    assert UNOConfig.from_options(config.to_options()) == config


def test_odd_grids_come_back_to_themselves():
    config = UNOConfig(*SIZES)
    assert config.grids((9, 7))[-1] == (9, 7)
    assert config.grids((9, 7))[2] == (4, 4)


def test_the_base_model_has_all_channels_in_proportion():
    base = UNOConfig(*SIZES, base_channels=4, lifting_channels=16, projection_channels=8).base()
    assert (base.hidden_channels, base.block_channels, base.lifting_channels) == (4, (4, 6, 6, 6, 4), 8)
    assert UNOConfig(*SIZES).base() is None


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"block_modes": ()}, "block_modes"),
        ({"block_modes": ((4, 4), (4,), (4, 4), (4, 4), (4, 4))}, "block_modes"),
        ({"block_channels": (8, 12)}, "block_channels"),
        ({"block_channels": (8, 12, 0, 12, 8)}, "block_channels"),
        ({"block_scalings": (1, 0.5)}, "block_scalings"),
        ({"block_scalings": (1, 0.5, 1, 1, -2)}, "block_scalings"),
        ({"horizontal_skips": ((0, 4),)}, "horizontal_skips"),
        ({"horizontal_skips": ((4, 0), (4, 1))}, "horizontal_skips"),
        ({"horizontal_skips": ((5, 0),)}, "horizontal_skips"),
        ({"horizontal_skip": None}, "horizontal_skip"),
        ({"channel_mlp_skip": "soft-gating"}, "channel_mlp_skip"),
        ({"fno_skip": "identity"}, "fno_skip"),
        ({"lifting_channels": 0}, "lifting_channels"),
        ({"base_channels": 3}, "base_channels"),
        ({"base_channels": 4, "factorization": "cp"}, "factorization"),
        ({"separable": True}, "separable"),
        ({"conventions": "torch"}, "conventions"),
        ({"norm": "batch"}, "norm"),
    ],
)
def test_what_is_refused(changes, name):
    names = ("block_modes", "block_channels", "block_scalings", "in_channels", "out_channels", "hidden_channels")
    with pytest.raises(InvalidValueError, match=name):
        UNOConfig(**{**dict(zip(names, SIZES)), **changes})
