"""The only door to mpi4py: communicators, collectives, decompositions, halos, rings, redistribution, pencil FFT.

Every function takes `comm`, an mpi4py communicator, or None for one process; `import sci.distributed` imports no MPI.
"""

from sci.distributed.agreement import Agreement, Deferred, agreed
from sci.distributed.canonical import Form, Sample, form, sample
from sci.distributed.chunks import Layout, positions, rearrange, shard, unshard
from sci.distributed.collectives import allgather_rows, broadcast, broadcast_object
from sci.distributed.communicators import Comm, Traffic, rank_of, reset_traffic, size, traffic
from sci.distributed.grids.decompositions import GridDecomposition, block, decompose, pencil, slab
from sci.distributed.grids.halo import HaloExchange, exchange_halo
from sci.distributed.grids.pencil_fft import PencilFFT
from sci.distributed.grids.redistribute import gather_grid, redistribute, scatter_grid
from sci.distributed.jobs.ending import abort_on_error, job, release_file, unfinished, watch_file
from sci.distributed.jobs.launcher import launched, launched_communicator
from sci.distributed.messages import Message, alltoall, recv, ring_steps, send, shift
from sci.distributed.ranges import split
from sci.distributed.reductions import allreduce_max, allreduce_sum, reduce_scatter_rows
from sci.distributed.staging import cuda_aware

__all__ = [
    "Agreement",
    "Comm",
    "Deferred",
    "Form",
    "GridDecomposition",
    "HaloExchange",
    "Layout",
    "Message",
    "PencilFFT",
    "Sample",
    "Traffic",
    "abort_on_error",
    "agreed",
    "allgather_rows",
    "allreduce_max",
    "allreduce_sum",
    "alltoall",
    "block",
    "broadcast",
    "broadcast_object",
    "cuda_aware",
    "decompose",
    "exchange_halo",
    "form",
    "gather_grid",
    "job",
    "launched",
    "launched_communicator",
    "pencil",
    "positions",
    "rank_of",
    "rearrange",
    "recv",
    "redistribute",
    "reduce_scatter_rows",
    "release_file",
    "reset_traffic",
    "ring_steps",
    "sample",
    "scatter_grid",
    "send",
    "shard",
    "shift",
    "size",
    "slab",
    "split",
    "traffic",
    "unfinished",
    "unshard",
    "watch_file",
]
