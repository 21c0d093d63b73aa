"""Samples as fields, transposed and in the symmetries of the square."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.operators import FNO, TrainingConfig, as_fields, train_operator, with_transposed
from sci.operators.training.data import SquareSymmetries


def test_samples_become_fields():
    assert as_fields(np.zeros((4, 8, 8), bool), 2).dtype == np.float32
    assert as_fields(np.zeros((4, 8, 8)), 2).shape == (4, 1, 8, 8)
    assert as_fields(np.zeros((4, 3, 8)), 1).shape == (4, 3, 8)
    for shape in ((4, 8), (4, 1, 1, 8, 8), (0, 8, 8)):
        with pytest.raises(ShapeError):
            as_fields(np.zeros(shape), 2)
    with pytest.raises(InvalidValueError):
        as_fields(np.full((1, 8, 8), np.inf), 2)
    x = np.arange(8.0).reshape(2, 1, 2, 2)
    doubled, same = with_transposed(x, x)
    np.testing.assert_array_equal(doubled[2:], np.swapaxes(x, 2, 3))
    np.testing.assert_array_equal(same, doubled)
    with pytest.raises(ShapeError):
        with_transposed(np.zeros((1, 1, 2, 3)), np.zeros((1, 1, 2, 3)))


def test_symmetries_of_the_square():
    """Every batch holds symmetric images of its samples, x and y alike; the order is that of the seed."""
    i = np.arange(6)
    x = np.random.default_rng(0).normal(size=(3, 1, 6, 6))
    y = 2 * x
    data = SquareSymmetries(x, y, TrainingConfig(epochs=80, loss="l2"), 0)
    assert len(data) == 240
    seen = set()
    for start in range(0, 240, 7):
        picked = np.arange(start, min(start + 7, 240))
        a, b = data[picked]
        np.testing.assert_array_equal(b, 2 * a)
        for field, sample, kind in zip(a, data.order[picked], data.kinds[picked]):
            image = x[sample]
            image = image[:, -i % 6] if kind & 1 else image
            image = image[:, :, -i % 6] if kind & 2 else image
            np.testing.assert_array_equal(field, image.swapaxes(1, 2) if kind & 4 else image)
            seen.add((int(sample), int(kind)))
    assert len(seen) == 24
    with pytest.raises(ShapeError, match="square"):
        SquareSymmetries(x[..., :5], y[..., :5], TrainingConfig(loss="l2"), 0)
    model = FNO((2, 2), 1, 1, 4, 1)
    single = [a.astype(np.float32) for a in (x, y)]
    _, history = train_operator(
        model, *single, TrainingConfig(epochs=5, batch_size=2, square=True, loss="l2"), tests={"a": tuple(single)}
    )
    assert history.step == 8
    assert len(history.metrics["l2_a"]) == 1
