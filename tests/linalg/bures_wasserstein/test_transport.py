"""Parallel transport against its equation, its invariants and its closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from bures_cases import definite, tangent
from scipy.integrate import solve_ivp

from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg import BuresWasserstein, lyapunov, symmetric_eigen
from sci.linalg.bures_wasserstein import transport
from sci.linalg.bures_wasserstein.displacement import displacement
from sci.linalg.bures_wasserstein.transport import _along_any

PLAIN = BuresWasserstein()


def _by_the_equation(p: np.ndarray, q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Integrate P S' + S' P = -(S A P + P A S) for V = P S + S P along P(t), A = L (I + t L)^-1."""
    n, start = len(p), symmetric_eigen(p)
    move = start.vectors @ displacement(start, symmetric_eigen(q), q - p) @ start.vectors.T

    def slope(t: float, s: np.ndarray) -> np.ndarray:
        s, now = s.reshape(n, n), np.eye(n) + t * move
        a, here = move @ np.linalg.inv(now), now @ p @ now
        return lyapunov((here + here.T) / 2, -(s @ a @ here + here @ a @ s)).ravel()

    s = solve_ivp(slope, (0, 1), lyapunov(p, v).ravel(), "DOP853", rtol=1e-12, atol=1e-13).y[:, -1].reshape(n, n)
    return q @ s + s @ q


@pytest.mark.parametrize(("n", "condition"), [(2, 10.0), (3, 10.0), (3, 1e3), (5, 100.0)])
def test_the_equation_of_parallel_transport(n: int, condition: float) -> None:
    p, q, v = definite((n, n), condition, 1), definite((n, n), condition, 2), tangent((n, n), 3)
    found = PLAIN.transport(p, q, v)
    exact = _by_the_equation(p, q, v)
    assert np.linalg.norm(found.vectors - exact) < 1e-9 * np.linalg.norm(exact)
    assert 0 < float(found.error) <= 1e-11
    np.testing.assert_array_equal(found.vectors, found.vectors.T)


@pytest.mark.parametrize(("condition", "error"), [(10.0, 1e-11), (1e3, 1e-10), (1e6, 1e-7)])
def test_lengths_angles_and_velocities_stay(condition: float, error: float) -> None:
    p, q = definite((6, 3, 3), condition, 4), definite((6, 3, 3), condition, 5)
    v, w = tangent((6, 3, 3), 6), tangent((6, 3, 3), 7)
    carried_v, carried_w = (PLAIN.transport(p, q, x).vectors for x in (v, w))
    size = PLAIN.inner(p, v, v) + PLAIN.inner(p, w, w)
    for a, b, x, y in ((carried_v, carried_v, v, v), (carried_v, carried_w, v, w)):
        assert (abs(PLAIN.inner(q, a, b) - PLAIN.inner(p, x, y)) < error * size).all()
    velocity = PLAIN.transport(p, q, PLAIN.log(p, q)).vectors
    lost = velocity + PLAIN.log(q, p)
    assert (PLAIN.inner(q, lost, lost) < error**2 * PLAIN.distance(p, q) ** 2).all()
    back = PLAIN.transport(q, p, carried_v).vectors - v
    assert (PLAIN.inner(p, back, back) < error**2 * PLAIN.inner(p, v, v)).all()


def test_pole_ladders_approach_it_quadratically() -> None:
    """Another scheme, of logarithms and exponentials alone."""
    p, q, v = definite((3, 3), 6.0, 8), definite((3, 3), 6.0, 9), tangent((3, 3), 10)

    def ladder(rungs: int, length: float = 1e-4) -> np.ndarray:
        now = v
        for k in range(rungs):
            a, b = (PLAIN.geodesic(p, q, (k + j) / rungs) for j in (0, 1))
            middle = PLAIN.geodesic(a, b, 0.5)
            ends = [PLAIN.exp(a, sign * length * now) for sign in (1, -1)]
            across = [PLAIN.log(b, PLAIN.geodesic(end, middle, 2.0)) for end in ends]
            now = (across[1] - across[0]) / (2 * length)
        return now

    exact = PLAIN.transport(p, q, v).vectors
    errors = [np.linalg.norm(ladder(rungs) - exact) for rungs in (2, 4, 8)]
    assert errors[2] < 0.02
    assert [round(np.log2(a / b)) for a, b in pairwise(errors)] == [2, 2]


def test_where_the_ends_commute_the_closed_form_is_what_the_scheme_gives() -> None:
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    p = basis @ np.diag([0.1, 1.0, 1.0, 5.0]) @ basis.T
    q = basis @ np.diag([7.0, 0.2, 3.0, 5.0]) @ basis.T
    v = tangent((4, 4), 2)
    for first, second in ((p, q), (p, np.eye(4)), (3 * np.eye(4), q), (p, p), (p, 1e8 * p)):
        first, second = ((a + a.T) / 2 for a in (first, second))
        closed = PLAIN.transport(first, second, v)
        assert float(closed.error) == 0
        start = symmetric_eigen(first[None])
        move = displacement(start, symmetric_eigen(second[None]), (second - first)[None])
        scheme, error = _along_any(start, move, v[None], 1e-12, np.arange(1))
        size = np.linalg.norm(closed.vectors)
        assert np.linalg.norm(scheme[0] - closed.vectors) < 1e-11 * size
        assert error[0] < 1e-12
    stays = PLAIN.transport(p, p, v)
    np.testing.assert_allclose(stays.vectors, v, rtol=0, atol=1e-14)


def test_batches_mix_ends_that_commute_and_others() -> None:
    p, q, v = definite((3, 3, 3), 9.0, 1), definite((3, 3, 3), 9.0, 2), tangent((3, 3), 3)
    q[1] = 2 * p[1]
    found = PLAIN.transport(p, q, v)
    assert found.error[1] == 0
    assert (found.error[[0, 2]] > 0).all()
    for k in range(3):
        np.testing.assert_allclose(found.vectors[k], PLAIN.transport(p[k], q[k], v).vectors, rtol=0, atol=1e-12)
    assert repr(found).startswith("TransportedVectors(3 of order 3, error ")
    assert PLAIN.transport(p[:0], q[:0], tangent((0, 3, 3), 1)).vectors.shape == (0, 3, 3)


@pytest.mark.parametrize(("scale", "unit"), [(1e-200, 1.0), (1e200, 1.0), (1.0, 1e150)])
def test_units(scale: float, unit: float) -> None:
    p, q, v = definite((3, 3), 9.0, 1), definite((3, 3), 9.0, 2), tangent((3, 3), 3)
    plain = PLAIN.transport(p, q, v).vectors
    found = PLAIN.transport(scale * p, scale * q, unit * v).vectors
    np.testing.assert_allclose(found / unit, plain, rtol=0, atol=1e-11)
    single = PLAIN.transport(p.astype("f4"), q.astype("f4"), v.astype("f4")).vectors
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, plain, rtol=0, atol=1e-4)


def test_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    p, q, v = definite((2, 3, 3), 9.0, 1), definite((2, 3, 3), 9.0, 2), tangent((2, 3, 3), 3)
    p[0] = q[0]
    with monkeypatch.context() as patched:
        patched.setattr(transport, "_LAST", 8)
        with pytest.raises(ConvergenceError, match=r"matrix 1 of the batch has an error of .* after 8 steps; expected"):
            PLAIN.transport(p, q, v)
    with pytest.raises(InvalidValueError, match="tol is 0"):
        PLAIN.transport(p, q, v, tol=0.0)
    with pytest.raises(InvalidValueError, match="v: matrix 1 is not symmetric"):
        PLAIN.transport(p, q, np.array([np.eye(3), np.triu(np.ones((3, 3)))]))
