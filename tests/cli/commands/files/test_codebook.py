"""`sci compress --train-codebook`: the codebook serves, all ranks' fields count, and wrong options are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.cli.commands.files.codebook import expected_seconds
from sci.compression import MultiScaleVQ, train_smoothing, train_vector_quantizer, unit_rms
from sci.io import load, save_samples

FIELDS = np.random.default_rng(2).normal(size=(6, 16, 24)).cumsum(axis=1).cumsum(axis=2).astype("f4")


def test_a_codebook_is_that_of_the_library_and_serves(tmp_path: Path, capsys: Any) -> None:
    flow, book, small, back = (tmp_path / name for name in ("flow.npy", "book.h5", "small.h5", "back.npy"))
    np.save(flow, FIELDS)
    words = ["--train-codebook", "16", "--patch", "4", "--rounds", "3", "--smoothing", "2", "--json"]
    assert run("compress", flow, "-o", book, *words) == 0
    told = json.loads(capsys.readouterr().out)
    scaled = unit_rms(FIELDS[:, None])[0]
    quantizer, _ = train_vector_quantizer(scaled, [(4, 6)] * 2, 16, patch=(4, 4), one_each=True, rounds=3)
    quantizer, losses = train_smoothing(quantizer, scaled, convolutions=2)
    assert isinstance(load(book), MultiScaleVQ)
    assert load(book).fingerprint == quantizer.fingerprint == told["codebook"]
    assert told["error"]["relative"] == pytest.approx(losses[-1] ** 0.5)
    assert told["error"]["relative"] < told["error"]["without_smoothing"]
    assert run("compress", flow, "-o", small, "--codebook", book) == 0
    assert run("decompress", small, "-o", back, "--codebook", book) == 0
    assert np.load(back).shape == FIELDS.shape
    assert np.linalg.norm(np.load(back) - FIELDS) < 0.2 * np.linalg.norm(FIELDS)


def test_dry_runs_and_channels(tmp_path: Path, capsys: Any) -> None:
    save_samples(tmp_path / "flow.h5", FIELDS, FIELDS, grid_axes=2)
    book = tmp_path / "book.h5"
    words = ["compress", tmp_path / "flow.h5", "-o", book, "--train-codebook", "8", "--datasets", "y"]
    assert run(*words, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fields"] == [6, 1, 16, 24]
    assert not book.exists()
    np.save(tmp_path / "two.npy", np.stack([FIELDS, -FIELDS], axis=1))
    assert run("compress", tmp_path / "two.npy", "-o", book, "--train-codebook", "4", "--stages", "1") == 0
    assert load(book).channels == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--train-codebook", "4", "--tol", "1e-3"], "--tol and --train-codebook"),
        (["--train-codebook", "4", "--codebook", "b.h5"], "--codebook and --train-codebook"),
        (["--tol", "1e-3", "--stages", "3"], "--stages goes with --train-codebook"),
        (["--train-codebook", "4", "--patch", "5"], "choose another --patch"),
        (["--train-codebook", "4", "--patch", "2", "2", "2"], "expected samples"),
        (["--train-codebook", "9999"], "fewer codes"),
        (["--train-codebook", "4", "--bits", "4"], "--bits goes with a file of models"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(words: list[str], said: str, tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "flow.npy", FIELDS)
    assert run("compress", tmp_path / "flow.npy", "-o", tmp_path / "book.h5", *words) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""
    assert not (tmp_path / "book.h5").exists()


def test_the_time_of_a_training_follows_from_short_trials() -> None:
    def seconds(n: int, r: int) -> float:
        return 0.02 + 0.003 * n + r * (0.004 + 0.0005 * n)

    tried = {(n, r): seconds(n, r) for n in (8, 64) for r in (1, 4)}
    assert expected_seconds(tried, 400, 20) == pytest.approx(seconds(400, 20))
    assert expected_seconds(tried, 64, 7) == pytest.approx(seconds(64, 7))
    alone = {(n, r): s for (n, r), s in tried.items() if n == 8}
    assert expected_seconds(alone, 8, 20) == pytest.approx(seconds(8, 20))
