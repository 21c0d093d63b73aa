"""A call of every public callable of `sci.graphs`, whose arguments tests spoil one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import Call, call, real

from sci import graphs


def _graphs() -> dict[str, Call]:
    graph = graphs.Graph(np.array([[0, 1], [1, 2], [0, 2], [2, 3]]))
    path = graphs.Pattern([(0, 1), (1, 2)])
    counts = {"path3": 5, "triangle": 1}
    return {
        "Graph": call(graphs.Graph, np.array([[0, 1], [1, 2]]), n_nodes=4),
        "MotifCounts": call(graphs.MotifCounts, counts, counts),
        "Pattern": call(graphs.Pattern, [(0, 1), (1, 2)], (0,), n_nodes=3, directed=True),
        "clique_counts": call(graphs.clique_counts, graph, 3, device="cpu"),
        "count_copies": call(graphs.count_copies, graph, path, induced=True),
        "count_motifs": call(graphs.count_motifs, graph),
        "enumerate_patterns": call(graphs.enumerate_patterns, 2, 1, kind="simple", connected=True),
        "graph_polynomial": call(graphs.graph_polynomial, real(2, 3, 3), pattern=path, channels=(0, 1)),
        "is_matrix_computable": call(graphs.is_matrix_computable, path),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"graphs": _graphs}
