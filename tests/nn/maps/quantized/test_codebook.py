"""Weights as codes into codebooks: the start, derivatives, training, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from map_gradients import drawn

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.io import load, save
from sci.nn import (
    Adam,
    CodebookWeight,
    MappedParameters,
    WeightChange,
    WeightDeltas,
    cosine,
    linear,
    mean_squared_error,
    train,
)

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("mapping", [False, True])
def test_the_start_is_the_nearest_value(dtype: str, bits: int, mapping: bool) -> None:
    if mapping and bits == 8:
        with pytest.raises(InvalidValueError, match="expected at most 4"):
            CodebookWeight(np.ones((3, 3)), 8, mapping=True)
        return
    weight = drawn(dtype, (12, 9))
    weight_map = CodebookWeight(weight, bits, groups=3, mapping=mapping)
    found = weight_map.fold(weight_map.start())
    assert found.dtype == weight.dtype
    values = weight_map.codebooks[weight_map.groups]
    pairs = weight.reshape(12, 9).view(weight.real.dtype)
    nearest = np.abs(pairs[..., None] - values[:, None]).min(axis=2)
    np.testing.assert_allclose(np.abs(found.view(weight.real.dtype) - pairs), nearest, atol=1e-6)
    np.testing.assert_array_equal(weight_map.coded(weight_map.start()).decode(), found)


def test_gradients_of_codebooks_are_exact() -> None:
    for dtype, axes in (("f8", (0,)), ("c16", (1,))):
        weight_map = CodebookWeight(drawn(dtype, (7, 5)), 2, groups=2, row_axes=axes)
        arrays = weight_map.start()
        weight, residuals = weight_map.forward(arrays)
        dweight = drawn(dtype, (7, 5))
        found = weight_map.vjp(dweight, residuals)["codebooks"]
        direction = RNG.normal(size=found.shape)
        moved = weight_map.fold({"codebooks": arrays["codebooks"] + direction}) - weight
        assert abs(float((found * direction).sum()) - float((np.conj(dweight) * moved).sum().real)) < 1e-12


def test_scores_of_near_codes_learn_most() -> None:
    """The sign is that of dW (C_k - W), the size falls with the distance: moves stay local."""
    weight_map = CodebookWeight(RNG.normal(size=(6, 50)), 3, mapping=True)
    rows, _, books = weight_map.forward(weight_map.start())[1]
    dweight = np.ones((6, 50))
    found = weight_map.vjp(dweight, weight_map.forward(weight_map.start())[1])["scores"]
    step = books[0] - rows[..., None]
    np.testing.assert_array_equal(np.sign(found), np.sign(step))
    for r, c in np.ndindex(6, 50):
        own = np.abs(step[r, c]) > 0
        order = np.argsort(np.abs(step[r, c][own]))
        assert (np.diff(np.abs(found[r, c][own][order])) < 0).all()
    assert (np.abs(found) <= 1).all()


def test_codebooks_and_codes_are_trained_by_the_training_loop() -> None:
    w = RNG.normal(size=(8, 6))
    x = RNG.normal(size=(256, 6)) @ np.diag([3, 2, 1, 0.3, 0.1, 0.1])
    options: dict[str, Any] = {"epochs": 30, "batch_size": 64, "schedule": cosine(30)}
    for mapping in (False, True):
        mapped = MappedParameters({"w": w}, {"w": CodebookWeight(w, 2, groups=2, mapping=mapping)})

        def loss(v: Any, batch: Any, mapped: Any = mapped) -> Any:
            return mean_squared_error(linear(batch[0], mapped.weights(v)["w"]), batch[1])

        done = train(loss, mapped.start(), (x, x @ w.T), optimizer=Adam(0.01), **options)
        after = mapped.fold(done.parameters)["w"]
        assert len(np.unique(after)) <= 8
        losses = done.losses.reshape(30, 4).mean(axis=1)
        assert losses.min() < 0.9 * losses[0]
        codes = mapped.maps["w"].codes_of({n.removeprefix("w."): a for n, a in done.parameters.items()})
        assert bool((codes != mapped.maps["w"].codes).any()) == mapping


def test_a_delta_of_codes_in_a_file(tmp_path: Path) -> None:
    model = {"w": drawn("f4", (20, 30)), "z": drawn("c8", (6, 5, 4))}
    maps = {"w": CodebookWeight(model["w"], 3, groups=4), "z": CodebookWeight(model["z"], 4, row_axes=(0, 2))}
    mapped = MappedParameters(model, maps)
    arrays = {name: a + np.float32(0.125) for name, a in mapped.start().items()}
    delta = mapped.delta(arrays)
    save(tmp_path / "delta.h5", WeightDeltas({"codes": delta}))
    found = load(tmp_path / "delta.h5").named().applied(model)
    for name, wanted in mapped.fold(arrays).items():
        np.testing.assert_array_equal(found[name], wanted)
    assert delta.nbytes < 0.35 * sum(a.nbytes for a in model.values())
    with pytest.raises(InvalidValueError, match="belongs to a model with the fingerprint"):
        delta.applied({"w": model["w"] + 1, "z": model["z"]})


def test_dead_groups_and_other_refusals() -> None:
    weight = RNG.normal(size=(4, 6))
    with pytest.raises(InvalidValueError, match="group 1 has no neuron"):
        CodebookWeight(weight, 2, groups=np.array([0, 0, 2, 2]))
    with pytest.raises(InvalidValueError, match="a group is -1"):
        CodebookWeight(weight, 2, groups=np.array([0, 0, -1, 1]))
    with pytest.raises(ShapeError, match="a whole number for each of 4"):
        CodebookWeight(weight, 2, groups=np.array([0, 1]))
    with pytest.raises(InvalidValueError, match="groups is 5 and there are 4 neurons"):
        CodebookWeight(weight, 2, groups=5)
    with pytest.raises(InvalidValueError, match="bits is 6"):
        CodebookWeight(weight, 6)
    with pytest.raises(InvalidValueError, match="NaN"):
        CodebookWeight(np.full((2, 2), np.nan), 2)
    with pytest.raises(DTypeError, match="int64"):
        CodebookWeight(np.ones((2, 2), int), 2)
    with pytest.raises(ShapeError, match="at least one entry"):
        CodebookWeight(np.ones((0, 2)), 2)
    with pytest.raises(InvalidValueError, match="the file is damaged"):
        CodebookWeight.from_change(weight, WeightChange("codebook", {"codebooks": np.ones((1, 4))}))


def test_one_value_and_equal_neurons() -> None:
    weight_map = CodebookWeight(np.full((4, 5), 0.5, "f4"), 4, groups=2, mapping=True)
    arrays = weight_map.start()
    np.testing.assert_array_equal(weight_map.fold(arrays), 0.5)
    assert all(
        np.isfinite(g).all() for g in weight_map.vjp(np.ones((4, 5), "f4"), weight_map.forward(arrays)[1]).values()
    )
