"""Training on the small Darcy set for a few epochs, and what a trained operator and a recipe refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.io import load, load_samples
from sci.nn import Model
from sci.operators import FNO, TFNO, Recipe, TrainedOperator, train_operator
from sci.operators.training import _Square, as_fields, with_transposed

DATA = Path(__file__).parents[1] / "data"


def load_operator(path):
    found = load(path)
    return TrainedOperator.from_model(found) if isinstance(found, Model) else found


def test_three_epochs_of_small_darcy(test_data):
    """A bound that a model misses which learns nothing (1) or only the mean field (about 0.5)."""
    sets = [[as_fields(a, 2) for a in load_samples(test_data / "operators" / f"darcy_{n}.h5")] for n in FILES]
    (x, y), *tests = sets
    recipe = Recipe(epochs=3, batch_size=16)
    names = {"16": tuple(tests[0]), "32": tuple(tests[1])}
    _, course = train_operator(TFNO((8, 8), 1, 1, 16, 3), x[:500], y[:500], recipe, tests=names)
    assert course.metrics["l2_16"][-1] < 0.3
    assert course.metrics["l2_32"][-1] < 0.3
    assert course.metrics["l2_16"][-1] < course.metrics["l2_16"][0]


FILES = ("train_16", "test_16", "test_32")


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


def test_what_does_not_fit_is_refused():
    model, x = FNO((2, 2), 1, 1, 4, 1), np.ones((4, 1, 4, 4), np.float32)
    with pytest.raises(ShapeError):
        train_operator(model, np.ones((4, 2, 4, 4), np.float32), x)
    with pytest.raises(ShapeError):
        train_operator(model, x[:3], x)
    with pytest.raises(InvalidValueError, match="loss"):
        Recipe(loss="l1")
    stored = TrainedOperator(model).to_model()
    with pytest.raises(InvalidValueError, match="kind"):
        TrainedOperator.from_model(Model("Other", stored.options, stored.parameters))
    with pytest.raises(InvalidValueError, match="standardizer"):
        TrainedOperator.from_model(Model("FNO", {**stored.options, "inputs_eps": 0.0}, stored.parameters))
    with pytest.raises(InvalidValueError, match="NaN"):
        TrainedOperator(model)(np.full((1, 1, 4, 4), np.nan))


@pytest.mark.parametrize("name", ["fno", "tfno"])
def test_files_of_schema_1_are_read(name):
    """Written by the version before `rank_fraction` and `tensor_rank`, with standardizers of another name."""
    operator = load_operator(DATA / f"{name}_v1.h5")
    assert type(operator.model) is {"fno": FNO, "tfno": TFNO}[name]
    assert operator.model.config.tensor_rank == {"fno": 3, "tfno": None}[name]
    assert operator.model.config.rank_fraction == {"fno": 1.0, "tfno": 0.4}[name]
    assert (operator.inputs is None) == (name == "fno")
    with np.load(DATA / "fno_v1_output.npz") as stored:
        np.testing.assert_allclose(operator(stored["x"]), stored[name], rtol=0, atol=1e-6)


def test_batches_of_a_prediction_do_not_matter():
    operator = TrainedOperator(FNO((2, 3), 1, 2, 4, 1))
    x = np.random.default_rng(0).normal(size=(5, 1, 6, 7))
    np.testing.assert_allclose(operator(x, batch_size=2), operator(x), rtol=0, atol=1e-14)


def test_symmetries_of_the_square():
    """Every batch holds symmetric images of its samples, x and y alike; the order is that of the seed."""
    i = np.arange(6)
    x = np.random.default_rng(0).normal(size=(3, 1, 6, 6))
    y = 2 * x
    data = _Square(x, y, Recipe(epochs=80), 0)
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
        _Square(x[..., :5], y[..., :5], Recipe(), 0)
    model = FNO((2, 2), 1, 1, 4, 1)
    single = [a.astype(np.float32) for a in (x, y)]
    _, course = train_operator(model, *single, Recipe(epochs=5, batch_size=2, square=True), tests={"a": tuple(single)})
    assert course.step == 8
    assert len(course.metrics["l2_a"]) == 1
