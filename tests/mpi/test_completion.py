"""`sci complete` under mpirun: the field of one process, and one message for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from completion_cases import sinusoids
from launcher import MpiResult

from sci.cli import main
from sci.io import load

pytestmark = pytest.mark.mpi

TRUTH = sinusoids((10, 8, 6), 0.4, 0.1)
OPTIONS = ["--axes", "x", "y", "t", "--components", "3", "--restarts", "3", "--maxiter", "5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table, and the field that one process makes of it."""
    here = tmp_path_factory.mktemp("completion")
    rows = [f"{x},{y},{t},{v!r}" for (x, y, t), v in zip(TRUTH.index.tolist(), TRUTH.values.tolist())]
    (here / "t.csv").write_text("\n".join(["x,y,t,v", *rows]))
    (here / "bad.csv").write_text("\n".join(["x,y,t,v", *rows[:-1], "1,2,3,nan"]))
    assert main(["complete", str(here / "t.csv"), "-o", str(here / "one.h5"), *OPTIONS]) == 0
    return here


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_ranks_write_the_field_of_one_process(launch_mpi: Callable[..., MpiResult], folder: Path, n_ranks: int) -> None:
    """With four ranks and three restarts, one rank smooths nothing."""
    out = folder / f"ranks{n_ranks}.h5"
    commands = [
        ["complete", str(folder / "t.csv"), "-o", str(out), *OPTIONS],
        ["complete", str(folder / "bad.csv"), "-o", str(folder / "bad.h5"), *OPTIONS],
    ]
    (folder / "commands.json").write_text(json.dumps(commands))
    result = launch_mpi("commands.py", n_ranks, folder / "commands.json", timeout=120)
    assert "CODES " + " ".join(["0"] * n_ranks) in result.output, result.output
    assert "CODES " + " ".join(["2"] * n_ranks) in result.output, result.output
    assert sum(line.startswith("sci: error") for line in result.output.splitlines()) == 1, result.output
    assert not (folder / "bad.h5").exists()
    found, want = (load(path).predict(TRUTH.cells) for path in (out, folder / "one.h5"))
    np.testing.assert_allclose(found.mean, want.mean, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.deviation, want.deviation, rtol=1e-6)
    np.testing.assert_allclose(found.interval()[0], want.interval()[0], rtol=0, atol=1e-6)
