"""Deep conjugate directions: the iteration's identities, the loss, the training set, and the two networks."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from scipy.sparse.linalg import spsolve

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.nn import Tape, value_and_gradients
from sci.solvers import PoissonOperator, cg
from sci.solvers.dcdm.iteration import (
    DirectionLog,
    conjugate_directions,
    line_search_loss,
    line_search_loss_vjp,
)
from sci.solvers.dcdm.network import DirectionNetwork, train_direction_network
from sci.solvers.dcdm.training_set import lanczos, ritz_right_hand_sides, ritz_vectors

RNG = np.random.default_rng(12)
MASK = RNG.random((8, 8, 8)) > 0.1
A = PoissonOperator(MASK)
B = RNG.normal(size=MASK.shape) * MASK
MATRIX = A.to_scipy()
EXACT = A.scatter(spsolve(MATRIX.tocsc(), B[MASK]))


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
    assert {reason for _, reason in log.fallbacks} == {"dependent"}


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
    with pytest.raises(InvalidValueError, match="negative"):
        conjugate_directions(A, B, lambda r: r, k=-1)
    with pytest.raises(InvalidValueError, match="64 or 128"):
        DirectionNetwork(32)
    with pytest.raises(ShapeError, match="even"):
        DirectionNetwork(64)(np.ones((3, 4, 4)))
    with pytest.raises(ShapeError, match=r"last\.bias"):
        DirectionNetwork(64, {"first.bias": np.ones(16)})


def _apply(y):
    return np.stack([A.apply(sample) for sample in y])


def test_the_loss_is_the_residual_after_a_line_search():
    y, b = RNG.normal(size=(2, 3, *MASK.shape)) * MASK
    loss, residuals = line_search_loss(y, b, apply=_apply)
    expected = []
    for yi, bi in zip(y, b):
        x = yi * np.vdot(yi, bi) / np.vdot(yi, A @ yi)
        expected.append(np.sum((bi - A @ x) ** 2))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-12)
    (dy, _) = line_search_loss_vjp(np.float64(1.0), residuals)
    assert np.abs((y * dy).sum(axis=(1, 2, 3))).max() <= 1e-12
    exact = np.stack([A.scatter(spsolve(MATRIX.tocsc(), bi[MASK])) for bi in b])
    assert float(line_search_loss(-2 * exact, b, apply=_apply)[0]) <= 1e-20
    assert_vjp(lambda y, b: line_search_loss(y, b, apply=_apply), line_search_loss_vjp, [y, b])


def test_lanczos_finds_the_spectrum_of_a_box():
    box = PoissonOperator(np.ones((8, 8, 8), dtype=bool))
    basis, alpha, beta = lanczos(box.matvec, 512, 512)
    assert np.abs(basis @ basis.T - np.eye(len(basis))).max() <= 1e-10
    values, vectors = ritz_vectors(basis, alpha, beta)
    one = 2 - 2 * np.cos(np.pi * np.arange(1, 9) / 9)
    exact = np.unique(np.round(one[:, None, None] + one[None, :, None] + one[None, None, :], 9))
    # A start vector meets each eigenspace once, and then again through rounding.
    assert np.abs(values[:, None] - exact).min(axis=1).max() <= 1e-8
    assert np.abs(values[:, None] - exact).min(axis=0).max() <= 1e-8
    residual = np.stack([box.matvec(v) for v in vectors]) - values[:, None] * vectors
    assert np.abs(residual).max() <= 1e-8


def test_right_hand_sides_have_weight_on_the_lower_spectrum():
    basis, alpha, beta = lanczos(A.matvec, A.size, 60)
    _, vectors = ritz_vectors(basis, alpha, beta)
    rows = ritz_right_hand_sides(vectors, 4000, lower=0.6, dtype=np.float64)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-12)
    spread = (rows @ vectors.T).std(axis=0)
    assert spread[:36].mean() / spread[36:].mean() == pytest.approx(9, rel=0.05)
    with pytest.raises(InvalidValueError, match="count"):
        ritz_right_hand_sides(vectors, 0)


@pytest.mark.parametrize(("size", "count"), [(64, 97_457), (128, 152_881)])
def test_the_networks_have_the_published_numbers_of_parameters(size, count):
    assert DirectionNetwork(size).n_parameters == count


def test_the_gradient_of_the_network_agrees_with_central_differences():
    network = DirectionNetwork(64, seed=1, dtype=np.float64)
    b = RNG.normal(size=(1, 1, 4, 4, 4))
    box = PoissonOperator(np.ones((4, 4, 4), dtype=bool))

    def loss(tape: Tape, variables):
        y = network.forward(tape, variables, b)
        return tape.call(line_search_loss, line_search_loss_vjp, y, b, apply=lambda y: box.apply(y[0, 0])[None, None])

    _, gradients = value_and_gradients(loss, network.parameters)
    rng = np.random.default_rng(0)
    direction = {name: rng.normal(size=p.shape) for name, p in network.parameters.items()}
    ahead, behind = (
        float(value_and_gradients(loss, {n: p + h * direction[n] for n, p in network.parameters.items()})[0])
        for h in (1e-6, -1e-6)
    )
    found = sum(float(np.vdot(gradients[n], direction[n])) for n in gradients)
    assert found == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_the_network_trains_saves_and_gets_further_than_before():
    box = PoissonOperator(np.ones((4, 4, 4), dtype=bool))
    basis, alpha, beta = lanczos(box.matvec, box.size, box.size)
    data = ritz_right_hand_sides(ritz_vectors(basis, alpha, beta)[1], 24)
    start = DirectionNetwork(64, seed=2)
    trained, checkpoint = train_direction_network(start, box, data, epochs=2, batch_size=4, rate=2e-3, seed=1)
    assert checkpoint.step == 12
    assert checkpoint.losses[-4:].mean() < 0.7 * checkpoint.losses[:3].mean()
    again = DirectionNetwork.from_model(trained.to_model())
    r = RNG.normal(size=(4, 4, 4))
    assert np.array_equal(again(r), trained(r))
    b = ritz_right_hand_sides(ritz_vectors(basis, alpha, beta)[1], 1, seed=9, dtype=np.float64)[0].reshape(4, 4, 4)
    before, after = (conjugate_directions(box, b, net, maxiter=3).residual_norms[-1] for net in (start, trained))
    assert after < 0.6 * before
