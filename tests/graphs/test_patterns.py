"""Patterns: canonical forms of relabeled patterns, automorphisms against all permutations, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.graphs import Pattern, enumerate_patterns

CLIQUE = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
CASES = [
    *(p for marks in (0, 1, 2) for p in enumerate_patterns(4, marks)),
    *enumerate_patterns(3, 1, kind="directed", connected=False)[::9],
    *enumerate_patterns(4, 2, kind="multigraph", connected=False)[::9],
    Pattern([(k, (k + 1) % 6) for k in range(6)]),
    Pattern([(0, k) for k in range(1, 9)]),
    Pattern([(2 * k, 2 * k + 1) for k in range(5)]),
]


@pytest.mark.parametrize("k", range(len(CASES)))
def test_relabeled_patterns_have_one_canonical_form(k):
    pattern, rng = CASES[k], np.random.default_rng(k)
    form = pattern.canonical()
    assert form.marks == tuple(range(len(pattern.marks)))
    for _ in range(4):
        assert pattern.relabeled(rng.permutation(pattern.n_nodes).tolist()).canonical() == form
    assert form.canonical() == form
    assert form.degree == pattern.degree


def test_regular_graphs_that_refinement_cannot_tell_apart():
    """Two triangles and a hexagon have the same degrees everywhere; so have the prism and K33."""
    triangles = Pattern([(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)])
    hexagon = Pattern([(k, (k + 1) % 6) for k in range(6)])
    prism = Pattern([*triangles.edges, (0, 3), (1, 4), (2, 5)])
    bipartite = Pattern([(a, b) for a in range(3) for b in range(3, 6)])
    assert len({p.canonical() for p in (triangles, hexagon, prism, bipartite)}) == 4
    assert [p.automorphisms() for p in (triangles, hexagon, prism, bipartite)] == [72, 12, 12, 72]


def test_automorphisms_are_the_permutations_that_keep_the_matrix():
    for pattern in CASES:
        if pattern.n_nodes > 6:
            continue
        matrix = np.array(pattern.matrix())
        orders = itertools.permutations(range(pattern.n_nodes))
        kept = sum((matrix[np.ix_(p, p)] == matrix).all() and all(p[m] == m for m in pattern.marks) for p in orders)
        assert pattern.automorphisms() == kept, pattern


def test_what_a_pattern_tells():
    pattern = Pattern([(1, 0), (1, 1), (2, 1)], marks=(4,), directed=True)
    assert repr(pattern) == "Pattern(1>0 1>1 2>1, 5 nodes, marks [4])"
    assert (pattern.degree, pattern.isolated, pattern.is_connected, pattern.is_simple) == (3, (3, 4), False, False)
    assert Pattern([(1, 0)]).edges == ((0, 1),)
    assert repr(Pattern([], n_nodes=2)) == "Pattern(2 nodes)"
    assert Pattern(CLIQUE).is_simple
    assert not Pattern([(0, 0)]).is_simple


@pytest.mark.parametrize(
    ("edges", "options"),
    [
        ([(-1, 0)], {}),
        ([(0, 1)], {"marks": (0, 0)}),
        ([(0, 1), (1, 2)], {"marks": (0, 1, 2)}),
        ([(0, 1)], {"n_nodes": 1}),
        ([(0, 20)], {}),
        ([(0, 1)], {"marks": (-1,)}),
    ],
)
def test_refusals(edges, options):
    with pytest.raises(InvalidValueError, match="expected"):
        Pattern(edges, **options)
    with pytest.raises(DTypeError, match="edges"):
        Pattern([(0, 1, 2)])
