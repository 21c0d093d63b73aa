"""Time and memory of a completion, told before and taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from completion_cases import sinusoids
from dry_runs import compared


@pytest.mark.parametrize("suffix", ["h5", "vtkhdf"])
def test_a_dry_run_tells_what_the_job_takes(tmp_path: Path, suffix: str) -> None:
    truth = sinusoids((30, 40, 60), 0.1, 0.2)
    rows = "".join(f"{x},{y},{t},{v:.6f}\n" for (x, y, t), v in zip(truth.index, truth.values))
    (tmp_path / "t.csv").write_text("x,y,t,v\n" + rows)
    words = ("complete", tmp_path / "t.csv", "-o", tmp_path / f"f.{suffix}", "--axes", "x", "y", "t", "--restarts", "2")
    found = compared("sci.cli.commands.complete", *words)
    assert found.misses == {}, found
