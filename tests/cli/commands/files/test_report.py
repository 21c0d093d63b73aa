"""`sci report` writes a page beside the file or where it is told, and replaces nothing unasked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_cases import run

from sci.io import save, save_samples
from sci.potentials import Particles


@pytest.fixture
def ions(tmp_path: Path) -> Path:
    path = tmp_path / "ions.h5"
    save(path, Particles([[0.0, 0.0, 0.0]], [1.0]))
    return path


def test_the_page_lies_beside_the_file(ions, capsys):
    assert run("report", ions) == 0
    assert capsys.readouterr().out.strip() == str(ions.with_suffix(".html"))
    assert "<title>ions.h5: particles</title>" in ions.with_suffix(".html").read_text()


def test_the_name_and_the_size_as_json(ions, tmp_path, capsys):
    assert run("report", ions, "-o", tmp_path / "a.html", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "file": str(ions),
        "page": str(tmp_path / "a.html"),
        "bytes": (tmp_path / "a.html").stat().st_size,
    }


def test_a_page_that_exists_stays(ions, tmp_path, capsys):
    (tmp_path / "a.html").write_text("mine")
    assert run("report", ions, "-o", tmp_path / "a.html") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run("report", ions, "-o", ions, "--overwrite") == 2
    assert (tmp_path / "a.html").read_text() == "mine"
    assert run("report", ions, "-o", tmp_path / "a.html", "--overwrite", "--quiet") == 0
    assert "mine" not in (tmp_path / "a.html").read_text()[:100]


def test_the_truth_of_predictions(tmp_path, capsys):
    ones = np.ones((2, 4))
    save_samples(tmp_path / "found.h5", ones, 2 * ones, grid_axes=1)
    save_samples(tmp_path / "true.h5", ones, ones, grid_axes=1)
    assert run("report", tmp_path / "found.h5", "--truth", tmp_path / "true.h5") == 0
    assert "1.000e+00" in (tmp_path / "found.html").read_text()
    assert run("report", tmp_path / "none.h5") == 2
