"""The architecture of an operator: refusals, and what follows from it."""

from __future__ import annotations

import pytest

from sci.errors import InvalidValueError
from sci.operators import FNOConfig


def test_what_follows_from_the_options():
    config = FNOConfig([4, 6], 2, 3, 8, 3, domain_padding=[0.1, 0], tensor_rank=[2, 2, 2, 2], factorization="tucker")
    assert (config.dim, config.paddings, config.fused) == (2, (0.1, 0.0), True)
    assert config.widths() == {"lifting": (4, 16, 8), "projection": (8, 16, 3)}
    assert config.form().ranks() == (2, 2, 2, 2)
    assert hash(config) == hash(
        FNOConfig((4, 6), 2, 3, 8, 3, domain_padding=(0.1, 0), tensor_rank=(2,) * 4, factorization="tucker")
    )
    for option in ({"norm": "group"}, {"stabilizer": "tanh"}, {"preactivation": True}):
        assert not FNOConfig((4,), 1, 1, 4, **option).fused


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_layers": 0}, "n_layers is 0"),
        ({"hidden_channels": 2.5}, "hidden_channels"),
        ({"lifting_ratio": 0.1}, "lifting_ratio"),
        ({"channel_mlp_skip": "none"}, "channel_mlp_skip"),
        ({"stabilizer": "relu"}, "stabilizer"),
        ({"domain_padding": 1.0}, "domain_padding"),
        ({"factorization": "tucker", "rank_fraction": -1.0}, "rank_fraction"),
        ({"factorization": "tucker", "tensor_rank": (2, 2)}, "ranks"),
        ({"factorization": "svd"}, "factorization"),
        ({"joint": True}, "factorization"),
    ],
)
def test_bad_options_are_named(options, text):
    with pytest.raises(InvalidValueError, match=text):
        FNOConfig(**{"n_modes": (4,), "in_channels": 1, "out_channels": 1, "hidden_channels": 4, **options})
