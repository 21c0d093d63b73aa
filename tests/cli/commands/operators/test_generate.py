"""`sci operator generate`: the file holds what the generators give, and bad arguments are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sci.cli import main
from sci.io import load_samples, read_header
from sci.problems import darcy_flow, navier_stokes


def test_darcy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d.h5"
    words = ["operator", "generate", "darcy", "-o", str(out), "--samples", "3", "--grid", "24", "--subsample", "2"]
    assert main([*words, "--seed", "5", "--high", "9"]) == 0
    assert "3 of darcy, 12 x 12" in capsys.readouterr().out
    for read, expected in zip(load_samples(out), darcy_flow(3, 24, subsample=2, high=9.0, seed=5)):
        np.testing.assert_array_equal(read, expected)
    assert (load_samples(out).grid_axes, load_samples(out).periodic) == (2, False)
    assert "--high 9" in read_header(out).command


def test_navier_stokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "n.h5"
    words = ["operator", "generate", "navier-stokes", "-o", str(out), "--samples", "2", "--grid", "16", "--json"]
    assert main([*words, "--time", "0.1", "--time-step", "0.02", "--viscosity", "0.01"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 2
    x, y = navier_stokes(2, 16, time=0.1, time_step=0.02, viscosity=0.01)
    for read, expected in zip(load_samples(out), (x, y[:, 0])):
        np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("options", "text"),
    [(["--grid", "1"], "size is 1"), (["--samples", "-1"], "--samples: '-1'"), (["--low", "nan"], "--low: 'nan'")],
)
def test_bad_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], text: str) -> None:
    assert main(["operator", "generate", "darcy", "-o", str(tmp_path / "d.h5"), *options]) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("equation", "option", "other"),
    [
        *(("darcy", option, "navier-stokes") for option in ("--viscosity", "--time", "--time-step")),
        *(("navier-stokes", option, "darcy") for option in ("--low", "--high")),
    ],
)
def test_an_option_of_the_other_equation_is_refused(tmp_path, capsys, equation, option, other):
    words = ["operator", "generate", equation, "-o", str(tmp_path / "n.h5"), option, "1"]
    assert main(words) == 2
    assert f"{option} goes with {other}, not with {equation}; leave it out" in capsys.readouterr().err
    (tmp_path / "c.toml").write_text(f"[operator.generate]\n{option[2:]} = 1.0\n")
    assert main([*words[:5], "--config", str(tmp_path / "c.toml")]) == 2
    assert f"{option} goes with {other}" in capsys.readouterr().err
    assert not (tmp_path / "n.h5").exists()
