"""Time and memory of trajectories, told before and taken: direct sums, the format, periodic cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dry_runs import compared

from sci.cli.estimates.frames import frames_needs
from sci.potentials import Coulomb, Particles


def _write(path: Path, n: int, frames: int, box: float, periodic: bool) -> Path:
    rng = np.random.default_rng(3)
    cell = f'Lattice="{box} 0 0 0 {box} 0 0 0 {box}" ' if periodic else ""
    with path.open("w") as file:
        charges = rng.choice([-0.4, 0.4], size=n)
        for _ in range(frames):
            file.write(f"{n}\n{cell}Properties=species:S:1:pos:R:3:charge:R:1\n")
            for place, charge in zip(box * rng.random((n, 3)), charges):
                file.write(f"X {place[0]:.5f} {place[1]:.5f} {place[2]:.5f} {charge}\n")
    return path


@pytest.mark.parametrize(
    ("n", "frames", "box", "periodic", "more"),
    [
        (6000, 6, 60.0, False, ("--method", "direct")),
        (3000, 4, 50.0, False, ("--method", "format")),
        (4000, 6, 34.0, True, ()),
    ],
)
def test_a_dry_run_tells_what_the_job_takes(n, frames, box, periodic, more, tmp_path) -> None:
    path = _write(tmp_path / "a.extxyz", n, frames, box, periodic)
    found = compared("sci.cli.commands.trajectory", "trajectory", path, "-o", tmp_path / "a.h5", *more)
    assert found.told["frames"] == frames
    assert found.misses == {}, found


def test_time_is_that_of_the_frames_that_are_left() -> None:
    rng = np.random.default_rng(0)
    first = Particles(10 * rng.random((100, 3)), rng.normal(size=100))
    settings = {"kernel": Coulomb(), "accuracy": "potential", "method": "direct"}
    few, many = (frames_needs(first, count, 1e-6, **settings) for count in (10, 1000))
    assert many.seconds["frames"] == pytest.approx(100 * few.seconds["frames"], rel=1e-6)
    assert many.memory == few.memory
