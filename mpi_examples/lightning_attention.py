"""Lightning attention over a sequence that is spread over the ranks: results, gradients, and what crossed.

mpirun -n 2 python mpi_examples/lightning_attention.py
"""

from __future__ import annotations

import time

import numpy as np
from mpi4py import MPI

from sci.distributed import allreduce_max, job, launched, reset_traffic, split, traffic
from sci.sequence import lightning_attention

HEADS, N, D = 4, 10_001, 32

comm = launched(MPI.COMM_WORLD)
with job(comm):
    rng = np.random.default_rng(0)
    q, k, v, dout = (rng.normal(size=(HEADS, N, D)) for _ in range(4))
    decay = 2.0 ** -np.arange(1, HEADS + 1)
    (out, _), residuals = lightning_attention.forward(q, k, v, decay)
    dq, dk, dv, ddecay, _ = lightning_attention.vjp((dout, None), residuals)
    mine, lines = split(N, comm), []
    for method in ("gather", "ring"):
        reset_traffic(comm)
        start = time.perf_counter()
        (found, _), residuals = lightning_attention.forward(
            q[:, mine], k[:, mine], v[:, mine], decay, method=method, comm=comm
        )
        gradients = lightning_attention.vjp((dout[:, mine], None), residuals)
        seconds = time.perf_counter() - start
        expected = (out[:, mine], dq[:, mine], dk[:, mine], dv[:, mine], ddecay)
        errors = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip((found, *gradients), expected)]
        error = float(allreduce_max(np.array([max(errors)]), comm)[0])
        assert error < 1e-12, (method, error)
        states = {name: t.bytes for name, t in traffic(comm).items() if name != "agree"}
        lines.append(f"{method}: error {error:.1e}, {seconds:.2f} s, rank 0 sent {sum(states.values()):,} bytes")
    if comm.rank == 0:
        print(f"PASS {N:,} tokens, {HEADS} heads of {D}, {comm.size} ranks, all gradients; " + "; ".join(lines))
