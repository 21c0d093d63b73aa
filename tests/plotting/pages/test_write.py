"""A page of every kind of file: its structure, its size, and whatever a file may say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from kinds import KINDS

from sci.errors import FileFormatError, InvalidValueError
from sci.io import read_header, save, save_samples
from sci.plotting import report
from sci.plotting.pages.charts import require_plotly
from sci.potentials import Particles

GOLDEN = sorted((Path(__file__).parents[2] / "data").glob("*_v*.h5"))
EVIL = "</script><script>alert(1)</script>"


def _charts(text: str) -> list[dict]:
    """The charts of a page; plotly checks every property of theirs."""
    found = re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)
    assert not re.search(r"\bNaN\b", re.sub(r"\"bdata\":\"[^\"]*\"", "", found[0]))  # letters of packed numbers aside
    assert "Infinity" not in found[0]
    charts = json.loads(found[0]) if found else []
    go = require_plotly()
    for chart in charts:
        go.Figure(chart["data"], chart["layout"])
    return charts


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.checked])
def test_every_kind_of_file_has_a_page(name: str, tmp_path: Path) -> None:
    path, output = tmp_path / f"{name}.h5", tmp_path / "page.html"
    KINDS[name].write(path)
    report(path, output)
    text, header = output.read_text(), read_header(path)
    assert output.stat().st_size < 6_000_000
    for said in (header.kind, header.uuid, header.created, "golden" if "streamed" not in name else "not recorded"):
        assert said in text
    charts = _charts(text)
    assert len(charts) == text.count('class="plot"') > 0
    headings = re.findall(r"<(?:h2|summary)>(.*?)</", text)
    assert len(set(headings)) == len(headings), "a heading is printed once"
    for chart in charts:
        for axis in ("xaxis", "yaxis"):
            if "title" in chart["layout"].get(axis, {}):
                assert chart["layout"][axis]["title"].get("text") is not None
        bar = chart["layout"].get("coloraxis", {}).get("colorbar")
        assert bar is None or bar["title"]["text"]


@pytest.mark.parametrize("path", [p for p in GOLDEN if ".part" not in p.name], ids=lambda p: p.stem)
def test_files_of_every_schema_have_a_page(path: Path, tmp_path: Path) -> None:
    report(path, tmp_path / "page.html")
    assert read_header(path).uuid in (tmp_path / "page.html").read_text()


def test_what_a_file_says_runs_nowhere(tmp_path: Path) -> None:
    ions = Particles([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [1.0, -1.0], names=(EVIL, "b"))
    results = {"<b>note": EVIL, "part": {"curve<script>": np.arange(4.0)}}
    save(tmp_path / "a.h5", ions, results=results, command=EVIL, units=EVIL, parent_uuid=EVIL)
    report(tmp_path / "a.h5", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert "</script>" not in re.findall(r'id="charts">(.*?)</script>', text, re.DOTALL)[0]


def test_predictions_beside_the_truth(tmp_path: Path) -> None:
    x, y = np.ones((4, 8, 8)), np.arange(4.0)[:, None, None] + np.ones((4, 8, 8))
    save_samples(tmp_path / "found.h5", x, 1.1 * y, grid_axes=2, periodic=False)
    save_samples(tmp_path / "true.h5", x, y, grid_axes=2, periodic=False)
    report(tmp_path / "found.h5", tmp_path / "a.html", truth=tmp_path / "true.h5")
    text = (tmp_path / "a.html").read_text()
    assert "Relative L2 error" in text
    assert "1.000e-01" in text
    assert "Sample 0: error" in text


def test_one_channel_may_have_an_axis_of_its_own(tmp_path: Path) -> None:
    """Predictions have one, (n, 1, *grid), and samples of Darcy flow none: the truth was refused."""
    x, y = np.ones((4, 8, 8)), np.arange(1.0, 5.0)[:, None, None] * np.ones((4, 8, 8))
    save_samples(tmp_path / "found.h5", x[:, None], 1.1 * y[:, None], grid_axes=2, periodic=False)
    save_samples(tmp_path / "true.h5", x, y, grid_axes=2, periodic=False)
    for one, other in (("found", "true"), ("true", "found")):
        report(tmp_path / f"{one}.h5", tmp_path / f"{one}.html", truth=tmp_path / f"{other}.h5")
        expected = "1.000e-01" if one == "found" else "9.091e-02"
        assert expected in (tmp_path / f"{one}.html").read_text()


def test_a_truth_of_another_kind_or_shape_is_refused(tmp_path: Path) -> None:
    ones = np.ones((2, 4))
    save_samples(tmp_path / "a.h5", ones, ones)
    save_samples(tmp_path / "b.h5", ones, np.ones((2, 5)))
    save(tmp_path / "p.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    said = r"b\.h5 has 2 samples with .* outputs of 5 numbers, and .*a\.h5 2 samples .* on the same grid"
    with pytest.raises(FileFormatError, match=said):
        report(tmp_path / "a.h5", tmp_path / "a.html", truth=tmp_path / "b.h5")
    with pytest.raises(InvalidValueError, match="truth goes with a file of samples"):
        report(tmp_path / "p.h5", tmp_path / "a.html", truth=tmp_path / "b.h5")
    assert not (tmp_path / "a.html").exists()


def test_a_page_that_exists_is_replaced_when_asked(tmp_path: Path) -> None:
    save(tmp_path / "p.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(InvalidValueError, match="overwrite=True"):
        report(tmp_path / "p.h5", tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text() == "mine"
    report(tmp_path / "p.h5", tmp_path / "a.html", overwrite=True)
    assert "particles" in (tmp_path / "a.html").read_text()


def test_a_missing_or_foreign_file_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    for name in ("none.h5", "text.h5"):
        with pytest.raises(FileFormatError):
            report(tmp_path / name, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()
