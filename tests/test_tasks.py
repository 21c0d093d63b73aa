"""The tasks that a launcher started, from its variables."""

from __future__ import annotations

import pytest

from sci.tasks import launched_rank, launched_tasks, without_launcher


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
