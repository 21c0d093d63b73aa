"""`sci fields generate`: the draws of the library, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import run

from sci.compression import MultiScaleVQ
from sci.generative import NextScaleConfig, NextScaleModel, Sampling
from sci.io import load_samples, read_header, save, save_samples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 1, 4, 4)).astype("f4")
BOOK = MultiScaleVQ(RNG.normal(size=(5, 4)).astype("f4"), [(1, 1), (2, 2)], patch=(2, 2))
CONFIG = NextScaleConfig.of(BOOK, width=8, heads=2, layers=1, context=1, context_mean=[0.5], context_std=[2.0])
MODEL = NextScaleModel.create(CONFIG)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "m.h5", MODEL)
    save(tmp_path / "b.h5", BOOK)
    save_samples(tmp_path / "s.h5", X, X, grid_axes=2, periodic=True)
    return tmp_path


def _generate(folder: Path, *words: object, model: str = "m.h5", book: str = "b.h5") -> int:
    files = (folder / model, folder / "s.h5", "-o", folder / "d.h5", "--codebook", folder / book)
    return run("fields", "generate", *files, "--overwrite", *words)


def test_the_draws_are_those_of_the_library(folder: Path, capsys: Any) -> None:
    words = ("--members", 2, "--seed", 3, "--temperature", 1, 0.5, "--top-p", 0.9, "--json")
    assert _generate(folder, *words) == 0
    report, found = json.loads(capsys.readouterr().out), load_samples(folder / "d.h5")
    rows = np.repeat(X, 2, axis=0)
    codes = MODEL.sample(BOOK, 6, context=rows, sampling=Sampling([1, 0.5], top_p=0.9), seed=3)
    np.testing.assert_array_equal(found.x, rows)
    np.testing.assert_allclose(found.y, BOOK.decode(codes), rtol=1e-6)
    spread = np.sqrt(found.y.reshape(3, 2, 1, 4, 4).var(axis=1, ddof=1).mean())
    assert report["spread"] == pytest.approx(spread, rel=1e-5)
    assert (found.grid_axes, found.periodic, report["members"]) == (2, True, 2)
    assert read_header(folder / "d.h5").command.startswith("sci fields generate")


def test_a_dry_run_writes_nothing(folder: Path, capsys: Any) -> None:
    assert _generate(folder, "--dry-run", "--json", "--members", 5) == 0
    assert json.loads(capsys.readouterr().out)["fits"]
    assert not (folder / "d.h5").exists()


def test_what_does_not_fit_is_refused(folder: Path, capsys: Any) -> None:
    save(folder / "other.h5", MultiScaleVQ(2 * BOOK.codebook, BOOK.scales, patch=(2, 2)))
    save(folder / "free.h5", NextScaleModel.create(NextScaleConfig.of(BOOK, width=8, heads=2, layers=1)))
    for words, options, said in (
        (("--temperature", 1, 1, 1), {}, "for 2 scales; expected one number, or one for each"),
        ((), {"book": "other.h5"}, "another codebook"),
        ((), {"book": "m.h5"}, "expected the codebook of its training"),
        ((), {"model": "free.h5"}, "takes nothing; expected a model of sci fields train"),
    ):
        assert _generate(folder, *words, **options) == 2
        assert said in capsys.readouterr().err
