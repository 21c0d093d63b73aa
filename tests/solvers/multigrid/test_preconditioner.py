"""Multigrid: symmetric, positive, with the iteration counts of the reference, whatever the size."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS, dense

import sci
from sci.errors import DTypeError, InvalidValueError
from sci.problems.poisson import right_hand_side, sphere_and_blob
from sci.solvers import FastPoisson, IncompleteCholesky, Multigrid, PoissonOperator, cg

RNG = np.random.default_rng(2)


def _cycles(A):
    yield Multigrid(A, dtype=np.float64)
    if A.constant:
        yield Multigrid(A, dtype=np.float64, coarse="rediscretized", smoothing=1)


@pytest.mark.parametrize("A", [*OPERATORS[::3], OPERATORS[-2], OPERATORS[-1]])
def test_multigrid_is_symmetric_and_positive(A):
    for M in _cycles(A):
        matrix = dense(M, A.size)
        assert abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
        basis = np.linalg.svd(A.to_scipy().toarray())[0][:, : A.size - A.component_sizes.size]
        inside = basis.T @ matrix @ basis
        assert np.linalg.eigvalsh(inside).min() > 0
        b = A.project(RNG.normal(size=A.size))
        result = cg(A, b, M=Multigrid(A), rtol=1e-8)
        assert result.converged
        rest = b - A.to_scipy() @ result.x
        assert np.linalg.norm(rest) <= 1.01e-8 * np.linalg.norm(b)
        assert result.iterations <= cg(A, b, rtol=1e-8).iterations


COUNTS = {
    "none": (lambda A: None, (53, 115)),
    "IC(0)": (IncompleteCholesky, (17, 37)),
    "MIC(0)": (lambda A: IncompleteCholesky(A, 0.97), (10, 20)),
    "fast": (FastPoisson, (10, 18)),
    "V(2,2)": (Multigrid, (4, 7)),
    "V(2,2) rediscretized": (lambda A: Multigrid(A, coarse="rediscretized"), (4, 7)),
    "V(1,1) rediscretized": (lambda A: Multigrid(A, coarse="rediscretized", smoothing=1), (5, 11)),
    "V(2,2) no correction": (lambda A: Multigrid(A, coarse="rediscretized", wall_corrected=False), (5, 9)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_iterations_on_the_sphere_and_the_blob(name):
    """The reference's counts at 32^3, to one more or less: benchmarks/solver_counts.py prints the larger grids."""
    make, (loose, tight) = COUNTS[name]
    mask = sphere_and_blob(32)
    A = PoissonOperator(mask)
    result = cg(A, right_hand_side(mask), M=make(A), rtol=1e-8)
    assert abs(result.iterations - tight) <= 1
    assert abs(int(np.argmax(result.residual_norms <= 1e-4 * result.residual_norms[0])) - loose) <= 1


def test_iterations_of_multigrid_do_not_grow():
    found = []
    for n in (16, 32, 64):
        mask = sphere_and_blob(n)
        A = PoissonOperator(mask)
        found.append(cg(A, right_hand_side(mask, "noise"), M=Multigrid(A), rtol=1e-8).iterations)
    assert max(found) <= 8


@pytest.mark.parametrize("body", ["plate", "salt", "comb"])
def test_thin_bodies_cost_few_iterations(body):
    n = 32
    mask = np.ones((n, n, n), bool)
    if body == "plate":
        mask[n // 2] = False
        mask[n // 2, 10:14, 10:14] = True
    elif body == "salt":
        mask = np.random.default_rng(0).random((n, n, n)) > 0.05
    else:
        mask[::4, : n - 4] = False
    for surface in (False, True):
        A = PoissonOperator(mask, neumann_body=surface)
        result = cg(A, right_hand_side(mask, "noise"), M=Multigrid(A), rtol=1e-8)
        assert result.iterations <= (15 if not surface else 40)


def test_a_float32_cycle_costs_no_iteration():
    mask = sphere_and_blob(32)
    A = PoissonOperator(mask)
    b = right_hand_side(mask)
    single, double = (cg(A, b, M=Multigrid(A, dtype=t), rtol=1e-8) for t in (np.float32, np.float64))
    assert single.iterations == double.iterations
    rest = A.compress(b) - A.to_scipy() @ A.compress(cg(A, b, M=Multigrid(A), rtol=1e-11).x)
    assert np.linalg.norm(rest) <= 1.01e-11


def test_references_give_the_iterations_of_the_kernels():
    mask = sphere_and_blob(16)
    for A in (PoissonOperator(mask), PoissonOperator(mask, coefficient=1 + mask * RNG.random(mask.shape))):
        b = right_hand_side(mask, "noise")
        for M in (None, Multigrid, IncompleteCholesky):
            answers = []
            for mode in ("compiled", "reference"):
                with sci.options(kernels=mode):
                    answers.append(cg(A, b, M=M and M(A), rtol=1e-8))
            assert answers[0].iterations == answers[1].iterations
            np.testing.assert_allclose(answers[0].x, answers[1].x, atol=1e-7 * abs(answers[0].x).max())


def test_bad_arguments():
    A = OPERATORS[0]
    for make in (Multigrid, IncompleteCholesky, FastPoisson):
        with pytest.raises(DTypeError, match=r"A is a csr_matrix .* expected a PoissonOperator"):
            make(A.to_scipy())
    with pytest.raises(InvalidValueError, match="smoothing"):
        Multigrid(A, smoothing=0)
    with pytest.raises(InvalidValueError, match="coarse is"):
        Multigrid(A, coarse="galerkin")
    with pytest.raises(InvalidValueError, match="constant coefficients"):
        Multigrid(PoissonOperator(A.mask, (1.0, 2.0)), coarse="rediscretized")
    with pytest.raises(DTypeError, match="float32"):
        Multigrid(A, dtype=np.float16)
    with pytest.raises(InvalidValueError, match="modified"):
        IncompleteCholesky(A, 1.5)
    with pytest.raises(InvalidValueError, match="odd"):
        Multigrid(PoissonOperator(np.ones((17, 17, 17), bool), 1.0, "periodic"), coarse="averaged")


@pytest.mark.parametrize("walls", ["dirichlet", "neumann", "periodic"])
def test_a_reaction_from_weak_to_strong_costs_few_iterations(walls):
    """Screening lengths from a hundred cells to a tenth of one, uniform and in half of the box, with a jump of 40."""
    n = 32
    rng, half = np.random.default_rng(4), np.zeros((n, n, n))
    half[: n // 2] = 1
    b = rng.normal(size=(n, n, n))
    plain = PoissonOperator(np.ones(half.shape, bool), 1.0, walls, coefficient=2 + 78 * half)
    most = 1.3 * cg(plain, plain.project(b), M=Multigrid(plain, coarse="averaged"), rtol=1e-8).iterations
    for strength in (1e-4, 1e-2, 1.0, 100.0):
        for reaction in (strength * np.ones_like(half), strength * half):
            A = PoissonOperator(np.ones(half.shape, bool), 1.0, walls, reaction=reaction, coefficient=2 + 78 * half)
            assert cg(A, b, M=Multigrid(A), rtol=1e-8).iterations <= most


def test_multigrid_of_a_screened_operator_is_symmetric_and_positive():
    rng = np.random.default_rng(6)
    mask = rng.random((9, 10, 12)) > 0.1
    A = PoissonOperator(mask, 0.5, "neumann", neumann_body=True, reaction=rng.random(mask.shape) > 0.5)
    matrix = dense(Multigrid(A, dtype=np.float64), A.size)
    assert abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_with_reaction_is_the_multigrid_that_is_made_anew():
    rng = np.random.default_rng(7)
    mask, r = rng.random((12, 13, 20)) > 0.05, rng.random((12, 13, 20))
    A = PoissonOperator(mask, reaction=r, coefficient=1 + r)
    B = A.with_reaction(50 * r * r)
    x = rng.normal(size=B.size)
    made = Multigrid(B, dtype=np.float64) @ x
    np.testing.assert_allclose(Multigrid(A, dtype=np.float64).with_reaction(B) @ x, made, rtol=1e-10, atol=1e-13)
    with pytest.raises(InvalidValueError, match="does not share the cells"):
        Multigrid(A).with_reaction(PoissonOperator(mask, reaction=r, coefficient=1 + r))
    learned = sci.solvers.LearnedMultigrid(A)
    assert "nothing learned" in repr(learned)
    np.testing.assert_array_equal(learned @ x, Multigrid(A) @ x)


def test_fast_poisson_is_exact_with_a_constant_reaction():
    A = PoissonOperator(np.ones((8, 9), bool), 0.5, "neumann", reaction=np.full((8, 9), 0.3))
    b = RNG.normal(size=(8, 9))
    np.testing.assert_allclose(A @ FastPoisson(A).solve(b), b, atol=1e-12)
