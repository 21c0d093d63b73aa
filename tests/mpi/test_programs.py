"""Compare ranks with one process, and check `sci.distributed`: the programs of tests/mpi/programs, on 1 to 8 ranks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from launcher import run_in_turn

pytestmark = pytest.mark.mpi


IN_TURN = {
    "attention.py": (1, 2, 3, 4),
    "attention_kinds.py": (1, 2, 3, 4),
    "attention_memory.py": (1, 2, 3, 4),
    "gated.py": (1, 2, 3, 4),
    "lightning.py": (1, 2, 3, 4),
    "language_model.py": (1, 2, 3, 4),
    "megatron.py": (1, 2, 3, 4, 8),
    "train_grid.py": (2, 4),
    "potential.py": (1, 2, 3, 4),
    "poses.py": (1, 2, 3),
    "collectives.py": (1, 2, 4),
    "messages.py": (1, 2, 3),
    "grids.py": (1, 2, 3),
    "entries.py": (2, 3),
    "rank_counts.py": (8,),  # splits itself into every number of ranks up to 8
}
ALONE = {
    "memory.py": (2, 3),
    "device.py": (1, 3),
    "device_methods.py": (2,),
}
"""Programs that put a stub or another size in a place of the library."""


@pytest.mark.parametrize("n_ranks", sorted({n for ranks in IN_TURN.values() for n in ranks}))
def test_programs(n_ranks: int) -> None:
    run_in_turn([program for program, ranks in IN_TURN.items() if n_ranks in ranks], n_ranks)


@pytest.mark.nightly
def test_training_on_grids_of_eight_ranks() -> None:
    run_in_turn(["train_grid.py"], 8)


@pytest.mark.parametrize(("program", "n_ranks"), [(program, n) for program, ranks in ALONE.items() for n in ranks])
def test_a_program_on_its_own(run_mpi: Callable[..., str], program: str, n_ranks: int) -> None:
    run_mpi(program, n_ranks, timeout=120)
