"""Completed fields come back to the bit, predict the same, and are drawn where they lie."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from completion_cases import sinusoids
from samples import make_objects, same

from sci.completion import FunctionalCP, functional_cp, masked_components, observe
from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, save

TRUTH = sinusoids((6, 8), 0.7, 0.1)


def _fitted(names: tuple[str, str] = ("x", "y"), text: bool = False) -> FunctionalCP:
    table = {name: TRUTH.index[:, k] / 4 + 10 for k, name in enumerate(names)}
    if text:
        table[names[1]] = np.array(list("abcdefgh"))[TRUTH.index[:, 1]]
    return functional_cp(observe(table, TRUTH.values), masked_components(2, 2), restarts=2, maxiter=3)


@pytest.mark.parametrize("text", [False, True])
def test_a_field_comes_back(tmp_path: Path, text: bool) -> None:
    model = _fitted(text=text)
    save(tmp_path / "a.h5", model)
    back = load(tmp_path / "a.h5")
    assert same(back, model)
    asked = {"x": [10.1, 12.0], "y": ["b", "h"] if text else [9.0, 11.0]}
    found, want = back.predict(asked), model.predict(asked)
    for name in ("mean", "deviation", "noise"):
        np.testing.assert_array_equal(getattr(found, name), getattr(want, name))


def test_its_image_lies_at_its_places(tmp_path: Path) -> None:
    model = _fitted()
    save(tmp_path / "a.vtkhdf", model)
    places, found = model.on_grid()
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        image = file["VTKHDF"]
        np.testing.assert_allclose(image.attrs["Origin"], [10 - 0.125, 10 - 0.125, 0])
        np.testing.assert_allclose(image.attrs["Spacing"], [0.25, 0.25, 1])
        np.testing.assert_allclose(image["x"][()], places[0])
        np.testing.assert_array_equal(image["CellData/mean"][0], found.mean.T)
        np.testing.assert_array_equal(image["CellData/deviation"][0], found.deviation.T)
        np.testing.assert_array_equal(image["CellData/upper_90"][0], found.interval(0.9)[1].T)


def test_a_field_with_categories_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="the categories of y is no image"):
        save(tmp_path / "a.vtkhdf", _fitted(text=True))
    assert not (tmp_path / "a.vtkhdf").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("axis_0/smoothness", 1.0), ("axis_0/lengths", -1.0), ("axis_1/noise_weights", 0.0), ("axis_0/places", 0.0)],
)
def test_damage_is_told(tmp_path: Path, name: str, value: float) -> None:
    save(tmp_path / "a.h5", make_objects()["functional_cp"])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        dataset = file["functional_cp"][name]
        dataset[...] = np.full(dataset.shape, value)
        del dataset.attrs["crc32"]
    with pytest.raises(FileFormatError, match="damaged"):
        load(tmp_path / "a.h5")


def test_a_missing_axis_is_told(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", make_objects()["functional_cp"])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["functional_cp/axis_1"]
    with pytest.raises(FileFormatError, match="axis_1"):
        load(tmp_path / "a.h5")
