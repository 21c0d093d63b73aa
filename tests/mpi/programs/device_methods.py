"""Check the methods of every pillar with arrays on a device beside the same calls with arrays of the host, on ranks.

mpirun -n 2 python tests/mpi/programs/device_methods.py        # on the stand-in for CuPy
mpirun -n 2 python tests/mpi/programs/device_methods.py gpu    # on GPUs, which ranks may share
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.backend import is_device_array, to_device, to_host
from sci.potentials import Particles, RangeSeparatedPotential
from sci.problems.poisson import right_hand_side, sphere_and_blob
from sci.sequence import lightning_attention, softmax_attention
from sci.solvers import LearnedMultigrid, Multigrid, PoissonOperator, cg

Method = Callable[[Any, MPI.Intracomm], Iterator[Any]]


def collectives(xp: Any, comm: MPI.Intracomm) -> Iterator[Any]:
    x = to_device(np.random.default_rng(comm.rank).standard_normal((10, 3)), xp)
    yield distributed.allreduce_sum(x, comm)
    yield distributed.allgather_rows(x[: comm.rank + 1].copy(), comm)
    yield distributed.broadcast(x if comm.rank == 0 else None, comm)
    cut = distributed.block((8, 9), comm, halo=1)
    padded = np.random.default_rng(comm.rank).standard_normal(cut.padded_shape)
    yield distributed.exchange_halo(to_device(padded, xp), cut, True)
    fft = distributed.PencilFFT((4, 3, 5), comm, real=True, kind="pencil")
    grid = np.random.default_rng(comm.rank).standard_normal(fft.source.local_shape)
    yield fft.inverse(fft.forward(to_device(grid, xp)))


def sequences(xp: Any, comm: MPI.Intracomm) -> Iterator[Any]:
    q, k, v, dout = np.random.default_rng(1).normal(size=(4, 2, 90, 24))
    decay = to_device(np.array([0.05, 0.6]), xp)
    for method in ("ring", "ulysses"):
        given = [to_device(distributed.shard(a, comm, -2, "zigzag"), xp) for a in (q, k, v, dout)]
        results, kept = softmax_attention.forward(*given[:3], causal=True, method=method, layout="zigzag", comm=comm)
        yield from (*results, *softmax_attention.vjp((given[3], None), kept))
    given = [to_device(distributed.shard(a, comm, -2), xp) for a in (q, k, v, dout)]
    results, kept = lightning_attention.forward(*given[:3], decay, comm=comm)
    yield from (*results, *lightning_attention.vjp((given[3], None), kept)[:4])


def potentials(xp: Any, comm: MPI.Intracomm) -> Iterator[Any]:
    rng = np.random.default_rng(2)
    positions, charges = 9 * rng.random((60, 3)), rng.normal(size=60)
    mine = slice(comm.rank, None, comm.size)
    particles = Particles(to_device(positions[mine], xp), to_device(charges[mine], xp))
    # A tolerance for which host and device sum in float64.
    phi = RangeSeparatedPotential(particles, 3e-7, alpha=0.6, comm=comm)
    yield from (phi(particles.positions + 0.3), phi.forces())


def solvers(xp: Any, comm: MPI.Intracomm) -> Iterator[Any]:
    mask = sphere_and_blob(24)
    A = PoissonOperator(to_device(mask, xp), comm=comm)
    b = to_device(right_hand_side(mask)[A.slices], xp)
    for M in (Multigrid(A), LearnedMultigrid(A)):
        yield cg(A, b, M=M, rtol=1e-10).x


def main() -> None:
    comm = private_communicator()
    on_gpu = sys.argv[1:] == ["gpu"]
    with distributed.abort_on_error(comm):
        if not on_gpu:
            sys.modules["cupy"] = importlib.import_module("fake_cupy").make()
        device = importlib.import_module("cupy")
        for method in (collectives, sequences, potentials, solvers):
            pairs = list(zip(method(device, comm), method(np, comm), strict=True))
            for ours, theirs in pairs:
                assert is_device_array(ours), method
                expected = np.asarray(theirs)
                error = np.abs(to_host(ours) - expected).max(initial=0.0)
                assert error <= 1e-9 * max(1.0, float(np.abs(expected).max(initial=0.0))), (method.__name__, error)
            if comm.rank == 0:
                print(f"{method.__name__}: {len(pairs)} arrays agree")
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
