"""Run the programs of tests/mpi/programs that check `sci.distributed`, on 1 to 8 ranks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.mpi


RUNS = {
    "collectives.py": (1, 2, 4),
    "messages.py": (1, 2, 3),
    "grids.py": (1, 2, 3),
    "entries.py": (2, 3),
    "memory.py": (2, 3),
    "device.py": (1, 3),
    "device_methods.py": (2,),
    "rank_counts.py": (8,),  # splits itself into every number of ranks up to 8
}


@pytest.mark.parametrize(("program", "n_ranks"), [(program, n) for program, ranks in RUNS.items() for n in ranks])
def test_program(run_mpi: Callable[..., str], program: str, n_ranks: int) -> None:
    run_mpi(program, n_ranks, timeout=120)
