"""What a block is made of: target grids and scalings, checked."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.operators import FNO, WeightFormat
from sci.operators.fno.layer import Layer, scalings


def test_scalings():
    assert scalings(None, 2, 2, "s") is None
    assert scalings(2, 2, 1, "s") == ((2.0,), (2.0,))
    assert scalings([0.5, (1, 2)], 2, 2, "s") == ((0.5, 0.5), (1.0, 2.0))
    for bad in ("2", [1], [1, -1], [1, (1, 2, 3)], [1, np.inf], [1, "2"]):
        with pytest.raises(InvalidValueError, match=r"s is|s of a layer"):
            scalings(bad, 2, 2, "s")


def test_targets_and_kept_modes():
    layer = Layer(2, 3, (4, 4), WeightFormat(2, 3, (4, 3)), (0.5, 2.0))
    assert layer.target((7, 5)) == (4, 10)
    assert layer.kept((8, 8), (4, 16)) == (4, 3)
    assert layer.kept((8, 8), (2, 2)) == (2, 2)
    with pytest.raises(InvalidValueError, match="no points"):
        Layer(2, 3, (4, 4), WeightFormat(2, 3, (4, 3)), (0.1, 1.0)).target((4, 4))


def test_a_scaled_model_keeps_the_function():
    """Twice the points with exact conventions: at shared points the values of the output on the grid of the input."""
    plain = FNO((4, 4), 1, 1, 6, 2, positional_grid=False, fno_skip=None, channel_mlp_skip=None, seed=1)
    finer = FNO.of(type(plain.config)(**{**vars_of(plain.config), "resolution_scaling": (1, 2)}), plain.parameters)
    i, j = np.meshgrid(np.arange(12) / 12, np.arange(12) / 12, indexing="ij")
    x = np.sin(2 * np.pi * (i + j))[None, None]
    assert finer.config.output_grid((12, 12)) == (24, 24)
    np.testing.assert_allclose(finer(x)[..., ::2, ::2], plain(x), rtol=0, atol=1e-12)


def vars_of(config):
    return {name: getattr(config, name) for name in type(config).__dataclass_fields__}
