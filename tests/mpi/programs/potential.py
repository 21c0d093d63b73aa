"""Build a potential from charges spread over ranks, and compare it with the serial one.

mpirun -n 3 python tests/mpi/programs/potential.py
"""

from __future__ import annotations

import numpy as np
from sabotage import private_communicator

from sci.distributed import abort_on_error, allgather_rows, split
from sci.errors import SciError
from sci.potentials import Particles, RangeSeparatedPotential, Yukawa

comm = private_communicator()


def close(found: np.ndarray, exact: np.ndarray) -> None:
    """Require 1e-12 relative to the largest entry."""
    error = np.abs(found - exact).max() / np.abs(exact).max()
    assert error <= 1e-12, error


def compare(whole: Particles, kernel: Yukawa | None) -> None:
    rows = split(whole.n, comm)
    mine = None
    if rows.stop > rows.start:
        mine = Particles(whole.positions[rows], whole.charges[rows])
    serial = RangeSeparatedPotential(whole, 1e-6, kernel=kernel)
    spread = RangeSeparatedPotential(mine, 1e-6, kernel=kernel, comm=comm)
    points = np.random.default_rng(comm.rank).random((150, 3)) * 12
    # The build does not depend on the ranks, to the last bit.
    assert np.array_equal(spread.long_range.core, serial.long_range.core)
    assert all(np.array_equal(a, b) for a, b in zip(spread.long_range.factors, serial.long_range.factors))
    close(spread(points), serial(points))
    close(spread.field(points), serial.field(points))
    axes = (np.linspace(1, 9, 5) + comm.rank, np.linspace(0, 5, 4), np.linspace(0, 9, 3))
    close(spread.on_grid(*axes), serial.on_grid(*axes))
    assert spread.energy() == serial.energy()
    close(allgather_rows(spread.forces(), comm), serial.forces())
    alone = spread.whole(whole)
    if comm.rank == 0:  # nothing of it is collective
        assert alone.energy() == serial.energy()
        assert alone.all_particles is whole
    assert abs(spread.error_estimate - serial.error_estimate) < 1e-12


with abort_on_error(comm):
    rng = np.random.default_rng(5)
    compare(Particles(rng.random((120, 3)) * 12, rng.normal(size=120)), None)
    compare(Particles(rng.random((50, 3)) * 12, rng.normal(size=50)), Yukawa(0.2))
    compare(Particles(rng.random((2, 3)) * 12, rng.normal(size=2)), None)
    compare(Particles(rng.random((300, 3)) * 40, rng.normal(size=300)), None)  # several bands of nodes
    bad = 5.0 if comm.rank == comm.size - 1 else 1e-3
    message = ""
    try:
        RangeSeparatedPotential(Particles(rng.random((4, 3)) + comm.rank, np.ones(4)), bad, comm=comm)
    except SciError as error:
        message = str(error)
    assert "tol is 5.0" in message
    if comm.rank == 0:
        print("PASS")
