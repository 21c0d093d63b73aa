"""Attention to pairs of keys over a sequence that is spread over the ranks: exact, and by a polynomial.

mpirun -n 2 python mpi_examples/tensor_attention.py
"""

from __future__ import annotations

import time

import numpy as np
from mpi4py import MPI

from sci.distributed import allreduce_max, job, launched, split
from sci.sequence import tensor_attention

N, D, TOL = 300, 4, 1e-6

comm = launched(MPI.COMM_WORLD)
with job(comm):
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-0.5, 0.5, (N, D)) for _ in range(5)]
    dout = rng.normal(size=(N, D))
    out, residuals = tensor_attention.forward(*arrays)
    expected = (out, *tensor_attention.vjp(dout, residuals))
    mine, lines = split(N, comm), []
    parts = [a[mine] for a in arrays]
    for method, allowed in (("exact", 1e-12), ("polynomial", 100 * TOL)):
        start = time.perf_counter()
        found, residuals = tensor_attention.forward(*parts, method=method, tol=TOL, bound=0.5, comm=comm)
        gradients = tensor_attention.vjp(dout[mine], residuals)
        seconds = time.perf_counter() - start
        errors = [np.abs(a - b[mine]).max() / np.abs(b).max() for a, b in zip((found, *gradients), expected)]
        error = float(allreduce_max(np.array([max(errors)]), comm)[0])
        assert error < allowed, (method, error)
        lines.append(f"{method}: error {error:.1e}, {1e3 * seconds:.1f} ms")
    if comm.rank == 0:
        print(f"PASS {N} tokens of {D}, {comm.size} ranks, all gradients; " + "; ".join(lines))
