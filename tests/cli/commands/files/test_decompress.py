"""`sci decompress`: the file as it was, with plain datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run
from samples import same

from sci.io import load, save_samples

X = np.sin(np.linspace(0.0, 8.0, 6 * 32 * 32)).reshape(6, 32, 32)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    save_samples(tmp_path / "flow.h5", X, X, grid_axes=2)
    assert run("compress", tmp_path / "flow.h5", "-o", tmp_path / "small.h5", "--tol", "1e-3", "--quiet") == 0
    return tmp_path / "small.h5"


def test_it_writes_plain_datasets(small: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("decompress", small, "-o", tmp_path / "again.h5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [field["name"] for field in found["fields"]] == ["x", "y"]
    assert found["bytes"] == (tmp_path / "again.h5").stat().st_size
    assert same(load(tmp_path / "again.h5"), load(small))


def test_one_array(small: Path, tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    assert run("compress", tmp_path / "x.npy", "-o", tmp_path / "c.h5", "--tol", "1e-3") == 0
    assert run("decompress", tmp_path / "c.h5", "-o", tmp_path / "y.h5") == 2
    assert "expected a name like y.npy" in capsys.readouterr().err
    assert run("decompress", tmp_path / "c.h5", "-o", tmp_path / "y.npy") == 0
    assert np.linalg.norm(np.load(tmp_path / "y.npy") - X) <= 1e-3 * np.linalg.norm(X)


def test_a_dry_run_writes_nothing(small: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("decompress", small, "-o", tmp_path / "again.h5", "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fields"] == ["x 6 x 32 x 32 float64", "y 6 x 32 x 32 float64"]
    assert found["disk_bytes"] > 2 * X.nbytes
    assert not (tmp_path / "again.h5").exists()


def test_what_is_not_compressed_and_what_exists(small: Path, tmp_path: Path, capsys: Any) -> None:
    flow = tmp_path / "flow.h5"
    assert run("decompress", flow, "-o", tmp_path / "again.h5") == 2
    assert "is not compressed" in capsys.readouterr().err
    assert run("decompress", small, "-o", flow) == 2
    assert "exists" in capsys.readouterr().err
    assert run("decompress", small, "-o", small, "--overwrite") == 2
    assert "is the input" in capsys.readouterr().err
    small.write_bytes(small.read_bytes()[:3000])
    assert run("decompress", small, "-o", tmp_path / "again.h5") == 2
    assert "small.h5: " in capsys.readouterr().err


def test_the_commands_on_files_take_a_compressed_one(small: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("info", small) == 0
    out = capsys.readouterr().out
    assert "samples" in out
    assert "compressed to" in out
