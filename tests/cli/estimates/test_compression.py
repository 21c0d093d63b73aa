"""Time, memory and disk of compressions, told before and taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dry_runs import compared

from sci.io import compress_file, save_samples


def test_dry_runs_tell_what_the_jobs_take(tmp_path: Path) -> None:
    axis = np.linspace(0.0, 6.0, 64)
    noise = 0.01 * np.random.default_rng(3).normal(size=(160, 64, 64))
    x = (np.sin(axis[:, None] + axis) + noise).astype(np.float32)
    save_samples(tmp_path / "s.h5", x, x, grid_axes=2)
    words = ("compress", tmp_path / "s.h5", "-o", tmp_path / "c.h5", "--tol", "1e-3", "--chunk", "40")
    found = compared("sci.cli.commands.files.compress", *words)
    assert found.misses == {}, found
    compress_file(tmp_path / "s.h5", tmp_path / "d.h5", 1e-3, chunk=40)
    found = compared("sci.cli.commands.files.decompress", "decompress", tmp_path / "d.h5", "-o", tmp_path / "t.h5")
    assert found.misses == {}, found
