"""The learned cycle as a preconditioner, and the model that ships: iterations on masks that it has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sci
from sci.errors import DTypeError, InvalidValueError
from sci.io import load, save
from sci.nn import Model
from sci.problems.masks import insulating_part, random_bodies, stress_masks
from sci.solvers import DeepConjugateDirection, Multigrid, PoissonOperator, cg
from sci.solvers.learned.levels import first_level, hierarchy
from sci.solvers.learned.parameters import FEATURES, IN_A_PLANE, consistent_gain, initial_parameters
from sci.solvers.learned.preconditioner import LearnedCycle
from sci.solvers.learned.reference import cycle_of, features, vcycle

RNG = np.random.default_rng(31)


@pytest.fixture(scope="module")
def solver() -> DeepConjugateDirection:
    return DeepConjugateDirection.load()


def _parameters():
    rng = np.random.default_rng(2)
    return {name: np.array(v + 0.2 * rng.normal(size=v.shape)) for name, v in initial_parameters().items()}


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize(
    ("shape", "walls"),
    [((24, 24, 24), "dirichlet"), ((19, 30, 9), "neumann"), ((33, 17), "dirichlet"), ((40, 1, 7), "dirichlet")],
)
def test_the_kernels_do_what_the_arrays_do(kernels, shape, walls):
    """Within the steps of the two learned numbers of a cell, 1/128 and 0.01."""
    mask = RNG.random(shape) > 0.2
    insulating = ~mask & (RNG.random(shape) > 0.5) & (len(shape) == 3)
    A = PoissonOperator(mask, 0.5, boundary=walls, body=insulating)
    r = RNG.normal(size=shape) * mask
    with sci.options(kernels=kernels):
        M = LearnedCycle(A, _parameters())
        found = M.matvec(r)
    three = (1,) * (3 - len(shape)) + shape
    ends = [(False, False)] * (3 - len(shape)) + [(walls == "dirichlet",) * 2] * len(shape)
    level = first_level(mask.reshape(three), insulating.reshape(three), ends, np.float64)
    levels = hierarchy(level)
    factors = IN_A_PLANE if len(shape) == 2 else np.ones(FEATURES)
    cycle = cycle_of(levels, _parameters(), [features(level) * factors for level in levels])
    top = cycle.stages[0]
    # Steps on the given grid are done twice where there are Neumann bodies, or more Dirichlet faces than unknowns.
    twice = bool(insulating.any()) or 0.25 * A.dirichlet.sum() > A.size
    cycle.stages[0] = replace(top, damping=top.damping * (1 + twice))
    expected = 0.25 * vcycle(cycle, r.reshape(three))[0].reshape(shape)
    assert np.abs(found - expected).max() <= 6e-3 * np.abs(expected).max()
    assert not found[~mask].any()


@pytest.mark.parametrize("varying", [False, True])
def test_it_is_symmetric_and_positive(varying, solver):
    mask = RNG.random((7, 8, 6)) > 0.2
    A = PoissonOperator(mask, coefficient=1 + 9 * RNG.random(mask.shape) if varying else None)
    M = solver.preconditioner(A)
    dense = np.stack([M.matvec(row) for row in np.eye(A.size)])
    assert np.abs(dense - dense.T).max() <= 1e-6 * np.abs(dense).max()
    assert np.linalg.eigvalsh((dense + dense.T) / 2).min() > 0


def _iterations(solver, mask, insulating=None):
    A = PoissonOperator(mask, body="dirichlet" if insulating is None else insulating)
    b = A.project(np.random.default_rng(3).normal(size=mask.shape) * mask)
    result = solver.solve(A, b, rtol=1e-8)
    assert result.converged
    residual = b[mask] - A.to_scipy() @ result.x[mask]
    assert np.linalg.norm(residual) <= 1.01e-8 * np.linalg.norm(b)
    return result.iterations


@pytest.mark.parametrize("name", stress_masks(16))
def test_hard_masks_take_at_most_seven_iterations(name, solver):
    mask = stress_masks(32)[name]
    found = _iterations(solver, mask)
    assert found <= 7
    assert found <= _iterations(DeepConjugateDirection.untrained(), mask)
    A = PoissonOperator(mask)
    b = np.random.default_rng(3).normal(size=mask.shape) * mask
    assert found <= cg(A, b, M=Multigrid(A), rtol=1e-8).iterations


def test_random_masks_and_mixed_bodies(solver):
    rng = np.random.default_rng(77)
    for _ in range(4):
        mask = random_bodies(32, rng)
        assert _iterations(solver, mask) <= 7
        assert _iterations(solver, mask, insulating_part(mask, rng)) <= 8


def test_the_shipped_cycle_does_not_lengthen_corrections_with_every_level(solver):
    """A model that does takes more iterations on larger grids than training sees."""
    gain = solver.parameters["level2.gain"]
    np.testing.assert_allclose(gain, consistent_gain(solver.parameters, 2), atol=1e-12)


def test_sizes_that_are_no_power_of_two_and_two_axes(solver):
    for shape, most in (((20, 33, 27), 8), ((48, 10, 25), 8), ((96, 70), 8)):
        assert _iterations(solver, RNG.random(shape) > 0.02) <= most


def test_a_plane_is_to_the_networks_what_space_is(solver):
    """In the open, and so the correction of a smooth residual keeps its size there too."""
    plane, space = (
        solver.preconditioner(PoissonOperator(np.ones(shape, bool)))._levels.grids for shape in ((40, 40), (40, 40, 40))
    )
    for flat, deep in zip(plane[:2], space[:2]):
        assert flat.share[1, 9, 9] == deep.share[9, 9, 9] != 0


@pytest.mark.parametrize("body", ["dirichlet", "neumann"])
def test_a_disc_in_a_plane(solver, body):
    i, j = np.mgrid[:128, :128] / 128
    mask = (i - 0.5) ** 2 + (j - 0.4) ** 2 > 0.03
    A, b = PoissonOperator(mask, body=body), np.random.default_rng(0).normal(size=mask.shape) * mask
    iterations = solver.solve(A, b).iterations
    assert iterations <= 7
    assert iterations <= cg(A, b, M=Multigrid(A), rtol=1e-8).iterations


def test_neumann_walls_and_a_singular_system(solver):
    """Float32 rounding must not make the coarsest of a closed box full of Neumann bodies regular."""
    mask = np.random.default_rng(16).random((16, 16, 16)) > 0.05
    A = PoissonOperator(mask, boundary="neumann", body="neumann")
    b = A.project(RNG.normal(size=mask.shape) * mask)
    assert A.singular
    assert solver.solve(A, b, rtol=1e-8).iterations <= 7
    A = PoissonOperator(np.ones((24, 24, 24), dtype=bool), boundary="neumann")
    b = A.project(RNG.normal(size=A.grid_shape))
    assert solver.solve(A, b).iterations <= 12
    A = PoissonOperator(np.ones((24, 24, 24), dtype=bool), boundary=[("neumann", "dirichlet"), "neumann", "neumann"])
    assert solver.solve(A, b).iterations <= 10


def test_flat_vectors_float32_and_zero(solver):
    mask = RNG.random((12, 12, 12)) > 0.2
    A = PoissonOperator(mask)
    M = solver.preconditioner(A)
    r = RNG.normal(size=mask.shape) * mask
    np.testing.assert_allclose(A.scatter(M.matvec(r[mask])), M.matvec(r), atol=1e-14)
    np.testing.assert_allclose(M(1e-30 * r), 1e-30 * M(r), rtol=1e-4, atol=1e-34)
    assert M.matvec(r.astype(np.float32)).dtype == np.float32
    assert not M.matvec(0 * r).any()
    assert cg(A.to_scipy(), r[mask], M=M, rtol=1e-8).iterations <= 8


def test_the_last_cycle_is_kept(solver):
    A = PoissonOperator(np.ones((8, 8, 8), dtype=bool))
    assert solver.preconditioner(A) is solver.preconditioner(A)
    other = PoissonOperator(np.ones((8, 8, 8), dtype=bool))
    assert solver.preconditioner(other) is not solver.preconditioner(A)


def test_models_are_saved_and_loaded(solver, tmp_path):
    save(tmp_path / "model.h5", solver)
    again = DeepConjugateDirection.load(tmp_path / "model.h5")
    assert all(np.array_equal(again.parameters[n], p) for n, p in solver.parameters.items())
    assert isinstance(load(tmp_path / "model.h5"), DeepConjugateDirection)
    save(tmp_path / "other.h5", Model("FNO", {}, {}))
    with pytest.raises(InvalidValueError, match="holds a Model"):
        DeepConjugateDirection.load(tmp_path / "other.h5")


def test_what_it_cannot_do_is_refused(solver):
    with pytest.raises(InvalidValueError, match="periodic"):
        solver.preconditioner(PoissonOperator(np.ones((4, 4), dtype=bool), boundary="periodic"))
    with pytest.raises(DTypeError, match="PoissonOperator"):
        solver.preconditioner(np.eye(3))
