"""Arrays on GPUs over ranks, which may share a device: `pytest -m gpu`."""

from __future__ import annotations

import pytest
from launcher import find_mpirun, run_mpi

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_every_pillar_gives_the_answers_of_the_host(n_ranks):
    pytest.importorskip("cupy")
    if find_mpirun() is None:
        pytest.skip("mpirun is not installed")
    run_mpi("device_methods.py", n_ranks, "gpu", timeout=120)
