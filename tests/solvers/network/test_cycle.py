"""The cycle of a network: symmetric, positive, and with few iterations where averaged operators need hundreds."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS, dense

from sci.problems.media import balls, comb, cracks, labyrinth, layers, lognormal, pinhole_plates, rock
from sci.solvers import Multigrid, PoissonOperator, cg

N = 24
BOX = np.ones((N,) * 3, dtype=bool)


def _closed(mask):
    return PoissonOperator(mask, boundary="neumann", neumann_body=True)


HARD = {
    "ball": (lambda: PoissonOperator(BOX, coefficient=balls(N, 1, 1e-6)), 9),
    "balls": (lambda: PoissonOperator(BOX, coefficient=balls(N, 9, 1e4)), 12),
    "layers": (lambda: PoissonOperator(BOX, coefficient=layers(N, 1e4)), 9),
    "lognormal": (lambda: PoissonOperator(BOX, coefficient=lognormal(N, 3.0)), 20),
    "stretched": (lambda: PoissonOperator(BOX, (1.0, 4.0, 16.0), "neumann"), 9),
    "plane": (lambda: PoissonOperator(np.ones((96, 96), bool), (1.0, 10.0)), 8),
    "cracks": (lambda: PoissonOperator(np.ones((96, 96), bool), coefficient=cracks(96, 1e4, 12)), 16),
    "comb": (lambda: _closed(comb(N)), 14),
    "pinholes": (lambda: _closed(pinhole_plates(N, 4)), 12),
    "rock": (lambda: _closed(rock(N)), 20),
    "labyrinth": (lambda: _closed(labyrinth(9)), 1),
    "wide labyrinth": (lambda: _closed(labyrinth(7, 2)), 12),
    "percolation": (
        lambda: PoissonOperator(
            np.random.default_rng(9).random(BOX.shape) < 0.4, boundary=["dirichlet", "neumann", "neumann"],
            neumann_body=True,
        ),
        30,
    ),
    "odd round": (lambda: PoissonOperator(np.ones((27, 25, 23), bool), boundary="periodic"), 9),
    "reaction": (lambda: PoissonOperator(BOX, coefficient=balls(N, 1, 1e3), reaction=0.1), 9),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_iterations_where_averages_fail(name):
    make, most = HARD[name]
    A = make()
    M = Multigrid(A, coarse="network")
    rng = np.random.default_rng(0)
    for b in (rng.normal(size=A.size), np.ones(A.size), rng.random(A.size)):
        b = A.project(b)
        if np.linalg.norm(b) > 1e-9:
            result = cg(A, b, M=M, rtol=1e-8, maxiter=100)
            assert result.converged
            assert result.iterations <= most


@pytest.mark.parametrize("A", [*OPERATORS[1::4], OPERATORS[-1]])
def test_the_cycle_is_symmetric_and_positive(A):
    M = Multigrid(A, coarse="network", dtype=np.float64)
    matrix = dense(M, A.size)
    assert abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
    basis = np.linalg.svd(A.to_scipy().toarray())[0][:, : A.size - A.component_sizes.size]
    assert np.linalg.eigvalsh(basis.T @ matrix @ basis).min() > 0


def test_larger_cycles_are_symmetric_too():
    rng = np.random.default_rng(1)
    for name in ("balls", "rock", "odd round", "percolation"):
        A = HARD[name][0]()
        M = Multigrid(A, coarse="network", dtype=np.float64)
        x, y = (A.project(rng.normal(size=A.size)) for _ in range(2))
        left, right = x @ (M @ y), y @ (M @ x)
        assert left == pytest.approx(right, rel=1e-9, abs=1e-12 * np.linalg.norm(x) * np.linalg.norm(M @ y))


@pytest.mark.parametrize("mask", [(1, 1), (1, 1, 1), (1, 7, 9), (1, 1, 50), (2, 3, 1)])
@pytest.mark.parametrize("walls", ["dirichlet", "neumann", "periodic"])
def test_thin_and_tiny_grids(mask, walls):
    A = PoissonOperator(np.ones(mask, bool), boundary=walls)
    b = A.project(np.random.default_rng(2).normal(size=A.size))
    result = cg(A, b, M=Multigrid(A, coarse="network"), rtol=1e-8)
    assert result.converged
    np.testing.assert_allclose(A @ result.x, b, atol=1e-7 * np.linalg.norm(b))


@pytest.mark.parametrize("scale", [1e-290, 1e290])
def test_the_units_do_not_matter(scale):
    c = balls(16, 1, 1e3)
    counts = [
        cg(A, np.ones(A.size), M=Multigrid(A, coarse="network"), rtol=1e-8).iterations
        for A in (PoissonOperator(np.ones((16,) * 3, bool), coefficient=s * c) for s in (1.0, scale))
    ]
    assert counts[0] == counts[1]


def test_voids_and_islands():
    rng = np.random.default_rng(3)
    c = np.where(rng.random((20, 20, 20)) < 0.3, 0.0, 10.0 ** rng.uniform(-12, 12, (20, 20, 20)))
    for walls in ("dirichlet", "neumann"):
        A = PoissonOperator(np.ones(c.shape, bool), boundary=walls, coefficient=c)
        assert A.size == (c > 0).sum()
        b = A @ rng.normal(size=A.size)
        result = cg(A, b, M=Multigrid(A, coarse="network"), rtol=1e-6, maxiter=200)
        assert result.residual_norms[-1] <= 1e-3 * result.residual_norms[0]
