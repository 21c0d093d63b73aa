"""`sci compress`: reports what became of each array, and refuses what does not fit."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run
from kinds import KINDS

from sci.cli.commands.files import compress
from sci.errors import InvalidValueError
from sci.io import load, read_header, save_samples

X = np.sin(np.linspace(0.0, 8.0, 6 * 32 * 32)).reshape(6, 32, 32)


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    save_samples(tmp_path / "flow.h5", X, np.ones((6, 3)), grid_axes=None)
    return tmp_path / "flow.h5"


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_it_compresses_fields_and_tells_of_all_arrays(flow: Path, tmp_path: Path, capsys: Any) -> None:
    small = tmp_path / "small.h5"
    assert run("compress", flow, "-o", small, "--tol", "1e-3", "--chunk", "3", "--json") == 0
    found = told(capsys)
    (field,) = found["fields"]
    assert (field["name"], field["shape"], field["chunks"]) == ("x", [6, 32, 32], 2)
    assert found["exact"] == {"y": "fewer than 4096 numbers"}
    truth, x = load(flow).x, load(small).x
    assert field["error"]["relative"] == pytest.approx(np.linalg.norm(x - truth) / np.linalg.norm(truth))
    assert field["error"]["relative"] <= 1e-3
    assert found["bytes"] == small.stat().st_size
    np.testing.assert_array_equal(load(small).y, load(flow).y)
    assert read_header(small).uuid == read_header(flow).uuid


def test_the_table(flow: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("compress", flow, "-o", tmp_path / "c.h5", "--tol", "0.01", "--bound", "maximum", "--absolute") == 0
    out = capsys.readouterr().out
    assert "to 1 by" in out
    assert "copied exactly  y: fewer than 4096 numbers" in out
    assert np.abs(load(tmp_path / "c.h5").x - X).max() <= 0.01
    assert run("compress", flow, "-o", tmp_path / "d.h5", "--tol", "0.01", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_dry_run_lists_fields_and_writes_nothing(flow: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("compress", flow, "-o", tmp_path / "c.h5", "--tol", "1e-3", "--dry-run", "--json") == 0
    found = told(capsys)
    assert found["fields"] == ["x 6 x 32 x 32 float64"]
    assert found["exact"] == ["y 6 x 3 float64: fewer than 4096 numbers"]
    assert found["fits"]
    assert not (tmp_path / "c.h5").exists()


def test_arrays_by_name_and_npy(flow: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("compress", flow, "-o", tmp_path / "c.h5", "--tol", "0.1", "--datasets", "y", "--json") == 0
    assert [field["name"] for field in told(capsys)["fields"]] == ["y"]
    np.save(tmp_path / "x.npy", X)
    assert run("compress", tmp_path / "x.npy", "-o", tmp_path / "d.h5", "--tol", "1e-2") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("array")
    assert load(tmp_path / "d.h5").relative_l2_error <= 1e-2


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("samples", ["--tol", "1e-3"], "samples.h5: holds no field to compress; name arrays by --datasets: x, y"),
        ("tucker", ["--tol", "1e-3"], "tucker.h5: holds no field to compress; name arrays by --datasets: tucker/core"),
        ("packed_samples", ["--tol", "1e-3"], "compressed already; `sci decompress` it first"),
        ("spread", ["--tol", "1e-3"], "`sci join` makes one file of them first"),
        ("foreign_samples", ["--tol", "1e-3"], "no file of sci"),
        ("samples", [], "samples.h5 holds fields; give --tol"),
        ("samples", ["--tol", "1", "--datasets", "z"], "no array of floats is named 'z'"),
        ("samples", ["--tol", "1", "--device", "cuda"], "computes on the CPU"),
    ],
)
def test_what_cannot_be_compressed(tmp_path: Path, capsys: Any, name: str, words: list[str], message: str) -> None:
    KINDS[name].write(tmp_path / f"{name}.h5")
    assert run("compress", tmp_path / f"{name}.h5", "-o", tmp_path / "c.h5", *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "c.h5").exists()


def test_outputs_are_not_replaced_unasked_and_never_the_input(flow: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("compress", flow, "-o", flow, "--tol", "1e-3", "--overwrite") == 2
    assert "is the input" in capsys.readouterr().err
    (tmp_path / "c.h5").write_text("mine")
    assert run("compress", flow, "-o", tmp_path / "c.h5", "--tol", "1e-3") == 2
    assert (tmp_path / "c.h5").read_text() == "mine"
    assert run("compress", flow, "-o", tmp_path / "c.h5", "--tol", "1e-3", "--overwrite") == 0


def test_options_of_other_contents_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compress.OPTIONS, "models", ("bits",))
    a = argparse.Namespace(**dict.fromkeys(compress.OPTIONS["fields"]), bits=4, input=Path("flow.h5"))
    with pytest.raises(InvalidValueError, match=r"--bits goes with a file of models; flow\.h5 holds fields"):
        compress.require_options(a, "fields")
    a.tol = 1e-3
    with pytest.raises(InvalidValueError, match="--tol goes with a file of fields"):
        compress.require_options(a, "models")
