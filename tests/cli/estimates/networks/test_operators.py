"""Time and memory of neural operators and of their samples, told before and taken."""

from __future__ import annotations

import numpy as np
import pytest
from dry_runs import compared

from sci.cli.estimates.networks.operators import generation_needs, prediction_needs
from sci.io import save, save_samples
from sci.operators import FNO, TrainedOperator


def _samples(path, n, size):
    fields = np.random.default_rng(0).normal(size=(2, n, size, size)).astype(np.float32)
    save_samples(path, *fields, grid_axes=2, periodic=True)
    return path


@pytest.mark.parametrize(
    "more",
    [
        ("--modes", 8, "--hidden", 24, "--epochs", 2, "--batch", 16),
        ("--modes", 6, "--hidden", 16, "--epochs", 4, "--batch", 4, "--layers", 2, "--loss", "l2"),
    ],
)
def test_a_dry_run_of_a_training_tells_what_it_takes(more, tmp_path) -> None:
    words = ("operator", "train", _samples(tmp_path / "s.h5", 32, 64), "-o", tmp_path / "m.h5", *more)
    found = compared("sci.cli.commands.operators.operator", *words)
    assert found.misses == {}, found


def test_a_dry_run_of_a_sweep_tells_what_it_takes(tmp_path) -> None:
    samples, tests = _samples(tmp_path / "s.h5", 32, 64), _samples(tmp_path / "t.h5", 4, 64)
    words = ("operator", "sweep", samples, "-o", tmp_path / "r.csv", "--test", tests, "--modes", 8, "--hidden", 8, 24)
    found = compared("sci.cli.commands.operators.sweep", *words, "--batch", 16, "--epochs", 2, "--samples", 16, 32)
    assert found.misses == {}, found


def test_a_dry_run_of_an_adaptation_tells_what_it_takes(tmp_path) -> None:
    save(tmp_path / "m.h5", TrainedOperator(FNO((8, 8), 1, 1, 24, 4)))
    words = ("operator", "adapt", tmp_path / "m.h5", _samples(tmp_path / "s.h5", 32, 64), "-o", tmp_path / "d.h5")
    found = compared("sci.cli.commands.operators.operator", *words, "--epochs", 2, "--rank", 8)
    assert found.misses == {}, found


def test_a_dry_run_of_predictions_tells_what_they_take(tmp_path) -> None:
    save(tmp_path / "m.h5", TrainedOperator(FNO((8, 8), 1, 1, 24, 4)))
    words = ("operator", "predict", tmp_path / "m.h5", _samples(tmp_path / "s.h5", 80, 96), "-o", tmp_path / "o.h5")
    found = compared("sci.cli.commands.operators.operator", *words)
    assert found.misses == {}, found


@pytest.mark.parametrize(
    "words",
    [
        ("darcy", "--samples", 12, "--grid", 128),
        ("navier-stokes", "--samples", 3, "--grid", 64, "--time", 0.2),
    ],
)
def test_a_dry_run_of_samples_tells_what_they_take(words, tmp_path) -> None:
    found = compared("sci.cli.commands.operators.generate", "operator", "generate", *words, "-o", tmp_path / "g.h5")
    assert found.misses == {}, found


def test_ranks_share_the_work() -> None:
    x = np.zeros((8, 1, 16, 16), dtype=np.float32)
    operator = TrainedOperator(FNO((4, 4), 1, 1, 8, 2))
    assert prediction_needs(operator, x, 4, None, ranks=4).memory > 0
    few, many = (generation_needs("darcy", n, 32, 1, {"low": 3.0, "high": 12.0}) for n in (4, 16))
    assert many.memory > few.memory
    assert many.seconds["samples"] > few.seconds["samples"]
