"""The tasks that a launcher started, from its variables."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from sci.tasks import cores_of_task, launched_rank, launched_tasks, terminable, without_launcher


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


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, 0),
        ({"PMI_RANK": "3"}, 0),
        ({"PMI_SIZE": "4", "PMI_RANK": "3"}, 3),
        ({"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5", "PMI_SIZE": "1", "PMI_RANK": "0"}, 5),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "2"}, 2),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_ID": "7"}, 0),  # a batch script
        ({"PMI_SIZE": "4", "PMI_RANK": "first"}, 0),
    ],
)
def test_the_number_of_a_task(environment: dict[str, str], rank: int) -> None:
    assert launched_rank(environment) == rank


def test_a_child_is_no_task() -> None:
    environment = {"PATH": "/bin", "PMI_FD": "7", "OMPI_COMM_WORLD_RANK": "0", "SLURM_NTASKS": "2", "PMIX_ID": "0"}
    assert without_launcher(environment) == {"PATH": "/bin"}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes to cores")
def test_tasks_share_the_cores_that_they_are_not_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(own: Any, daemon: Any) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(own if pid == 0 else daemon))

    bind(range(8), range(8))
    assert cores_of_task({}) == 8
    assert cores_of_task({"MPI_LOCALNRANKS": "4"}) == 2
    assert cores_of_task({"OMPI_COMM_WORLD_LOCAL_SIZE": "16"}) == 1
    bind(range(2, 5), range(8))
    assert cores_of_task({"MPI_LOCALNRANKS": "4"}) == 3


def test_sigterm_unwinds_a_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
