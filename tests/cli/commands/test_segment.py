"""`sci segment train|predict`: a model from volumes with labels, labels by a model, and what they refuse."""

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
from sci.nn import Segmenter, Standardizer, UNet, UNetConfig, train_segmenter
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
        *("segment", "predict", folder / volume, "-o", folder / "l.h5", "--model", folder / model),
        *("--box", 8, "--overwrite", *words),
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
    assert "expected a model of sci segment train" in capsys.readouterr().err
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
    words = ["segment", "predict", str(folder / "v.h5"), "-o", str(out), "--model", str(folder / "flat.h5"), "--quiet"]
    assert main(words) == 0
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["VTKHDF/CellData/labels"][0].T, load(out).labels)


def _train(folder: Path, samples: str, *words: object) -> int:
    options = ("--channels", 4, 6, "--epochs", 4, "--seed", 3, "--overwrite")
    return run("segment", "train", folder / samples, "-o", folder / "m.h5", *options, *words)


def test_a_training_gives_the_model_of_the_library(folder: Path, capsys: Any) -> None:
    x = RNG.normal(size=(6, 1, 16, 16)).astype("f4")
    y = (x[:, 0] > 0).astype(int) + (x[:, 0] > 1)
    save_samples(folder / "s.h5", x[:4], y[:4].astype("f4"), grid_axes=2)
    with h5py.File(folder / "plain.h5", "w") as file:  # no word about the grid, labels as integers with a channel
        file["x"], file["y"] = x[4:], y[4:, None].astype("u1")
    tests = {"plain": (x[4:], y[4:])}
    expected, history = train_segmenter(
        UNet(UNetConfig(2, 1, 3, (4, 6)), seed=3), x[:4], y[:4], epochs=4, tests=tests, seed=3
    )
    assert _train(folder, "s.h5", "--test", folder / "plain.h5", "--json", "--plot", folder / "loss.png") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["loss"] == float(history.losses[-1])
    assert report["dice_plain"] == float(history.metrics["dice_plain"][-1])
    assert (report["samples"], report["classes"], report["steps"]) == (4, 3, 8)
    assert (folder / "loss.png").stat().st_size > 1000
    found = load(folder / "m.h5")
    for name, array in expected.to_state().parameters.items():
        np.testing.assert_array_equal(found.to_state().parameters[name], array)
    assert read_header(folder / "m.h5").parent_uuid == read_header(folder / "s.h5").uuid
    assert _segment(folder, "s.h5", "--sample", 1, model="m.h5") == 0
    np.testing.assert_array_equal(load(folder / "l.h5").labels, found.segment(x[1], box=8)[1])


def test_a_training_that_was_stopped_goes_on_bit_for_bit(folder: Path, capsys: Any) -> None:
    x = RNG.normal(size=(4, 8, 8)).astype("f4")
    save_samples(folder / "s.h5", x, (x > 0).astype("f4"), grid_axes=2)
    assert _train(folder, "s.h5") == 0
    whole = load(folder / "m.h5").to_state().parameters
    kept: list[bytes] = []

    def stop(path: Path, checkpoint: Any, **settings: Any) -> None:
        save(path, checkpoint, overwrite=True, **settings)
        kept.append(path.read_bytes())
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sci.io.save", stop)
        assert _train(folder, "s.h5", "--checkpoint", folder / "c.h5") == 130
    assert len(kept) == 2
    assert _train(folder, "s.h5", "--resume", folder / "c.h5") == 0
    for name, array in load(folder / "m.h5").to_state().parameters.items():
        np.testing.assert_array_equal(array, whole[name])
    assert _train(folder, "s.h5", "--resume", folder / "flat.h5") == 2
    assert "expected a checkpoint of a training" in capsys.readouterr().err


def test_a_training_refuses_what_does_not_fit_by_name(folder: Path, capsys: Any) -> None:
    x = RNG.normal(size=(4, 8, 8)).astype("f4")
    save_samples(folder / "s.h5", x, (x > 0).astype("f4"), grid_axes=2)
    save_samples(folder / "half.h5", x, 0.5 * (x > 0), grid_axes=2)
    save_samples(folder / "turned.h5", x[:, :, :4], (x[:, :4] > 0).astype("f4"), grid_axes=2)
    save_samples(folder / "many.h5", x, 2.0 * (x > 0), grid_axes=2)
    for words, said in (
        (("half.h5",), "numbers from 0 to 0.5; expected one label"),
        (("turned.h5",), "one label from 0 to 65535, a whole number, for each cell of x"),
        (("s.h5", "--channels", 4, 4, 4, 4, 4), "expected multiples of 16"),
        (("s.h5", "--kernel", 4), "expected an odd number of taps"),
        (("s.h5", "--norm", "group", "--groups", 3), "expected a divisor of all"),
        (("s.h5", "--groups", 2), "--groups goes with --norm group or evonorm_s0"),
        (("many.h5", "--classes", 2), "labels from 0 to 2; expected 0 to 1"),
    ):
        assert _train(folder, *words) == 2, words
        assert said in capsys.readouterr().err, words
    assert not (folder / "m.h5").exists()
    assert _train(folder, "many.h5", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fits"]
    assert told["samples"] == 4
    assert not (folder / "m.h5").exists()
