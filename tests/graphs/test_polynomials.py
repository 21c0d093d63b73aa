"""Polynomials of patterns: brute force, equivariance, gradients, channels and batches, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.graphs import Pattern, enumerate_patterns, graph_polynomial
from sci.nn import Tape

RNG = np.random.default_rng(1)
MIXED = [
    *(p for marks in (0, 1, 2) for p in enumerate_patterns(3, marks, kind="directed", connected=False)[::17]),
    *(p for marks in (0, 1, 2) for p in enumerate_patterns(4, marks)),
    Pattern([(0, 1), (1, 2), (1, 2), (2, 3), (3, 0)], (0, 3), directed=True),
    Pattern([], (0, 1)),
    Pattern([], n_nodes=2),
    Pattern([(0, 1)], (0, 1)),
    Pattern([(0, 1)], (1, 0)),
    Pattern([(0, 0)], (0,)),
]


def by_brute_force(x: np.ndarray, pattern: Pattern) -> np.ndarray:
    n = x.shape[-1]
    out = np.zeros([n] * len(pattern.marks))
    for nodes in itertools.product(range(n), repeat=pattern.n_nodes):
        out[tuple(nodes[m] for m in pattern.marks)] += np.prod([x[nodes[a], nodes[b]] for a, b in pattern.edges])
    return out


@pytest.mark.parametrize("pattern", MIXED, ids=repr)
def test_brute_force_and_equivariance(pattern):
    x = RNG.normal(size=(4, 4))
    found = graph_polynomial(x, pattern=pattern)
    scale = np.abs(by_brute_force(np.abs(x), pattern)).max()
    np.testing.assert_allclose(found, by_brute_force(x, pattern), rtol=0, atol=1e-14 * scale)
    p = RNG.permutation(4)
    turned = graph_polynomial(x[np.ix_(p, p)], pattern=pattern)
    np.testing.assert_allclose(turned, found[np.ix_(*[p] * len(pattern.marks))], rtol=0, atol=1e-14 * scale)


@pytest.mark.parametrize("pattern", MIXED[::5], ids=repr)
def test_gradients(pattern):
    assert_vjp(graph_polynomial, [RNG.normal(size=(2, 4, 4))], pattern=pattern)


def test_channels_and_batches():
    x = RNG.normal(size=(3, 2, 5, 5))
    pattern = Pattern([(0, 1), (0, 2), (1, 2)], (0,), directed=True)
    found = graph_polynomial(x, pattern=pattern, channels=(0, 1, 1))
    np.testing.assert_allclose(found, np.einsum("zab,zac,zbc->za", x[:, 0], x[:, 1], x[:, 1]), rtol=1e-13)
    assert_vjp(graph_polynomial, [x], pattern=pattern, channels=(0, 1, 1))
    each = graph_polynomial(x, pattern=pattern)
    np.testing.assert_allclose(each[2, 1], graph_polynomial(x[2, 1], pattern=pattern), rtol=1e-13)
    assert each.shape == (3, 2, 5)


def test_sizes_that_are_zero_and_dtypes():
    edge = Pattern([(0, 1)], (0,))
    assert graph_polynomial(np.ones((0, 3, 3)), pattern=edge).shape == (0, 3)
    assert graph_polynomial(np.ones((2, 0, 0)), pattern=edge).shape == (2, 0)
    assert graph_polynomial(np.ones((2, 3, 3), np.float32), pattern=edge).dtype == np.float32


def test_the_result_does_not_share_memory_with_the_input():
    x = RNG.normal(size=(3, 3))
    for marks in ((0, 1), (1, 0)):
        out = graph_polynomial(x, pattern=Pattern([(0, 1)], marks, directed=True))
        assert not np.shares_memory(out, x) or marks == (1, 0)
    variable = Tape().watch(x)
    graph_polynomial(variable, pattern=Pattern([(0, 1)], (1, 0), directed=True)).backward(np.arange(9.0).reshape(3, 3))
    np.testing.assert_array_equal(variable.gradient, np.arange(9.0).reshape(3, 3).T)


def test_refusals():
    edge = Pattern([(0, 1)])
    with pytest.raises(ShapeError, match="square"):
        graph_polynomial(np.ones((3, 4)), pattern=edge)
    with pytest.raises(DTypeError, match="x"):
        graph_polynomial(np.ones((3, 3), np.int8), pattern=edge)
    for channels in ((), (2,), (-1,), (0, 0)):
        with pytest.raises(InvalidValueError, match="for each of the 1 edges"):
            graph_polynomial(np.ones((2, 3, 3)), pattern=edge, channels=channels)
    with pytest.raises(ShapeError, match=r"c, n, n"):
        graph_polynomial(np.ones((3, 3)), pattern=edge, channels=(0,))
