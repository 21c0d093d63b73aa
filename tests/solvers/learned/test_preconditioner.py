"""Learned multigrid as a preconditioner: iterations of the pretrained model on masks that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError
from sci.problems.masks import neumann_part, random_bodies, stress_masks
from sci.problems.media import balls, comb, gyroid_sheet, rock
from sci.solvers import CycleModel, LearnedMultigrid, Multigrid, PoissonOperator, cg
from sci.solvers.learned.preconditioner import _LearnedNetwork
from sci.solvers.network.numbers import numbers_of

RNG = np.random.default_rng(31)


@pytest.mark.parametrize("varying", [False, True])
def test_it_is_symmetric_and_positive(varying):
    mask = RNG.random((7, 8, 6)) > 0.2
    A = PoissonOperator(mask, coefficient=1 + 9 * RNG.random(mask.shape) if varying else None)
    M = LearnedMultigrid(A)
    dense = np.stack([M.matvec(row) for row in np.eye(A.size)])
    assert np.abs(dense - dense.T).max() <= 1e-6 * np.abs(dense).max()
    assert np.linalg.eigvalsh((dense + dense.T) / 2).min() > 0


def test_a_learned_network_is_symmetric_and_positive():
    mask, scale = RNG.random((9, 8, 10)) > 0.2, 10.0 ** RNG.uniform(-3, 3, (9, 8, 10))
    A = PoissonOperator(mask, coefficient=scale)
    random = CycleModel({name: p + RNG.normal(size=p.shape) for name, p in CycleModel.untrained().parameters.items()})
    for model in (CycleModel.pretrained(), random):
        M = _LearnedNetwork(A, numbers_of(model.parameters), "network")
        dense = np.stack([M.matvec(row) for row in np.eye(A.size)])
        size = np.sqrt(np.diag(dense))
        scaled = dense / size[:, None] / size
        assert np.abs(scaled - scaled.T).max() <= 1e-4
        assert np.linalg.eigvalsh((scaled + scaled.T) / 2).min() > 0


def _iterations(mask, neumann_body=None, model=None):
    A = PoissonOperator(mask, neumann_body=False if neumann_body is None else neumann_body)
    b = A.project(np.random.default_rng(3).normal(size=mask.shape) * mask)
    result = LearnedMultigrid(A, model).solve(b)
    assert result.converged
    residual = b[mask] - A.to_scipy() @ result.x[mask]
    assert np.linalg.norm(residual) <= 1.01e-8 * np.linalg.norm(b)
    return result.iterations


@pytest.mark.parametrize("name", stress_masks(16))
def test_hard_masks_take_at_most_seven_iterations(name):
    mask = stress_masks(32)[name]
    found = _iterations(mask)
    assert found <= 7
    assert found <= _iterations(mask, model=CycleModel.untrained())
    A = PoissonOperator(mask)
    b = np.random.default_rng(3).normal(size=mask.shape) * mask
    assert found <= cg(A, b, M=Multigrid(A), rtol=1e-8).iterations


def test_random_masks_and_mixed_bodies():
    rng = np.random.default_rng(77)
    for _ in range(4):
        mask = random_bodies(32, rng)
        assert _iterations(mask) <= 7
        assert _iterations(mask, neumann_part(mask, rng)) <= 8


def test_sizes_that_are_no_power_of_two_and_two_axes():
    for shape, most in (((20, 33, 27), 8), ((48, 10, 25), 8), ((96, 70), 8)):
        assert _iterations(RNG.random(shape) > 0.02) <= most


def test_a_plane_is_to_the_networks_what_space_is():
    """In the open, and so the correction of a smooth residual keeps its size there too."""
    plane, space = (
        LearnedMultigrid(PoissonOperator(np.ones(shape, bool))).hierarchy.levels for shape in ((40, 40), (40, 40, 40))
    )
    for flat, deep in zip(plane[:2], space[:2]):
        assert flat.transfer[1, 9, 9] == deep.transfer[9, 9, 9] != 0


@pytest.mark.parametrize("body", [False, True])
def test_a_disc_in_a_plane(body):
    i, j = np.mgrid[:128, :128] / 128
    mask = (i - 0.5) ** 2 + (j - 0.4) ** 2 > 0.03
    A, b = PoissonOperator(mask, neumann_body=body), np.random.default_rng(0).normal(size=mask.shape) * mask
    iterations = LearnedMultigrid(A).solve(b).iterations
    assert iterations <= 7
    assert iterations <= cg(A, b, M=Multigrid(A), rtol=1e-8).iterations


def test_neumann_walls_and_a_singular_system():
    """Float32 rounding must not make the coarsest of a closed box full of Neumann bodies regular."""
    mask = np.random.default_rng(16).random((16, 16, 16)) > 0.05
    A = PoissonOperator(mask, boundary="neumann", neumann_body=True)
    b = A.project(RNG.normal(size=mask.shape) * mask)
    assert A.singular
    assert LearnedMultigrid(A).solve(b).iterations <= 7
    A = PoissonOperator(np.ones((24, 24, 24), dtype=bool), boundary="neumann")
    b = A.project(RNG.normal(size=A.grid_shape))
    assert LearnedMultigrid(A).solve(b).iterations <= 12
    A = PoissonOperator(np.ones((24, 24, 24), dtype=bool), boundary=[("neumann", "dirichlet"), "neumann", "neumann"])
    assert LearnedMultigrid(A).solve(b).iterations <= 10


def test_flat_vectors_float32_and_zero():
    mask = RNG.random((12, 12, 12)) > 0.2
    A = PoissonOperator(mask)
    M = LearnedMultigrid(A)
    r = RNG.normal(size=mask.shape) * mask
    np.testing.assert_allclose(A.expand(M.matvec(r[mask])), M.matvec(r), atol=1e-14)
    np.testing.assert_allclose(M(1e-30 * r), 1e-30 * M(r), rtol=1e-4, atol=1e-34)
    assert M.matvec(r.astype(np.float32)).dtype == np.float32
    assert not M.matvec(0 * r).any()
    assert cg(A.to_scipy(), r[mask], M=M, rtol=1e-8).iterations <= 8


def test_a_network_takes_its_place_where_it_does_not_serve():
    box = np.ones((24, 24, 24), dtype=bool)
    hard = [
        (PoissonOperator(box, boundary="periodic"), "averaged"),
        (PoissonOperator(box, reaction=1.0), "averaged"),
        (PoissonOperator(np.ones((21,) * 3, bool), boundary="periodic"), "network"),
        (PoissonOperator(box, coefficient=balls(24, 1, 1e5)), "network"),
        (PoissonOperator(comb(24), boundary="neumann", neumann_body=True), "network"),
    ]
    for A, coarse in hard:
        M, b = LearnedMultigrid(A), A.project(np.random.default_rng(1).normal(size=A.size))
        assert M.instead is not None
        assert M.coarse == coarse
        assert ("learned network" in repr(M)) == (coarse == "network")
        assert M.nbytes == M.instead.nbytes
        assert M.solve(b).iterations <= cg(A, b, M=Multigrid(A), rtol=1e-8).iterations <= 14
    easy = [PoissonOperator(box), PoissonOperator(box, coefficient=1 + np.random.default_rng(2).random(box.shape))]
    assert all(LearnedMultigrid(A).instead is None for A in easy)


@pytest.mark.parametrize("fluid", [gyroid_sheet(32), rock(32), np.random.default_rng(3).random((24,) * 3) < 0.4])
def test_a_learned_network_takes_fewer_iterations_than_a_plain_one(fluid):
    walls = [("dirichlet", "neumann"), "neumann", "neumann"]
    A = PoissonOperator(fluid, boundary=walls, neumann_body=True)
    b = A.project(np.random.default_rng(1).normal(size=A.size))
    plain, learned, untrained = (
        cg(A, b, M=M, rtol=1e-8).iterations
        for M in (
            Multigrid(A, coarse="network"),
            _LearnedNetwork(A, numbers_of(CycleModel.pretrained().parameters), "network"),
            _LearnedNetwork(A, numbers_of(CycleModel.untrained().parameters), "network"),
        )
    )
    assert learned < plain == untrained


def test_what_it_cannot_do_is_refused():
    with pytest.raises(DTypeError, match="PoissonOperator"):
        LearnedMultigrid(np.eye(3))
