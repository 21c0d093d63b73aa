"""Graphs: equivariant polynomials of their matrices, and exact counts of cliques, motifs and patterns over ranks."""

from sci.graphs.cliques import clique_counts
from sci.graphs.copies import count_copies
from sci.graphs.enumeration import enumerate_patterns, is_matrix_computable
from sci.graphs.graph import Graph
from sci.graphs.motifs import MotifCounts, count_motifs
from sci.graphs.patterns import Pattern
from sci.graphs.polynomials import graph_polynomial

__all__ = [
    "Graph",
    "MotifCounts",
    "Pattern",
    "clique_counts",
    "count_copies",
    "count_motifs",
    "enumerate_patterns",
    "graph_polynomial",
    "is_matrix_computable",
]
