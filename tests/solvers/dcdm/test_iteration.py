"""Conjugate directions: the identities of the iteration, and the loss."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from scipy.sparse.linalg import spsolve

from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers import PoissonOperator, cg
from sci.solvers.dcdm import iteration
from sci.solvers.dcdm.iteration import (
    DirectionLog,
    conjugate_directions,
    line_search_loss,
)

RNG = np.random.default_rng(12)
MASK = RNG.random((8, 8, 8)) > 0.1
A = PoissonOperator(MASK)
B = RNG.normal(size=MASK.shape) * MASK
MATRIX = A.to_scipy()
EXACT = A.expand(spsolve(MATRIX.tocsc(), B[MASK]))


def test_with_the_residual_as_direction_it_is_conjugate_gradients():
    """To 1e-8 of every norm down to 1e-8, and to what b - A x is rounded by below that: cg updates its residual, and so
    resolves norms that the recomputed one cannot.
    """
    expected = cg(A, B, rtol=1e-11)
    norms = expected.residual_norms
    for k in (1, 2, 5):
        found = conjugate_directions(A, B, lambda r: r, k=k, rtol=1e-11)
        assert found.iterations == expected.iterations
        np.testing.assert_allclose(found.residual_norms, norms, rtol=1e-12, atol=np.finfo(float).eps * norms[0])
        above = norms >= 1e-8 * norms[0]
        np.testing.assert_allclose(found.residual_norms[above], norms[above], rtol=1e-8)


def test_with_the_inverse_as_direction_it_takes_one_iteration():
    found = conjugate_directions(A, B[MASK], lambda r: spsolve(MATRIX.tocsc(), r), rtol=1e-10)
    assert found.iterations == 1
    assert found.converged


def _random_directions(scale=lambda i: 1.0):
    rng, count = np.random.default_rng(4), iter(range(1000))

    def direction(r):
        return scale(next(count)) * (r + 0.5 * rng.normal(size=r.shape) * MASK)

    return direction


def test_length_and_sign_of_a_direction_do_not_matter():
    plain, scaled = ([], [])
    conjugate_directions(A, B, _random_directions(), maxiter=8, callback=lambda x: plain.append(x.copy()))
    scales = _random_directions(lambda i: (-3.0) ** (5 - i))
    conjugate_directions(A, B, scales, maxiter=8, callback=lambda x: scaled.append(x.copy()))
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("k", [0, 2])
def test_the_error_falls_whatever_the_direction(k):
    errors = [float(np.vdot(EXACT, A @ EXACT))]
    conjugate_directions(
        A,
        B,
        lambda r: np.random.default_rng(int(1e6 * abs(r[MASK][0]))).normal(size=r.shape) * MASK,
        k=k,
        maxiter=25,
        callback=lambda x: errors.append(float(np.vdot(x - EXACT, A @ (x - EXACT)))),
    )
    assert len(errors) == 26
    assert (np.diff(errors) < 0).all()


def test_directions_are_orthogonal():
    iterates = [np.zeros_like(B)]
    conjugate_directions(A, B, lambda r: r**3 + r, k=2, maxiter=9, callback=lambda x: iterates.append(x.copy()))
    p = np.diff(iterates, axis=0)
    gram = np.array([[np.vdot(a, A @ b) for a in p] for b in p])
    gram /= np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    # One pass with the coefficients of the given direction leaves what the last two are not orthogonal by.
    assert np.abs(np.diag(gram, 1)).max() <= 1e-10
    assert np.abs(np.diag(gram, 2)).max() <= 1e-10


def test_directions_that_are_nearly_the_last_ones_stay_orthogonal(monkeypatch):
    """One pass of Gram-Schmidt left a cosine of 1e-2 where 1e-7 of a direction is new."""
    monkeypatch.setattr(iteration, "PROGRESS", np.inf)  # takes them, weak as they are
    products, rng, last = [], np.random.default_rng(0), [RNG.normal(size=B.shape) * MASK]

    def multiply(v):
        products.append(v.copy())
        return A @ v

    def direction(r):
        last[0] = last[0] + 1e-7 * rng.normal(size=B.shape) * MASK
        return last[0]

    log = DirectionLog()
    conjugate_directions(multiply, B, direction, k=3, maxiter=12, log=log)
    p = products[1::2][:12]  # the other products are with x
    gram = np.array([[np.vdot(a, A @ b) for a in p] for b in p])
    gram /= np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    assert log.fallbacks == []
    assert max(np.abs(np.diag(gram, i)).max() for i in (1, 2, 3)) <= 1e-13


def test_directions_outside_of_the_fluid_do_not_reach_x():
    for walls in ("dirichlet", "neumann"):
        operator = PoissonOperator(MASK, 1.0, walls, neumann_body=walls == "neumann")
        b = operator.project(B)
        clean = conjugate_directions(operator, b, lambda r: r + 0.1 * r**3, rtol=1e-10)
        found = conjugate_directions(operator, b, lambda r: r + 0.1 * r**3 + 5.0 * ~MASK, rtol=1e-10)
        assert (found.x[~MASK] == 0).all()
        np.testing.assert_allclose(found.residual_norms[:20], clean.residual_norms[:20], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, -1e300])
def test_directions_of_any_size_are_taken(scale):
    log = DirectionLog()
    found = conjugate_directions(A, B, lambda r: scale * r, rtol=1e-8, log=log)
    assert found.iterations == cg(A, B, rtol=1e-8).iterations
    assert found.converged
    assert log.fallbacks == []


def test_a_function_may_change_what_it_is_given():
    def direction(r):
        r *= 0
        return r

    np.testing.assert_allclose(
        conjugate_directions(A, B, direction, rtol=1e-8).residual_norms,
        conjugate_directions(A, B, lambda r: r, rtol=1e-8).residual_norms,
    )


def test_a_right_hand_side_of_zeros_has_the_solution_zero_from_any_start():
    found = conjugate_directions(A, 0 * B, lambda r: r, B)
    assert (found.iterations, found.converged) == (0, True)
    assert (found.x == 0).all()


def test_where_x_cannot_be_better_it_ends_and_says_so():
    """It went on to ten steps for each entry of b."""
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))[0]
    matrix = turn @ (np.geomspace(1e-9, 1.0, 60)[:, None] * turn.T)
    matrix = (matrix + matrix.T) / 2
    b = turn @ np.geomspace(1.0, 1e-9, 60)  # x is 1e9 times as large
    found = conjugate_directions(matrix, b, lambda r: np.linalg.solve(matrix, r), rtol=1e-12)
    assert not found.converged
    assert found.iterations < 60
    assert 0 < found.residual_norms[-1] <= 4 * found.rounding
    assert "at the rounding of x" in repr(found)


@pytest.mark.parametrize(
    ("direction", "reason"),
    [
        (lambda r: 0 * r, "zero"),
        (lambda r: np.full_like(r, np.nan), "nan"),
        (lambda r: np.full_like(r, np.inf), "nan"),
    ],
)
def test_useless_directions_are_replaced_by_the_residual(direction, reason):
    log = DirectionLog()
    found = conjugate_directions(A, B, direction, rtol=1e-6, log=log)
    expected = cg(A, B, rtol=1e-6)
    np.testing.assert_allclose(found.residual_norms, expected.residual_norms, rtol=1e-8)
    assert log.fallbacks == [(i + 1, reason) for i in range(found.iterations)]


def test_a_direction_along_the_last_one_is_replaced():
    log = DirectionLog()
    first = RNG.normal(size=B.shape) * MASK
    found = conjugate_directions(A, B, lambda r: first, rtol=1e-6, maxiter=200, log=log)
    assert found.converged
    assert log.fallbacks[0] == (2, "dependent")
    assert {reason for _, reason in log.fallbacks} <= {"dependent", "weak"}


def test_a_function_that_proposes_one_direction_for_ever_does_not_stall():
    """A network of r / ||r|| does where that no longer changes; with two directions kept nothing was dependent."""
    fixed = RNG.normal(size=(3, *B.shape)) * MASK
    log, turn = DirectionLog(), iter(range(10**6))
    found = conjugate_directions(A, B, lambda r: fixed[next(turn) % 3], k=1, rtol=1e-8, maxiter=500, log=log)
    assert found.converged
    assert "weak" in {reason for _, reason in log.fallbacks}


def test_negative_curvature_is_replaced_and_then_refused():
    indefinite = np.diag([1.0, 2.0, 3.0, -1.0])
    b, log = np.array([1.0, 1.0, 1.0, 0.0]), DirectionLog()
    found = conjugate_directions(indefinite, b, lambda r: np.array([0.0, 0, 0, 1]), rtol=1e-10, log=log)
    assert found.converged
    assert {reason for _, reason in log.fallbacks} == {"negative curvature"}
    with pytest.raises(ConvergenceError, match="positive definite"):
        conjugate_directions(indefinite, np.array([0.0, 0, 0, 1]), lambda r: r)


def test_wrong_arguments_are_refused():
    with pytest.raises(ShapeError, match="direction"):
        conjugate_directions(A, B, lambda r: r[:4])
    with pytest.raises(DTypeError, match="the direction has dtype complex128"):
        conjugate_directions(A, B, lambda r: r + 1j)
    with pytest.raises(InvalidValueError, match="k is -1"):
        conjugate_directions(A, B, lambda r: r, k=-1)


def _apply(y):
    return np.stack([A.apply(sample) for sample in y])


def test_the_loss_is_the_residual_after_a_line_search():
    y, b = RNG.normal(size=(2, 3, *MASK.shape)) * MASK
    loss, residuals = line_search_loss.forward(y, b, apply=_apply)
    expected = []
    for yi, bi in zip(y, b):
        x = yi * np.vdot(yi, bi) / np.vdot(yi, A @ yi)
        expected.append(np.sum((bi - A @ x) ** 2))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-12)
    (dy, _) = line_search_loss.vjp(np.float64(1.0), residuals)
    assert np.abs((y * dy).sum(axis=(1, 2, 3))).max() <= 1e-12
    exact = np.stack([A.expand(spsolve(MATRIX.tocsc(), bi[MASK])) for bi in b])
    assert float(line_search_loss(-2 * exact, b, apply=_apply)) <= 1e-20
    assert_vjp(line_search_loss, [y, b], apply=_apply)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_right_hand_sides_of_any_size_are_solved(unit: float) -> None:
    """Norms of such vectors overflow or vanish; a start and the callback are in the caller's unit."""
    mask = np.ones((6, 6), bool)
    A, b = PoissonOperator(mask), np.random.default_rng(0).normal(size=(6, 6))
    plain = conjugate_directions(A, b, lambda r: r, rtol=1e-10)
    seen: list[np.ndarray] = []
    scaled = conjugate_directions(A, b * unit, lambda r: r, 0.5 * plain.x * unit, rtol=1e-10, callback=seen.append)
    assert scaled.converged
    assert scaled.iterations > 0
    np.testing.assert_allclose(scaled.x / unit, plain.x, rtol=1e-8)
    np.testing.assert_allclose(seen[-1], scaled.x, rtol=1e-12)
