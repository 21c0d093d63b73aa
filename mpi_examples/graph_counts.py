"""Count cliques and motifs of a graph over ranks, and compare with traces of powers of its matrix and one process.

mpirun -n 2 python mpi_examples/graph_counts.py [EDGES.txt]

EDGES.txt has two numbers of nodes in each line, as the files of public collections of networks; lines that begin with
# are left out. Without it the graph is a random one with hubs.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from mpi4py import MPI

from sci.distributed import allreduce_max, broadcast_object, job, launched
from sci.graphs import Graph, clique_counts, count_motifs


def read_graph() -> Graph:
    """Return the graph of the file, its nodes numbered anew without loops, or a random one."""
    if len(sys.argv) > 1:
        edges = np.loadtxt(sys.argv[1], dtype=np.int64, usecols=(0, 1), ndmin=2)
    else:
        weights = np.arange(1, 2001) ** -0.6
        edges = np.random.default_rng(0).choice(2000, (20_000, 2), p=weights / weights.sum())
    _, numbers = np.unique(edges, return_inverse=True)
    numbers = numbers.reshape(-1, 2)
    return Graph(numbers[numbers[:, 0] != numbers[:, 1]])


comm = launched(MPI.COMM_WORLD)
with job(comm):
    graph = Graph(broadcast_object(read_graph().edges if comm.rank == 0 else None, comm))
    start = time.perf_counter()
    cliques, motifs = clique_counts(graph, 6, comm=comm), count_motifs(graph, comm=comm)
    seconds = float(allreduce_max(np.array([time.perf_counter() - start]), comm)[0])
    if comm.rank == 0:
        assert (cliques, motifs) == (clique_counts(graph, 6), count_motifs(graph))
        triangles = int((graph.adjacency @ graph.adjacency).multiply(graph.adjacency).sum()) // 6
        assert cliques[3] == motifs.copies["triangle"] == triangles
        for name, count in motifs.copies.items():
            print(f"{name:<10}{count:>20,}{motifs.induced[name]:>20,} induced")
        print(f"PASS {graph} on {comm.size} ranks in {seconds:.2f} s, error 0: cliques {cliques}")
