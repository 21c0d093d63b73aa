"""Time and memory of segmentations and their trainings, told before and taken."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from dry_runs import compared

from sci.cli.estimates.networks.segment import most_bytes, most_training_bytes, segmentation_needs, training_needs
from sci.io import save, save_samples
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
    words = (
        "segment",
        "predict",
        tmp_path / "v.h5",
        "-o",
        tmp_path / "l.h5",
        "--model",
        tmp_path / "m.h5",
        "--box",
        box,
    )
    found = compared("sci.cli.commands.segment", *words, "--overlap", "0.3")
    assert found.misses == {}, found


def test_the_bound_is_above_what_is_told() -> None:
    for channels, classes in (((4, 8, 8), 3), ((32, 64), 50)):
        model, volume = Segmenter(UNet(UNetConfig(2, 1, classes, channels))), np.zeros((1, 300, 200), "f4")
        plan = plan_boxes(model.network.config.multiple, (300, 200), 64, 0.5)
        for ranks in (1, 2):
            assert segmentation_needs(model, volume, plan, ranks).memory < most_bytes(model, volume, plan)


def test_a_dry_run_tells_what_a_training_takes(tmp_path) -> None:
    x = np.random.default_rng(0).normal(size=(12, 1, 32, 32, 32)).astype("f4")
    save_samples(tmp_path / "s.h5", x, (x > 0).astype("f4"), grid_axes=3)
    words = ("segment", "train", tmp_path / "s.h5", "-o", tmp_path / "m.h5", "--channels", 8, 16, "--epochs", 3)
    found = compared("sci.cli.commands.segment", *words, "--checkpoint", tmp_path / "c.h5")
    assert found.misses == {}, found


def test_the_bound_of_a_training_is_above_what_is_told() -> None:
    for channels, blocks, classes in (((4, 8), 1, 3), ((16, 8), 3, 40)):
        network = UNet(UNetConfig(2, 1, classes, channels, blocks))
        x, labels = np.random.default_rng(0).normal(size=(4, 1, 64, 48)).astype("f4"), np.zeros((4, 64, 48), int)
        found = training_needs(network, x, labels, {"more": (x, labels)}, 2, 4)
        assert found.memory < most_training_bytes(network, x, labels, 4)
        assert set(found.seconds) == {"training", "tests"}
