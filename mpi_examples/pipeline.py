"""A transformer on a grid of ranks, pipeline by sequence by tensor by data: its gradients are those of one rank.

mpirun -n 2 python mpi_examples/pipeline.py [--pipeline 2 --sequence 1 --tensor 1 --data 1 --schedule 1f1b]
mpirun -n 8 python mpi_examples/pipeline.py --pipeline 2 --sequence 2 --tensor 2
"""

from __future__ import annotations

import argparse

import numpy as np
from mpi4py import MPI

from sci.distributed import allreduce_max, job, launched, traffic
from sci.sequence import ParallelTransformer, pipeline_bubble, pipeline_schedule, rank_grid, simulate

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for axis in ("pipeline", "sequence", "tensor", "data"):
    parser.add_argument(f"--{axis}", type=int)
parser.add_argument("--schedule", choices=("gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"), default="1f1b")
parser.add_argument("--microbatches", type=int, default=4)
parser.add_argument("--chunks", type=int, help="runs of layers on a rank, 2 for interleaved")
options = parser.parse_args()
comm = launched(MPI.COMM_WORLD)
with job(comm):
    axes = {axis: getattr(options, axis) for axis in ("pipeline", "sequence", "tensor", "data")}
    if not any(axes.values()):
        axes["pipeline"] = comm.size
    axes = {axis: length or 1 for axis, length in axes.items()}
    chunks = options.chunks or (2 if options.schedule == "interleaved" else 1)
    m = options.microbatches
    if options.schedule == "interleaved":
        m = -(-m // axes["pipeline"]) * axes["pipeline"]
    size = {"width": 64, "heads": 8, "layers": 2 * chunks * axes["pipeline"], "hidden": 128, "vocabulary": 256}
    batch = np.random.default_rng(0).integers(0, 256, (2 * m * axes["data"], 65))
    serial = ParallelTransformer(**size, grid=rank_grid(None))
    whole = serial.whole(1, dtype=np.float64)
    expected, gradients = serial.loss_and_gradients(whole, batch)
    grid = rank_grid(comm, **axes)
    model = ParallelTransformer(**size, grid=grid, chunks=chunks)
    own = model.own(whole)
    loss, found = model.loss_and_gradients(own, batch, microbatches=m, schedule=options.schedule)
    wanted = model.own(gradients)
    errors = [np.abs(found[name] - wanted[name]).max() / np.abs(wanted[name]).max() for name in found]
    error = float(allreduce_max(np.array([max(*errors, abs(loss - expected) / expected)]), comm)[0])
    assert error < 1e-12, error
    plan = simulate(pipeline_schedule(options.schedule, axes["pipeline"], m, chunks))
    sent = traffic(grid.pipeline).get("pipeline")
    if comm.rank == 0:
        shape = " x ".join(f"{axis} {length}" for axis, length in axes.items())
        bubble = plan.bubble
        if m >= 2 * axes["pipeline"] - 1:  # fewer fill no pipeline of zero bubble, and there is no formula
            bubble = pipeline_bubble(axes["pipeline"], m, chunks, kind=options.schedule)
        print(
            f"PASS {shape}, {options.schedule}, {m} microbatches: loss and gradients {error:.1e} from one rank; rank 0 "
            f"holds {sum(p.size for p in own.values()):,} of {sum(p.size for p in whole.values()):,} parameters and "
            f"sent {sent.bytes if sent else 0:,} bytes up and down; bubble {plan.bubble:.3f} (formula {bubble:.3f}), "
            f"peak {plan.peak[0]:g} microbatches"
        )
    grid.free()
