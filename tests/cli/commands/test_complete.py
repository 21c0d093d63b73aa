"""`sci complete`: a table to a field, predictions and pictures, and what is refused before anything is computed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from completion_cases import sinusoids

from sci.cli import main
from sci.io import load, load_results

TRUTH = sinusoids((10, 12, 8), 0.5, 0.1)
SMALL = ["--axes", "x", "y", "t", "--components", "4", "--restarts", "2", "--maxiter", "12"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [f"{x / 2},{y},{t},{v!r},site {t}" for (x, y, t), v in zip(TRUTH.index.tolist(), TRUTH.values.tolist())]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,t,v,site", *rows]))
    (tmp_path / "numbers.csv").write_text("\n".join(["x,y,t,v", *(row.rpartition(",")[0] for row in rows)]))
    (tmp_path / "at.csv").write_text("t,y,x,note\n0,3,1.5,a\n7,11,4.25,b\n")
    (tmp_path / "sites.csv").write_text("x,site\n1.0,site 3\n2.0,site 9\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _json(capsys: Any, *words: str) -> Any:
    assert main(["complete", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_table_becomes_a_field_with_predictions_and_a_picture(folder: Path, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    files = ["-o", "f.vtkhdf", "--plot", "f.png", "--at", "at.csv", "--predictions", "p.csv"]
    report = _json(capsys, "numbers.csv", *SMALL, *files)
    assert report["entries"] == len(TRUTH.values)
    assert report["axes"] == {"x": 10, "y": 12, "t": 8}
    assert 0.05 < report["left_out_rms"] < 0.25
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")
    model = load(folder / "f.vtkhdf")
    places = TRUTH.cells / [2, 1, 1]
    assert TRUTH.rms(model.predict(places).mean) < 0.15
    rows = list(csv.DictReader((folder / "p.csv").read_text().splitlines()))
    assert list(rows[0]) == ["x", "y", "t", "mean", "deviation", "low", "high"]
    want = model.predict({"x": [1.5, 4.25], "y": [3, 11], "t": [0, 7]})
    np.testing.assert_array_equal([float(row["mean"]) for row in rows], want.mean)
    np.testing.assert_array_equal([float(row["high"]) for row in rows], want.interval(0.9)[1])
    assert set(load_results(folder / "f.vtkhdf")["length_scales"]) == {"x", "y", "t"}


def test_categories_are_an_axis(folder: Path, capsys: Any) -> None:
    report = _json(
        capsys, "t.csv", "-o", "f.h5", "--axes", "x", "site", "--categories", "site", "--values", "v", "--maxiter", "3"
    )
    assert report["axes"] == {"x": 10, "site": 8}
    assert load(folder / "f.h5").axes[1].places[0] == "site 0"


def test_a_dry_run_writes_nothing(folder: Path, capsys: Any) -> None:
    report = _json(capsys, "numbers.csv", *SMALL, "-o", "f.h5", "--dry-run")
    assert report["seconds"] > 0
    assert not (folder / "f.h5").exists()


SITE = ["--axes", "x", "site", "--categories", "site", "--values", "v"]
REFUSED: list[tuple[list[str], str]] = [
    (["t.csv", "--axes", "x", "y"], "site is 'site .'; expected a number"),
    (["numbers.csv", "--axes", "x", "y"], "columns t, v beside the axes; name .* --values"),
    (["numbers.csv", "--axes", "x", "z"], "no column z"),
    (["numbers.csv", "--axes", "x", "x"], "two to six different columns"),
    (["numbers.csv", "--axes", "x"], "two to six different columns"),
    (["numbers.csv", "--axes", "x", "y", "--values", "w"], "no column w; its columns are x, y, t, v"),
    (["numbers.csv", "--axes", "x", "y", "--values", "y"], "is one of --axes"),
    (["t.csv", "--axes", "x", "y", "--categories", "site", "--values", "v"], "--categories site: expected some of"),
    (["numbers.csv", *SMALL, "--at", "at.csv"], "belong together"),
    (["t.csv", *SITE, "--at", "sites.csv", "--predictions", "p.csv"], "axis site: site 9 in row 1 is none of its 8"),
    (["t.csv", "--axes", "site", "x", "--values", "v"], "line 2: site is 'site .'; expected a number"),
    (["numbers.csv", *SMALL, "--plot", "a.xyz"], "unknown picture format"),
]


@pytest.mark.parametrize(("words", "text"), REFUSED)
def test_what_cannot_be_right_is_refused(folder: Path, capsys: Any, words: list[str], text: str) -> None:
    assert main(["complete", *words, "-o", "f.h5"]) == 2
    assert re.search(text, capsys.readouterr().err)
    assert not (folder / "f.h5").exists()


def test_an_image_of_categories_is_refused_before_the_fit(folder: Path, capsys: Any) -> None:
    assert main(["complete", "t.csv", *SITE, "-o", "f.vtkhdf"]) == 2
    assert ".vtkhdf takes two or three numeric axes; name it f.h5" in capsys.readouterr().err
