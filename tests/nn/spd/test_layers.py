"""BiMap, ReEig, LogEig and the parameters on manifolds."""

from __future__ import annotations

import numpy as np
import pytest
from spd_cases import errors, spd, symmetric

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Adam, bimap, logeig, matrix_function, positive_definite, reeig, semi_orthogonal, value_and_gradients
from sci.nn.spd.layers import congruence

RNG = np.random.default_rng(8)
X = spd(RNG, 5, 2, 4)
TWINS = np.diag([2.0, 2.0, 2.0, 0.5]) + 0 * X


@pytest.mark.parametrize("name", ["sqrt", "inverse_sqrt", "log", "exp", "inverse"])
@pytest.mark.parametrize("x", [X, TWINS, np.eye(4) + 0 * X])
def test_gradients_of_functions_at_repeated_eigenvalues_too(name, x):
    """At I the public code sets 0 / 0 to 0; its gradient is wrong by more than itself."""
    assert max(errors(lambda y: matrix_function(y, name=name), (x,))) < 1e-8


def test_reeig_raises_small_eigenvalues_alone():
    values, vectors = np.linalg.eigh(X)
    expected = vectors * np.maximum(values, 0.7)[..., None, :] @ vectors.swapaxes(-1, -2)
    np.testing.assert_allclose(reeig(X, threshold=0.7), expected, atol=1e-14)
    assert max(errors(lambda y: reeig(y, threshold=0.7), (X,))) < 1e-7
    assert max(errors(lambda y: reeig(y, threshold=0.7), (TWINS,))) < 1e-7


def test_logeig_keeps_inner_products():
    a, b = logeig(X[:2]), logeig(X[2:4])
    assert a.shape == (2, 2, 10)
    logs = [matrix_function(part, name="log") for part in (X[:2], X[2:4])]
    np.testing.assert_allclose((a * b).sum(axis=-1), (logs[0] * logs[1]).sum(axis=(-2, -1)), rtol=1e-13)
    assert max(errors(logeig, (X,))) < 1e-8
    assert max(errors(logeig, (np.eye(4) + 0 * X,))) < 1e-8


def test_bimap_sums_over_channels():
    weight = RNG.normal(size=(3, 2, 2, 4))
    expected = np.einsum("oipq,biqr,oisr->bops", weight, X, weight)
    found = bimap(X, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert np.array_equal(found, found.swapaxes(-1, -2))
    assert max(errors(bimap, (X, weight))) < 1e-8
    with pytest.raises(ShapeError, match="expected"):
        bimap(X, weight[:, :1])


def test_congruence_takes_a_matrix_for_each_channel():
    a = RNG.normal(size=(2, 4, 4))
    np.testing.assert_allclose(congruence(X, a), a @ X @ a.swapaxes(-1, -2), atol=1e-13)
    assert max(errors(congruence, (X, a))) < 1e-8
    assert max(errors(congruence, (X[0], symmetric(RNG.normal(size=X.shape))))) < 1e-8


def test_rows_of_a_semi_orthogonal_matrix_are_orthonormal_and_nearest():
    free = RNG.normal(size=(6, 3, 5))
    w = semi_orthogonal(free)
    np.testing.assert_allclose(w @ w.swapaxes(-1, -2), np.eye(3) + np.zeros((6, 1, 1)), atol=1e-13)
    left, _, right = np.linalg.svd(free, full_matrices=False)
    np.testing.assert_allclose(w, left @ right, atol=1e-13)
    assert max(errors(semi_orthogonal, (free,))) < 1e-8
    assert max(errors(semi_orthogonal, (np.eye(3, 5)[None],))) < 1e-8
    with pytest.raises(ShapeError, match="m <= n"):
        semi_orthogonal(free.swapaxes(-1, -2))
    with pytest.raises(InvalidValueError, match="not positive definite beyond rounding"):
        semi_orthogonal(np.ones((2, 3)))


def test_positive_definite_matrices_of_free_ones():
    free = RNG.normal(size=(2, 3, 3))
    p, half = positive_definite(free), positive_definite(free, exponent=0.5)
    np.testing.assert_allclose(half @ half, p, rtol=1e-12)
    np.testing.assert_allclose(positive_definite(free, exponent=-0.5) @ half, np.eye(3) + 0 * p, atol=1e-13)
    for exponent in (1.0, -0.5):
        assert max(errors(lambda s, e=exponent: positive_definite(s, exponent=e), (free,))) < 1e-8
        assert max(errors(lambda s, e=exponent: positive_definite(s, exponent=e), (0 * free,))) < 1e-8


def test_an_optimizer_keeps_the_rows_orthonormal():
    """200 steps of Adam find the two leading eigenvectors; the constraint holds to rounding after all of them."""
    c = np.diag([5.0, 1.0, 4.0, 2.0])
    parameters = {"w": RNG.normal(size=(1, 1, 2, 4))}
    optimizer = Adam(0.05)
    state = optimizer.start(parameters)
    for step in range(200):
        _, gradients = value_and_gradients(
            lambda v: -(bimap(c[None, None], semi_orthogonal(v["w"])) * np.eye(2)).sum(), parameters
        )
        optimizer.update(parameters, gradients, state, step + 1, 1.0)
    w = semi_orthogonal(parameters["w"])[0, 0]
    np.testing.assert_allclose(w @ w.T, np.eye(2), atol=1e-13)
    assert abs(np.trace(w @ c @ w.T) - 9) < 1e-6


def test_single_precision_stays_single():
    x = X.astype("f4")
    w = semi_orthogonal(RNG.normal(size=(3, 2, 2, 4)).astype("f4"))
    assert {a.dtype.name for a in (w, bimap(x, w), reeig(x), logeig(x), congruence(x, x))} == {"float32"}


@pytest.mark.parametrize("op", [reeig, logeig])
def test_what_is_no_positive_definite_matrix_is_refused(op):
    with pytest.raises(InvalidValueError, match="is not symmetric"):
        op(np.array([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(InvalidValueError, match="NaN"):
        op(np.full((2, 2), np.nan))
    with pytest.raises(ShapeError, match="expected square matrices"):
        op(np.ones((2, 3)))
    with pytest.raises(DTypeError, match="float32 or float64"):
        op(np.eye(2, dtype=int))
    with pytest.raises(InvalidValueError, match="positive definite"):
        logeig(np.diag([1.0, -1.0]))
