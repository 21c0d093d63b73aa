"""Time and memory of next-scale models, told before and taken."""

from __future__ import annotations

import numpy as np
import pytest
from dry_runs import compared

from sci.cli.estimates.networks.fields import generation_bound, generation_needs, training_bound, training_needs
from sci.compression import MultiScaleVQ
from sci.generative import NextScaleConfig, NextScaleModel, Sampling
from sci.io import save, save_samples

RNG = np.random.default_rng(0)
X, Y = (RNG.normal(size=(64, 1, n, n)).astype("f4") for n in (4, 16))
BOOK = MultiScaleVQ(RNG.normal(size=(32, 4)).astype("f4"), [(k, k) for k in (1, 2, 4, 8)], patch=(2, 2))
MODEL = NextScaleModel.create(NextScaleConfig.of(BOOK, width=32, heads=4, layers=2, context=1))


@pytest.mark.parametrize("action", ["train", pytest.param("generate", marks=pytest.mark.nightly)])
def test_a_dry_run_tells_what_the_job_takes(action: str, tmp_path) -> None:
    save_samples(tmp_path / "s.h5", X, Y, grid_axes=2)
    end = ("-o", tmp_path / "out.h5", "--codebook", tmp_path / "b.h5")
    if action == "train":
        words = (tmp_path / "s.h5", *end, "--codes", 32, "--width", 32, "--layers", 2, "--epochs", 6)
    else:
        save(tmp_path / "m.h5", MODEL)
        save(tmp_path / "b.h5", BOOK)
        words = (tmp_path / "m.h5", tmp_path / "s.h5", *end, "--members", 8)
    found = compared(f"sci.cli.commands.fields.{action}", "fields", action, *words)
    assert found.misses == {}, found


def test_bounds_are_above_what_is_told() -> None:
    assert training_needs(MODEL, BOOK, X, Y, 2, 16, 3).memory < training_bound(MODEL, X, Y, 16)
    needs = generation_needs(MODEL, BOOK, X, 100, Sampling())
    assert needs.memory < generation_bound(MODEL, BOOK, X, 100)
