"""Options of neuraloperator models: represented, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.io import read_state_dict
from sci.operators import from_neuraloperator

DATA = Path(__file__).parents[2] / "data"


def with_metadata(**options):
    state = read_state_dict(DATA / "neuraloperator_fno.npz")
    return {**state, "_metadata": json.dumps({"args": [[4, 6]], "_name": "FNO", **options})}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"resolution_scaling_factor": [1, 2, 3]}, "resolution_scaling"),
        ({"resolution_scaling_factor": [1, -2]}, "resolution_scaling"),
        ({"non_linearity": "relu"}, "non_linearity 'relu'"),
        ({"non_linearity": "GELU(approximate='tanh')"}, "non_linearity"),
        ({"norm": "batch_norm"}, "norm 'batch_norm'"),
        ({"norm": "ada_in"}, "norm 'ada_in'"),
        ({"norm_groups": [2]}, "norm_groups"),
        ({"positional_embedding": "sinusoidal"}, "positional_embedding"),
        ({"complex_data": True}, "channel_mlp"),
        (
            {"complex_data": True, "positional_embedding": {"grid_boundaries": [[0, 2], [0, 1]]}},
            "positional_embedding",
        ),
        ({"use_channel_mlp": False}, "use_channel_mlp"),
        ({"separable": True}, "do not fit|modes"),
        ({"fno_block_precision": "mixed"}, "fno_block_precision"),
        ({"conv_module": "SphericalConv"}, "do not fit"),
        ({"conv_module": "FiniteDifferenceConvolution"}, "conv_module"),
        ({"conv_module": "SphericalConv", "sht_grids": ["lobatto"]}, "sht_grids"),
        ({"conv_module": "SphericalConv", "sht_grids": ["equiangular", "legendre-gauss"]}, "sht_grids"),
        ({"block_modes": [[4, 4]]}, "expected a UNO"),
        ({"new_option": 3}, "new_option"),
        ({"_name": "UNO"}, "UNO"),
        ({"current_modes": [[4, 4], [2, 4]]}, "the same in all layers"),
        ({"fno_skip": "soft-gating"}, "fno_skip"),
        ({"norm": "group_norm"}, "norm"),
    ],
)
def test_what_cannot_be_represented_is_refused(options, text):
    with pytest.raises(InvalidValueError, match=text):
        from_neuraloperator(with_metadata(**options))


def test_metadata_of_the_defaults_changes_nothing():
    defaults = {"non_linearity": "gelu", "norm": None, "resolution_scaling_factor": None, "channel_mlp_dropout": 0}
    defaults.update(positional_embedding="grid", domain_padding=None, rank=1.0, conv_module="SpectralConv")
    model = from_neuraloperator(with_metadata(**defaults))
    plain = from_neuraloperator(read_state_dict(DATA / "neuraloperator_fno.npz"), assume_defaults=True)
    assert model.config == plain.config
    assert all(np.array_equal(model.parameters[n], p) for n, p in plain.parameters.items())
