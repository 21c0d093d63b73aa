"""Fields as sequences of codes."""

from __future__ import annotations

import numpy as np
import pytest
from next_scale_cases import conditional, conditions, plane_quantizer, plane_tokens, small_config

from sci.compression import MultiScaleVQ
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative import ScaleTokens
from sci.generative.next_scale.tokens import require_fitting, split_codes


def test_tokens_are_codes_and_what_coarser_scales_say() -> None:
    quantizer, model, tokens = conditional(5)
    config = model.config
    fields = np.random.default_rng(2).normal(size=(5, 2, 3, 3))
    codes = quantizer.encode(fields)
    for found, want in zip(split_codes(config, tokens.codes), codes):
        np.testing.assert_array_equal(found, want)
    inputs = quantizer.next_inputs(codes)
    assert not tokens.inputs[:, 0].any()
    np.testing.assert_array_equal(tokens.inputs[:, 1:5], inputs[0].reshape(5, 2, 4).swapaxes(1, 2))
    np.testing.assert_array_equal(tokens.inputs[:, 5:], inputs[1].reshape(5, 2, 9).swapaxes(1, 2))
    assert repr(tokens) == "ScaleTokens(5 fields of 14 codes, labels, features, context)"
    part = tokens[np.array([4, 1])]
    np.testing.assert_array_equal(part.codes, tokens.codes[[4, 1]])
    np.testing.assert_array_equal(part.condition.context, tokens.condition.context[[4, 1]])
    again = ScaleTokens.of_codes(config, quantizer, codes, dtype=np.float64, **conditions(5))
    np.testing.assert_array_equal(again.inputs, tokens.inputs)


def test_what_does_not_fit_is_named() -> None:
    quantizer, model, tokens = conditional(3)
    config, given = model.config, conditions(3)
    with pytest.raises(InvalidValueError, match="another codebook"):
        ScaleTokens.of(config, plane_quantizer(6), np.zeros((3, 2, 3, 3)), **given)
    bad = [np.full((3, *size), 7) for size in config.scales]
    with pytest.raises(InvalidValueError, match="expected 0 to 6"):
        ScaleTokens.of_codes(config, quantizer, bad, **given)
    with pytest.raises(ShapeError, match="codes of 2 scales; expected 3"):
        ScaleTokens.of_codes(config, quantizer, bad[:2], **given)
    with pytest.raises(InvalidValueError, match="no labels for a model"):
        ScaleTokens.of(config, quantizer, np.zeros((3, 2, 3, 3)), **{**given, "labels": None})
    with pytest.raises(ShapeError, match="tokens of 14 codes of 2 numbers; expected 14 codes of 3"):
        require_fitting(small_config(plane_quantizer(channels=3)), tokens)
    with pytest.raises(InvalidValueError, match="expected 0 to 4, those of the model's codebook"):
        require_fitting(small_config(plane_quantizer(5), classes=3, features=2, context=1), tokens)
    other = small_config(MultiScaleVQ(quantizer.codebook + 1, quantizer.scales), classes=3, features=2, context=1)
    with pytest.raises(InvalidValueError, match="expected codes of the quantizer that the model was made for"):
        require_fitting(other, tokens)
    with pytest.raises(ShapeError, match="conditions of shapes"):
        require_fitting(small_config(quantizer, classes=3, features=3, context=1), tokens)
    with pytest.raises(ShapeError, match="conditions of shapes"):
        require_fitting(small_config(quantizer), tokens)
    with pytest.raises(DTypeError, match="codes of dtype float64"):
        ScaleTokens(tokens.codes * 1.0, tokens.inputs)
    with pytest.raises(ShapeError, match="codes of shape"):
        ScaleTokens(tokens.codes[:, 1:], tokens.inputs)
    with pytest.raises(InvalidValueError, match="inputs"):
        ScaleTokens(tokens.codes, tokens.inputs * np.nan)
    with pytest.raises(ShapeError, match="labels of 3 fields for codes of 2"):
        ScaleTokens(tokens.codes[:2], tokens.inputs[:2], tokens.condition)
    assert len(plane_tokens(small_config(quantizer), quantizer, 0)) == 0
