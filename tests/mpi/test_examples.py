"""Each example for mpirun runs on two ranks and says PASS."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from launcher import MpiResult, launch, run_in_turn, start, wait_for
from systems import relative

from sci.datasets import dataset_path
from sci.io import load, load_grid, read_structure

pytestmark = pytest.mark.mpi
ROOT = Path(__file__).parents[2]
MOLECULE = dataset_path("ubiquitin")
OTHERS = sorted(p for p in (ROOT / "mpi_examples").glob("*.py") if p.stem != "molecule_potential")


@pytest.mark.parametrize("part", [0, 1])
def test_examples(part: int) -> None:
    """With a start for half of them; below, some start alone, as users start them."""
    run_in_turn(OTHERS[part::2], 2)


@pytest.mark.nightly
@pytest.mark.parametrize("charges", [(), ("--charges",)], ids=["short range", "charges"])
def test_ten_thousand_atoms_on_four_ranks_are_those_of_one(run_mpi: Callable[..., str], charges: tuple[str]) -> None:
    words = ("--atoms", "10000", *charges)
    assert "PASS: " in run_mpi(ROOT / "mpi_examples" / "atoms.py", 4, *words, timeout=600)


def test_the_learned_cycle(run_mpi: Callable[..., str]) -> None:
    assert "PASS" in run_mpi(ROOT / "mpi_examples" / "solve_poisson.py", 2, "--method", "learned", timeout=60)


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_molecule_file(run_mpi: Callable[..., str], tmp_path: Path, n_ranks: int) -> None:
    out = tmp_path / "out.h5"
    run_mpi(ROOT / "mpi_examples" / "molecule_potential.py", n_ranks, MOLECULE, "-o", out, "--grid", 20, timeout=120)
    whole, stored, grid = read_structure(MOLECULE), load(out), load_grid(out)
    np.testing.assert_array_equal(stored.particles.positions, whole.positions)
    np.testing.assert_array_equal(stored.particles.charges, whole.charges)
    axes = [o + s * np.arange(n) for o, s, n in zip(grid.origin, grid.spacing, grid.shape)]
    again = stored.on_grid(*(np.minimum(v, d[1]) for v, d in zip(axes, stored.domain)))
    assert relative(grid.values, again) < 0.3 * stored.tol  # other slabs round otherwise in float32


def test_bad_molecule(launch_mpi: Callable[..., MpiResult], tmp_path: Path) -> None:
    bad = tmp_path / "bad.pqr"
    bad.write_text("ATOM nonsense\n")
    result = launch_mpi(ROOT / "mpi_examples" / "molecule_potential.py", 2, bad, "-o", tmp_path / "out.h5")
    assert result.returncode == 2
    assert "bad.pqr:1" in result.output
    assert not (tmp_path / "out.h5").exists()


def test_a_training_that_was_killed_goes_on_to_the_same_bits(run_mpi: Callable[..., str], tmp_path: Path) -> None:
    script = ROOT / "mpi_examples" / "train_language_model.py"
    sizes = ["--width", "32", "--layers", "2", "--length", "64", "--every", "2"]
    whole = [*sizes, "-o", tmp_path / "whole.h5"]
    killed = [*sizes, "-o", tmp_path / "killed.h5", "--checkpoint", tmp_path / "run.h5"]
    run_mpi(script, 2, *whole)
    with start(2, script, *killed) as process:
        wait_for((tmp_path / "run.h5").exists)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert 2 <= load(tmp_path / "run.h5").step < 12
    assert not (tmp_path / "killed.h5").exists()
    assert "going on after step" in run_mpi(script, 2, *killed, "--resume")
    one, other = (load(tmp_path / f"{name}.h5").parameters for name in ("whole", "killed"))
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name
    refused = launch(script, 2, *killed)
    assert refused.returncode == 2
    assert "killed.h5 exists; choose another name, or replace it with --overwrite" in refused.output
