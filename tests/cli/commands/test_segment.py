"""`sci segment`: labels of a volume in a file, what it takes as a volume, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_cases import run

from sci.cli import main
from sci.io import load, read_header, save, save_samples
from sci.nn import Segmenter, Standardizer, UNet, UNetConfig
from sci.potentials import PotentialGrid

RNG = np.random.default_rng(3)
FLAT = Segmenter(UNet(UNetConfig(2, 1, 3, (4, 6)), seed=1), Standardizer.fit(5 + RNG.normal(size=(4, 1, 8, 8))))
DEEP = Segmenter(UNet(UNetConfig(3, 1, 3, (2, 4)), seed=1))
FIELD = (5 + RNG.normal(size=(1, 1, 21, 16))).astype("f4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "flat.h5", FLAT)
    save(tmp_path / "deep.h5", DEEP)
    return tmp_path


def _segment(folder: Path, volume: str, *words: object, model: str = "flat.h5") -> int:
    return run(
        "segment", folder / volume, "-o", folder / "l.h5", "--model", folder / model, "--box", 8, "--overwrite", *words
    )


def test_labels_are_those_of_the_library(folder: Path, capsys: Any) -> None:
    _, expected = FLAT.segment(FIELD[0], box=8)
    save_samples(folder / "v.h5", FIELD, expected[None].astype("f4"), grid_axes=2)
    assert _segment(folder, "v.h5", "--json") == 0
    report, found = json.loads(capsys.readouterr().out), load(folder / "l.h5")
    np.testing.assert_array_equal(found.labels, expected)
    assert report["counts"] == np.bincount(expected.ravel(), minlength=3).tolist() == found.counts.tolist()
    assert report["grid"] == [21, 16]
    assert [d for d in report["dice"] if d is not None] == [1.0] * len(np.unique(expected))
    assert read_header(folder / "l.h5").parent_uuid == read_header(folder / "v.h5").uuid
    assert _segment(folder, "v.h5") == 0
    assert "Dice 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("shape", [(21, 16), (1, 21, 16), (1, 1, 21, 16)])
def test_a_plain_file_may_hold_a_volume_with_and_without_channels(folder: Path, shape: tuple[int, ...]) -> None:
    with h5py.File(folder / "plain.h5", "w") as file:
        file["x"] = FIELD.reshape(shape)
    assert _segment(folder, "plain.h5") == 0
    np.testing.assert_array_equal(load(folder / "l.h5").labels, FLAT.segment(FIELD[0], box=8)[1])


def test_channels_are_told_from_samples_by_the_model(folder: Path) -> None:
    two = Segmenter(UNet(UNetConfig(2, 2, 3, (4, 6)), seed=1))
    save(folder / "two.h5", two)
    field = RNG.normal(size=(2, 21, 16)).astype("f4")
    with h5py.File(folder / "plain.h5", "w") as file:
        file["x"] = field
    assert _segment(folder, "plain.h5", model="two.h5") == 0
    np.testing.assert_array_equal(load(folder / "l.h5").labels, two.segment(field, box=8)[1])


def test_a_potential_is_a_volume_with_the_widths_of_its_cells(folder: Path) -> None:
    values = RNG.normal(size=(9, 12, 8)).astype("f4")
    save(folder / "grid.h5", PotentialGrid(values, (0.0, 0.0, 0.0), (0.5, 0.25, 1.0)))
    assert _segment(folder, "grid.h5", model="deep.h5") == 0
    found = load(folder / "l.h5")
    assert found.spacing == (0.5, 0.25, 1.0)
    np.testing.assert_array_equal(found.labels, DEEP.segment(values[None], box=8)[1])


def test_one_of_several_samples_is_chosen(folder: Path, capsys: Any) -> None:
    fields = np.concatenate([FIELD, FIELD[:, :, ::-1]])
    save_samples(folder / "v.h5", fields, fields, grid_axes=2)
    assert _segment(folder, "v.h5") == 2
    assert "choose one by --sample" in capsys.readouterr().err
    assert _segment(folder, "v.h5", "--sample", 1) == 0
    np.testing.assert_array_equal(load(folder / "l.h5").labels, FLAT.segment(fields[1], box=8)[1])
    assert "Dice" not in capsys.readouterr().out  # y is no labels
    assert _segment(folder, "v.h5", "--sample", 2) == 2


def test_what_does_not_fit_is_refused_by_name(folder: Path, capsys: Any) -> None:
    save_samples(folder / "v.h5", FIELD, FIELD, grid_axes=2)
    save_samples(folder / "thin.h5", FIELD[..., :1], FIELD, grid_axes=2)
    save_samples(folder / "pair.h5", np.repeat(FIELD, 2, axis=1), FIELD, grid_axes=2)
    save(folder / "unet.h5", FLAT.network)
    for words, said in (
        (("v.h5", "--overlap", 0), "boxes that only touch leave seams"),
        (("v.h5", "--box", 7), "expected multiples of 2"),
        (("v.h5", "--box", 8, 8, 8), "expected one, or 2 for this model"),
        (("v.h5", "--box", 2), "no variance"),
        (("thin.h5",), "2 or more along each axis"),
        (("pair.h5",), "2 channels on 2 axes; the model takes 1 on 2"),
    ):
        assert _segment(folder, *words) == 2, words
        assert said in capsys.readouterr().err
    assert _segment(folder, "v.h5", model="unet.h5") == 2
    assert "expected a Segmenter" in capsys.readouterr().err
    assert _segment(folder, "v.h5", model="deep.h5") == 2
    assert "fields on 2 grid axes; the model takes 3" in capsys.readouterr().err
    with h5py.File(folder / "line.h5", "w") as file:
        file["x"] = np.zeros(20)
    assert _segment(folder, "line.h5") == 2
    assert "2 grid axes, those of the model" in capsys.readouterr().err
    assert not (folder / "l.h5").exists()


def test_paraview_opens_labels_of_that_suffix(folder: Path) -> None:
    save_samples(folder / "v.h5", FIELD, FIELD, grid_axes=2)
    out = folder / "l.vtkhdf"
    assert main(["segment", str(folder / "v.h5"), "-o", str(out), "--model", str(folder / "flat.h5"), "--quiet"]) == 0
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["VTKHDF/CellData/labels"][0].T, load(out).labels)
