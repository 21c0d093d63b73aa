"""Labels, features and context of fields."""

from __future__ import annotations

import numpy as np
import pytest
from next_scale_cases import SCALES, conditions, plane_quantizer, small_config

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.next_scale.conditions import Condition, tokens_of
from sci.nn import resample

CONFIG = small_config(plane_quantizer(), classes=3, features=2, context=1)


def test_tokens_are_the_cells_of_all_scales() -> None:
    fields = [np.random.default_rng(k).normal(size=(2, 3, *size)) for k, size in enumerate(SCALES)]
    tokens = tokens_of(fields)
    assert tokens.shape == (2, 14, 3)
    np.testing.assert_array_equal(tokens[1, 0], fields[0][1, :, 0, 0])
    np.testing.assert_array_equal(tokens[1, 1 + 2 * 1 + 0], fields[1][1, :, 1, 0])
    np.testing.assert_array_equal(tokens[0, 5 + 3 * 2 + 1], fields[2][0, :, 2, 1])


def test_a_context_is_the_mean_over_the_cells_of_each_scale() -> None:
    given = conditions(3)
    found = Condition.checked(CONFIG, 3, *given.values(), dtype=np.float64)
    np.testing.assert_allclose(found.context[:, 0, 0], given["context"].mean(axis=(1, 2, 3)), rtol=1e-13)
    np.testing.assert_array_equal(
        found.context[:, 5:, 0], resample(given["context"], size=3, method="area").reshape(3, 9)
    )
    part = found.rows(slice(1, 2))
    assert repr(part) == "Condition(labels, features, context)"
    np.testing.assert_array_equal(part.features, given["features"][1:2])
    np.testing.assert_array_equal(part.twice().labels, np.repeat(given["labels"][1:2], 2))
    assert repr(Condition()) == "Condition(none)"


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"labels": np.array([0, 1, 3])}, InvalidValueError, "labels from 0 to 3; expected 0 to 2"),
        ({"labels": np.array([0, -1, 2])}, InvalidValueError, "labels from -1 to 2"),
        ({"labels": np.zeros(3)}, DTypeError, "expected integers"),
        ({"labels": np.zeros(2, int)}, ShapeError, "labels of 2 samples for 3"),
        ({"features": np.full((3, 2), np.nan)}, InvalidValueError, "features"),
        ({"features": np.zeros((3, 3))}, ShapeError, r"features of shape \(3, 3\)"),
        ({"features": np.zeros((3, 2), complex)}, DTypeError, "expected real numbers"),
        ({"context": np.zeros((3, 2, 6, 6))}, ShapeError, "context of shape"),
        ({"context": np.zeros((3, 1, 6))}, ShapeError, "context of shape"),
    ],
)
def test_conditions_out_of_range_are_named(change: dict, error: type, says: str) -> None:
    given = {**conditions(3), **change}
    with pytest.raises(error, match=says):
        Condition.checked(CONFIG, 3, *given.values())


def test_all_conditions_or_none() -> None:
    part = Condition.checked(CONFIG, 3, conditions(3)["labels"], None, None)
    with pytest.raises(InvalidValueError, match="no features, context for a model that takes labels"):
        part.require_whole(CONFIG, none=True)
    assert not Condition().require_whole(CONFIG, none=True)
    with pytest.raises(InvalidValueError, match="no labels, features, context"):
        Condition().require_whole(CONFIG, none=False)
    bare = small_config(plane_quantizer())
    with pytest.raises(InvalidValueError, match="labels for a model without"):
        Condition.checked(bare, 3, conditions(3)["labels"], None, None)
