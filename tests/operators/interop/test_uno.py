"""U-shaped models of neuraloperator: options that its state does not keep, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.io import read_state_dict
from sci.operators import from_neuraloperator

STATE = Path(__file__).parents[2] / "data" / "neuraloperator_uno.npz"


def test_options():
    config = from_neuraloperator(read_state_dict(STATE)).config
    assert config.block_modes == ((4, 4), (2, 4), (4, 4))
    assert (config.block_channels, config.block_scalings) == ((4, 6, 4), ((1.0, 1.0), (0.5, 0.5), (2.0, 2.0)))
    assert (config.horizontal(), config.horizontal_skip) == ({2: 0}, "linear")
    assert (config.in_channels, config.hidden_channels, config.out_channels) == (1, 4, 2)
    assert (config.lifting_channels, config.projection_channels, config.paddings) == (6, 5, (0.25, 0.25))
    assert (config.activation, config.conventions) == (False, "neuraloperator")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"block_channels": [4, 6]}, "block_channels|array"),
        ({"block_modes": [[4, 4], [4, 4], [4, 4]]}, "do not fit"),
        ({"horizontal_skips": [[2, 1]]}, "do not fit"),
        ({"norm": "group_norm"}, "norm|do not fit"),
        ({"norm": "BatchNorm"}, "norm"),
        ({"non_linearity": "relu"}, "non_linearity"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, text):
    state = read_state_dict(STATE)
    metadata = {**json.loads(str(state["_metadata"])), **changes}
    with pytest.raises(InvalidValueError, match=text):
        from_neuraloperator({**state, "_metadata": np.array(json.dumps(metadata))})
