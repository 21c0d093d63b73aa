"""Time and memory of a segmentation, told before and taken."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from dry_runs import compared

from sci.cli.estimates.networks.segment import most_bytes, segmentation_needs
from sci.io import save
from sci.nn import Segmenter, UNet, UNetConfig
from sci.nn.unet.boxes import plan_boxes


@pytest.mark.parametrize(
    ("grid", "channels", "classes", "box"),
    [((96, 96, 96), (8, 16, 16), 20, 48), ((1500, 1200), (16, 32, 32), 5, 256)],
)
def test_a_dry_run_tells_what_the_job_takes(grid, channels, classes, box, tmp_path) -> None:
    network = UNet(UNetConfig(len(grid), 1, classes, channels))
    save(tmp_path / "m.h5", Segmenter(network))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["x"] = np.random.default_rng(0).normal(size=grid).astype("f4")
    words = ("segment", tmp_path / "v.h5", "-o", tmp_path / "l.h5", "--model", tmp_path / "m.h5", "--box", box)
    found = compared("sci.cli.commands.segment", *words, "--overlap", "0.3")
    assert found.misses == {}, found


def test_the_bound_is_above_what_is_told() -> None:
    for channels, classes in (((4, 8, 8), 3), ((32, 64), 50)):
        model, volume = Segmenter(UNet(UNetConfig(2, 1, classes, channels))), np.zeros((1, 300, 200), "f4")
        plan = plan_boxes(model.network.config.multiple, (300, 200), 64, 0.5)
        for ranks in (1, 2):
            assert segmentation_needs(model, volume, plan, ranks).memory < most_bytes(model, volume, plan)
