"""Time and memory of diffusions of crystals, told before and taken."""

from __future__ import annotations

import pytest
from dry_runs import compared

from sci.cli.estimates.networks.crystals import (
    generation_bound,
    generation_needs,
    measuring_bound,
    measuring_needs,
    training_bound,
    training_needs,
)
from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, CrystalTraining, ionic_crystals
from sci.io import save

SALTS = ionic_crystals()


@pytest.mark.parametrize("action", ["train", "generate"])
def test_a_dry_run_tells_what_the_job_takes(action: str, tmp_path) -> None:
    save(tmp_path / "d.h5", SALTS)
    if action == "train":
        words = ("crystals", action, tmp_path / "d.h5", "-o", tmp_path / "out.h5", "--epochs", 60)
    else:
        save(tmp_path / "m.h5", CrystalDiffusion.create(SALTS, CrystalConfig(predicts="residual")))
        words = ("crystals", action, tmp_path / "m.h5", "-o", tmp_path / "out.h5", "--number", 200)
    found = compared(f"sci.cli.commands.crystals.{action}", *words)
    assert found.misses == {}, found


def test_bounds_are_above_what_is_told() -> None:
    some = Crystals(SALTS.configurations[:8])
    for config in (CrystalConfig(), CrystalConfig("unet", (4, 8), 1)):
        model = CrystalDiffusion.create(some, config)
        assert training_needs(model, some, CrystalTraining(2, 8)).memory < training_bound(model, some, 8)
        assert generation_needs(model, 40, 10).memory < generation_bound(model, 40)
    assert measuring_needs(some, SALTS).memory < measuring_bound(some, SALTS)
