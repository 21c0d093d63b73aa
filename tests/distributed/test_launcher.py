"""The launcher's number of tasks against the communicator's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sci.cli import main
from sci.distributed import launched, launched_tasks
from sci.errors import DecompositionError

VARIABLES = (
    *("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PMIX_SIZE"),
    *("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_JOB_ID"),
)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"PMI_SIZE": "4"}, ("PMI_SIZE", 4)),
        ({"OMPI_COMM_WORLD_SIZE": "8", "SLURM_STEP_NUM_TASKS": "2"}, ("OMPI_COMM_WORLD_SIZE", 8)),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, ("SLURM_NTASKS", 4)),
        ({"SLURM_NTASKS": "4"}, ("SLURM_NTASKS", 4)),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, None),  # a batch script: one process
        ({"PMI_SIZE": "many"}, None),
    ],
)
def test_the_launcher_that_counts(environment: dict[str, str], found: tuple[str, int] | None) -> None:
    assert launched_tasks(environment) == found


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


def test_the_command_line_refuses_to_run_once_for_each_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PMI_SIZE", "2")
    assert main(["info", str(tmp_path / "a.h5")]) == 2
    assert "the launcher started 2 tasks" in capsys.readouterr().err


def test_the_scripts_refuse_a_launcher_of_another_mpi() -> None:
    pytest.importorskip("mpi4py")
    script = Path(__file__).parents[2] / "mpi_examples" / "lattice.py"
    environment = {**os.environ, "SLURM_STEP_NUM_TASKS": "2"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1
    assert "the launcher started 2 tasks (SLURM_STEP_NUM_TASKS), and the communicator has 1" in done.stderr
    assert "PASS" not in done.stdout
