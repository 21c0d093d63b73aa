"""The launcher's number of tasks against the communicator's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sci.distributed import launched, launched_communicator
from sci.errors import DecompositionError, MissingDependencyError

VARIABLES = (
    *("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PMIX_SIZE"),
    *("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_JOB_ID"),
)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_communicator_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    comm = SimpleNamespace(Get_size=lambda: 4)
    assert launched(comm) is comm
    monkeypatch.setenv("PMI_SIZE", "4")
    assert launched(comm) is comm
    monkeypatch.setenv("PMI_SIZE", "1")
    assert launched(None) is None
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.delenv("PMI_SIZE")
    alone = SimpleNamespace(Get_size=lambda: 1)
    with pytest.raises(DecompositionError, match=r"2 tasks \(SLURM_NTASKS\), and the communicator has 1.*--mpi="):
        launched(alone)


def test_one_task_needs_no_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched_communicator() is None
    monkeypatch.setenv("PMI_SIZE", "1")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert launched_communicator() is None
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(MissingDependencyError, match=r"2 tasks \(PMI_SIZE\).*mpi"):
        launched_communicator()


def test_the_command_line_refuses_to_run_once_for_each_task(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    command = [sys.executable, "-m", "sci", "info", str(tmp_path / "a.h5")]
    environment = {**os.environ, "SLURM_STEP_NUM_TASKS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 2
    assert "the launcher started 2 tasks (SLURM_STEP_NUM_TASKS), and the communicator has 1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_scripts_refuse_a_launcher_of_another_mpi() -> None:
    pytest.importorskip("mpi4py")
    script = Path(__file__).parents[3] / "mpi_examples" / "lattice.py"
    environment = {**os.environ, "SLURM_STEP_NUM_TASKS": "2"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1
    assert "the launcher started 2 tasks (SLURM_STEP_NUM_TASKS), and the communicator has 1" in done.stderr
    assert "PASS" not in done.stdout
