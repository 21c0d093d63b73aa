"""The sizes of a next-scale model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from next_scale_cases import SCALES, plane_quantizer, small_config

from sci.compression import MultiScaleVQ
from sci.errors import InvalidValueError, ShapeError
from sci.generative import NextScaleConfig


def test_a_configuration_follows_the_quantizer() -> None:
    config = small_config(plane_quantizer(), classes=3)
    assert (config.blocks, config.length) == ((1, 4, 9), 14)
    assert config.levels.tolist() == [0] + [1] * 4 + [2] * 9
    assert config.conditions == {"labels": 3}
    assert (config.vocabulary, config.channels) == (7, 2)
    options = json.loads(json.dumps(config.to_options()))
    assert NextScaleConfig(**options) == config
    assert NextScaleConfig([(2,)], 4, 1, width=12, heads=3).hidden == 48


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"scales": []}, ShapeError, "expected sizes of 1 or more"),
        ({"scales": [(1,), (2, 2)]}, ShapeError, "along one to three axes"),
        ({"scales": [(0, 1)]}, ShapeError, "expected sizes"),
        ({"width": 9}, InvalidValueError, "width 9 and 2 heads"),
        ({"layers": 0}, InvalidValueError, "layers is 0"),
        ({"vocabulary": 0}, InvalidValueError, "vocabulary is 0"),
        ({"classes": -1}, InvalidValueError, "classes is -1"),
    ],
)
def test_what_is_out_of_range_is_named(options: dict, error: type, says: str) -> None:
    given = {"scales": SCALES, "vocabulary": 5, "channels": 2, "width": 8, "heads": 2, **options}
    with pytest.raises(error, match=says):
        NextScaleConfig(**given)


def test_other_quantizers_are_refused() -> None:
    quantizer = plane_quantizer()
    config = small_config(quantizer)
    config.require_quantizer(MultiScaleVQ(quantizer.codebook.copy(), SCALES))
    with pytest.raises(InvalidValueError, match="another codebook"):
        config.require_quantizer(MultiScaleVQ(quantizer.codebook + 1e-6, SCALES))
    with pytest.raises(InvalidValueError, match="another codebook, of 6 codes of 2 numbers"):
        config.require_quantizer(plane_quantizer(6))
    with pytest.raises(ShapeError, match="a quantizer of scales"):
        config.require_quantizer(MultiScaleVQ(quantizer.codebook, SCALES[1:]))
    free = NextScaleConfig(SCALES, 7, 2)
    free.require_quantizer(MultiScaleVQ(np.ones((7, 2)), SCALES))
