"""The basis by degree: published counts, orbits of permutations by Burnside's lemma, and what matrix products reach."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest

from sci.errors import InvalidValueError
from sci.graphs import Pattern, enumerate_patterns, is_matrix_computable


def test_connected_simple_graphs_by_edges():
    assert [len(enumerate_patterns(d)) for d in range(8)] == [1, 1, 1, 3, 5, 12, 30, 79]


def test_patterns_that_matrix_products_do_not_reach():
    missing = [
        [sum(not is_matrix_computable(p) for p in enumerate_patterns(d, marks)) for marks in (0, 1, 2)]
        for d in (3, 4, 5, 6)
    ]
    assert missing == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 9]]
    (kite,) = (p for p in enumerate_patterns(5, 2) if not is_matrix_computable(p))
    assert sorted(kite.edges) == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], "K4 without the edge of the marked nodes"


def computable_by_the_given_neighbors(pattern: Pattern) -> bool:
    """The faulty way: neighbors of the eliminated node are looked up in the pattern as given."""
    given = {v: {a + b - v for a, b in pattern.edges if v in (a, b)} for v in range(pattern.n_nodes)}
    now = {v: set(around) for v, around in given.items()}
    while free := [v for v, around in now.items() if 1 <= len(around) <= 2 and v not in pattern.marks]:
        node = free[0]
        if len(now[node]) == 2:
            first, second = sorted(given[node])[:2]
            now[first].add(second)
            now[second].add(first)
        for v in now:
            now[v].discard(node)
        now[node] = set()
    return all(not around or v in pattern.marks for v, around in now.items())


def test_neighbors_are_those_of_the_reduced_pattern():
    """K4 with an edge subdivided twice still has K4 in it."""
    chain = Pattern([(0, 4), (4, 5), (5, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
    assert computable_by_the_given_neighbors(chain)
    assert not is_matrix_computable(chain)
    # Up to six edges both agree, as the counts of the paper do.
    for d in (3, 4, 5, 6):
        for marks in (0, 1, 2):
            for pattern in enumerate_patterns(d, marks):
                assert computable_by_the_given_neighbors(pattern) == is_matrix_computable(pattern)


def orbits(n: int, degree: int, marks: int, symmetric: bool) -> int:
    """Orbits of S_n on monomials of a degree in the entries of a matrix, times tuples of different marked nodes."""
    total = Fraction(0)
    pairs = [(a, b) for a in range(n) for b in range(n) if not symmetric or a <= b]
    for p in itertools.permutations(range(n)):
        fixed = sum(p[v] == v for v in range(n))
        ways = math.perm(fixed, marks)
        if ways == 0:
            continue
        cycles, seen = [], set()
        for pair in pairs:
            length, at = 0, pair
            while at not in seen:
                seen.add(at)
                at = (p[at[0]], p[at[1]])
                at = (min(at), max(at)) if symmetric else at
                length += 1
            cycles += [length] if length else []
        series = [1] + [0] * degree  # multisets of pairs that p keeps
        for length in cycles:
            for k in range(length, degree + 1):
                series[k] += series[k - length]
        total += ways * series[degree]
    return int(total / math.factorial(n))


@pytest.mark.parametrize(("kind", "degree", "marks"), [
    ("directed", 1, 0), ("directed", 2, 0), ("directed", 3, 0), ("directed", 1, 2), ("directed", 2, 1),
    ("multigraph", 3, 0), ("multigraph", 2, 2), ("multigraph", 3, 1), ("directed", 2, 2),
])  # fmt: skip
def test_the_basis_has_the_dimension_of_the_space(kind, degree, marks):
    """For n >= 2 degree + marks, invariant polynomials have one basis element for each orbit of monomials."""
    n = min(7, 2 * degree + marks)
    assert n == 2 * degree + marks
    expected = orbits(n, degree, marks, kind == "multigraph")
    assert len(enumerate_patterns(degree, marks, kind=kind, connected=False)) == expected


def test_connected_patterns_are_those_without_products():
    every = enumerate_patterns(4, 1, kind="multigraph", connected=False)
    assert {p for p in every if p.is_connected} == set(enumerate_patterns(4, 1, kind="multigraph"))


@pytest.mark.parametrize(("degree", "options"), [(-1, {}), (9, {}), (6, {"kind": "directed"}), (2, {"marks": 3})])
def test_refusals(degree, options):
    with pytest.raises(InvalidValueError, match="expected"):
        enumerate_patterns(degree, **options)
