"""Every number of ranks up to that of the job, in one launch: starts cost more than small checks."""

from __future__ import annotations

from collections.abc import Iterator

from mpi4py import MPI


def every_count(comm: MPI.Intracomm) -> Iterator[MPI.Intracomm]:
    """Yield a communicator of the first 1, 2, ... ranks, on those ranks."""
    for count in range(1, comm.size + 1):
        some = comm.Split(comm.rank < count, comm.rank)
        if comm.rank < count:
            yield some
        some.Free()
