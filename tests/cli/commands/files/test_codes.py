"""`sci compress --codebook` and back: fixed rates, shapes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.compression import CodedFields, MultiScaleVQ, train_vector_quantizer, unit_rms
from sci.io import load, save, save_samples

FIELDS = np.random.default_rng(2).normal(size=(5, 1, 32, 32)).cumsum(axis=2).astype("f4")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codebook") / "book.h5"
    quantizer, _ = train_vector_quantizer(unit_rms(FIELDS)[0], [(8, 8)] * 2, 16, patch=(4, 4), one_each=True, rounds=2)
    save(path, quantizer)
    return path


@pytest.mark.parametrize("shape", [(5, 1, 32, 32), (5, 32, 32), (160, 32)])
def test_fields_go_to_codes_and_back(shape: tuple[int, ...], book: Path, tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "flow.npy", FIELDS.reshape(shape))
    small, back = tmp_path / "small.h5", tmp_path / "back.npy"
    assert run("compress", tmp_path / "flow.npy", "-o", small, "--codebook", book, "--json") == 0
    found, coded, quantizer = json.loads(capsys.readouterr().out), load(small), load(book)
    assert isinstance(coded, CodedFields)
    assert found["codes"] == coded.nbytes == 5 * 64 + len(coded.rms) * 8
    assert found["ratio"] == FIELDS.nbytes / coded.nbytes
    assert run("decompress", small, "-o", back, "--codebook", book) == 0
    decoded = np.load(back)
    assert decoded.shape == shape
    np.testing.assert_array_equal(decoded, coded.decode(quantizer).reshape(shape))
    gap = np.linalg.norm((decoded.reshape(FIELDS.shape) - FIELDS).reshape(len(coded.rms), -1), axis=1)
    whole = np.linalg.norm(FIELDS.reshape(len(coded.rms), -1), axis=1)
    assert found["error"]["relative"] == pytest.approx((gap / whole).max(), rel=1e-5)


def test_dry_runs_write_nothing(book: Path, tmp_path: Path, capsys: Any) -> None:
    save_samples(tmp_path / "flow.h5", FIELDS[:, 0], FIELDS[:, 0], grid_axes=2)
    small = tmp_path / "small.h5"
    words = ["compress", tmp_path / "flow.h5", "-o", small, "--codebook", book, "--datasets", "y"]
    assert run(*words, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["codes"] == 128
    assert not small.exists()
    assert run(*words) == 0
    assert run("decompress", small, "-o", tmp_path / "x.npy", "--codebook", book, "--dry-run") == 0
    assert not (tmp_path / "x.npy").exists()


def _refused(capsys: Any, *words: Any) -> str:
    capsys.readouterr()
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    return str(err)


def test_what_does_not_fit_is_refused_by_name(book: Path, tmp_path: Path, capsys: Any) -> None:
    flow, small, other = tmp_path / "flow.npy", tmp_path / "small.h5", tmp_path / "other.h5"
    np.save(flow, FIELDS)
    to = ("-o", small, "--codebook", book)
    assert "--tol and --codebook" in _refused(capsys, "compress", flow, *to, "--tol", "1e-3")
    assert "expected a codebook" in _refused(capsys, "compress", flow, "-o", small, "--codebook", _samples(tmp_path))
    assert "name one by --datasets" in _refused(capsys, "compress", _samples(tmp_path), *to)
    np.save(tmp_path / "odd.npy", FIELDS[..., :30])
    assert "no multiple of the patch" in _refused(capsys, "compress", tmp_path / "odd.npy", *to)
    np.save(tmp_path / "line.npy", FIELDS.ravel())
    assert "expected fields (n, 1, *grid)" in _refused(capsys, "compress", tmp_path / "line.npy", *to)
    np.save(tmp_path / "nan.npy", np.where(FIELDS > 3, np.nan, FIELDS))
    assert "NaN" in _refused(capsys, "compress", tmp_path / "nan.npy", *to)
    assert not small.exists()
    assert run("compress", flow, *to) == 0
    quantizer = load(book)
    save(other, MultiScaleVQ(quantizer.codebook + np.float32(1), quantizer.scales, quantizer.patch))
    back = tmp_path / "back.npy"
    assert "fingerprint" in _refused(capsys, "decompress", small, "-o", back, "--codebook", other)
    assert "give the --codebook" in _refused(capsys, "decompress", small, "-o", back)
    assert "name a .npy file" in _refused(capsys, "decompress", small, "-o", tmp_path / "b.h5", "--codebook", book)
    assert not back.exists()


def _samples(folder: Path) -> Path:
    path = folder / "two.h5"
    if not path.exists():
        save_samples(path, FIELDS[:, 0], FIELDS[:, 0], grid_axes=2)
    return path


def test_a_codebook_is_refused_where_there_are_no_codes(book: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("compress", _samples(tmp_path), "-o", tmp_path / "c.h5", "--tol", "1e-2") == 0
    assert "no codes" in _refused(capsys, "decompress", tmp_path / "c.h5", "-o", tmp_path / "d.h5", "--codebook", book)
