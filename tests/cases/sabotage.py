"""A communicator for a program under test, and a trap for code that helps itself to the global one."""

from __future__ import annotations

from mpi4py import MPI


class Sabotaged:
    """Stands for the global communicator and breaks at any use."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the library used MPI.COMM_WORLD.{name}; it must use the communicator that it is given")


def private_communicator() -> MPI.Intracomm:
    """Return a duplicate of `MPI.COMM_WORLD`, which is sabotaged from now on."""
    comm = MPI.COMM_WORLD.Dup()
    MPI.COMM_WORLD = Sabotaged()  # type: ignore[misc, assignment]
    return comm
