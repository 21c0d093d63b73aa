"""Halos, redistribution, FFT, layouts and sums on every number of ranks up to that of the job, in one launch.

mpirun -n 8 python tests/mpi/programs/rank_counts.py
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.distributed import PencilFFT, abort_on_error, block, pencil, slab

SHAPE = (9, 8, 10)
WHOLE = np.random.default_rng(3).standard_normal(SHAPE)


def check(comm: MPI.Intracomm) -> float:
    """Return the largest relative error of the transforms."""
    cuts = [block(SHAPE, comm), slab(SHAPE, comm, 1), pencil(SHAPE, comm, 0)]
    for source, target in zip(cuts, [*cuts[1:], cuts[0]]):
        got = distributed.redistribute(WHOLE[source.slices], source, target)
        assert np.array_equal(got, WHOLE[target.slices])
    d = block(SHAPE, comm, halo=1)
    array = np.zeros(d.padded_shape)
    array[d.interior] = WHOLE[d.slices]
    distributed.exchange_halo(array, d, True)
    box = tuple(slice(a, a + n + 2) for a, n in zip(d.local_start, d.local_shape))
    assert np.array_equal(array, np.pad(WHOLE, 1, mode="wrap")[box])
    worst = 0.0
    for real in (True, False):
        fft = PencilFFT(SHAPE, comm, real=real, kind="pencil")
        want = np.fft.rfftn(WHOLE) if real else np.fft.fftn(WHOLE)
        part = fft.forward(WHOLE[fft.source.slices])
        worst = max(worst, float(np.linalg.norm(part - want[fft.target.slices]) / np.linalg.norm(want)))
        assert np.allclose(fft.inverse(part), WHOLE[fft.source.slices], rtol=0, atol=1e-13)
    assert worst < 1e-12
    part = distributed.shard(WHOLE, comm, 0, "zigzag")
    moved = distributed.rearrange(part, "zigzag", "striped", comm)
    assert np.array_equal(distributed.unshard(moved, comm, 0, "striped"), WHOLE)
    assert distributed.allreduce_sum(np.full(3, comm.rank), comm).tolist() == [comm.size * (comm.size - 1) // 2] * 3
    return worst


def main() -> None:
    comm = private_communicator()
    worst = 0.0
    with abort_on_error(comm):
        for count in range(1, comm.size + 1):
            some = comm.Split(comm.rank < count, comm.rank)
            if comm.rank < count:
                worst = max(worst, check(some))
            some.Free()
    if comm.rank == 0:
        print(f"PASS: 1 to {comm.size} ranks, spectra within {worst:.1e} of numpy.fft")


if __name__ == "__main__":
    main()
