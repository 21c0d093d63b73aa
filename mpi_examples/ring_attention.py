"""Causal softmax attention over a sequence that is spread over the ranks: results, gradients, and what crossed.

mpirun -n 2 python mpi_examples/ring_attention.py
"""

from __future__ import annotations

import time

import numpy as np
from mpi4py import MPI

from sci.distributed import allreduce_max, job, launched, reset_traffic, shard, traffic
from sci.sequence import softmax_attention

HEADS, N, D = 4, 1501, 32

comm = launched(MPI.COMM_WORLD)
with job(comm):
    rng = np.random.default_rng(0)
    q, k, v, dout = rng.normal(size=(4, HEADS, N, D))
    (out, lse), residuals = softmax_attention.forward(q, k, v, causal=True)
    expected = (out, *softmax_attention.vjp((dout, None), residuals))
    lines = []
    for method, layout in (("ring", "zigzag"), ("rsa", "contiguous"), ("ulysses", "striped")):
        parts = [shard(a, comm, 1, layout) for a in (q, k, v)]
        reset_traffic(comm)
        start = time.perf_counter()
        (found, _), residuals = softmax_attention.forward(*parts, causal=True, method=method, layout=layout, comm=comm)
        gradients = softmax_attention.vjp((shard(dout, comm, 1, layout), None), residuals)
        seconds = time.perf_counter() - start
        errors = [
            np.abs(a - shard(b, comm, 1, layout)).max() / np.abs(b).max() for a, b in zip((found, *gradients), expected)
        ]
        error = float(allreduce_max(np.array([max(errors)]), comm)[0])
        assert error < 1e-12, (method, error)
        sent = sum(t.bytes for name, t in traffic(comm).items() if name != "agree")
        lines.append(f"{method}, {layout}: error {error:.1e}, {seconds:.2f} s, rank 0 sent {sent:,} bytes")
    if comm.rank == 0:
        print(f"PASS {N:,} tokens, {HEADS} heads of {D}, {comm.size} ranks, all gradients; " + "; ".join(lines))
