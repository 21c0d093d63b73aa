"""The only door to mpi4py: communicators, collectives, decompositions, halos, redistribution, pencil FFT.

Every function takes `comm`, an mpi4py communicator, or None for one process; `import sci.distributed` imports no MPI.
"""

from sci.distributed.collectives import allgather_rows, allreduce_max, allreduce_sum, broadcast, reduce_scatter_rows
from sci.distributed.communicators import (
    Comm,
    Traffic,
    abort_on_error,
    agree,
    broadcast_object,
    rank_of,
    reset_traffic,
    size,
    traffic,
)
from sci.distributed.decompositions import split

__all__ = [
    "Comm",
    "Traffic",
    "abort_on_error",
    "agree",
    "allgather_rows",
    "allreduce_max",
    "allreduce_sum",
    "broadcast",
    "broadcast_object",
    "rank_of",
    "reduce_scatter_rows",
    "reset_traffic",
    "size",
    "split",
    "traffic",
]
