"""Poisson solvers that give the same answer on either side; see `device_cases`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from sparse_systems import convection, rotated

from sci.backend import to_device, to_host
from sci.problems.media import labyrinth
from sci.solvers import (
    AlgebraicMultigrid,
    Deflation,
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    bicgstab,
    block_cg,
    cg,
    fcg,
    fgmres,
    gmres,
    lowest_eigenvectors,
    minres,
    subdomain_vectors,
)

_RNG = np.random.default_rng(3)
_MASK = _RNG.random((9, 12, 10)) > 0.1
_B = _RNG.normal(size=_MASK.shape) * _MASK
_COEFFICIENT = 1 + _RNG.random(_MASK.shape)


def _answers(xp: ModuleType, coefficient: Any) -> list[np.ndarray]:
    mask, b = to_device(_MASK, xp), to_device(_B, xp)
    given = None if coefficient is None else to_device(coefficient, xp)
    A = PoissonOperator(mask, 0.5, ["neumann", "dirichlet", "dirichlet"], neumann_body=True, coefficient=given)
    answers = []
    for make in (lambda A: None, Multigrid, IncompleteCholesky, Jacobi, FastPoisson):
        for right in (b, A.compress(b)):
            result = cg(A, right, M=make(A), rtol=1e-11)
            answers += [to_host(result.x), np.array([float(result.iterations)])]
    return answers


def constant_poisson(xp: ModuleType) -> list[np.ndarray]:
    return _answers(xp, None)


def varying_poisson(xp: ModuleType) -> list[np.ndarray]:
    return _answers(xp, _COEFFICIENT)


def deflated_poisson(xp: ModuleType) -> list[np.ndarray]:
    answers = []
    for walls, M in ((["neumann", "dirichlet", "dirichlet"], IncompleteCholesky), ("neumann", Jacobi)):
        A = PoissonOperator(to_device(_MASK, xp), 0.5, walls, neumann_body=True)
        b, inner = A.project(to_device(_B, xp)), M(A)
        values, vectors = lowest_eigenvectors(A, 5, M=inner)
        answers.append(values)
        for W in (vectors, subdomain_vectors(A, (2, 2, 1))):
            result = cg(A, b, M=Deflation(A, W, inner), rtol=1e-11)
            answers += [to_host(result.x), np.array([float(result.iterations)])]
    return answers


def singular_poisson(xp: ModuleType) -> list[np.ndarray]:
    A = PoissonOperator(to_device(_MASK, xp), 1.0, "neumann", neumann_body=True)
    result = cg(A, A.project(to_device(_B, xp)), M=Multigrid(A), rtol=1e-11)
    return [to_host(result.x)]


def network_poisson(xp: ModuleType) -> list[np.ndarray]:
    """Networks on the device, their chains and setup on the host: jumps, cut faces, a maze."""
    cut = [np.ones(tuple(n + (a == axis) for a, n in enumerate(_MASK.shape))) for axis in range(3)]
    cut[1][:, 3] = 0.25
    jumps = np.where(_COEFFICIENT > 1.7, 1e3, 1.0)
    answers = []
    for mask, options in (
        (_MASK, {"coefficient": to_device(jumps, xp), "reaction": 0.1}),
        (_MASK, {"face_factors": [to_device(f, xp) for f in cut], "boundary": ["periodic", "dirichlet", "neumann"]}),
        (labyrinth(6), {"boundary": "neumann", "neumann_body": True}),
    ):
        A = PoissonOperator(to_device(mask, xp), **options)
        b = A.project(to_device(np.linspace(1, 2, mask.size).reshape(mask.shape) * mask, xp))
        result = cg(A, b, M=Multigrid(A, coarse="network", dtype=np.float64), rtol=1e-11)
        answers += [to_host(result.x), np.array([float(result.iterations)])]
        answers.append(np.array([float(LearnedMultigrid(A).solve(b).iterations)]))
    return answers


def sparse_systems(xp: ModuleType) -> list[np.ndarray]:
    """Algebraic multigrid and the Krylov methods; the setup is on the host."""
    answers, rng = [], np.random.default_rng(1)
    for matrix, methods in (
        (rotated(9), (cg, fcg, minres, block_cg)),
        (convection(9, 10.0), (bicgstab, gmres, fgmres)),
    ):
        M = AlgebraicMultigrid(
            matrix, smoother="chebyshev", coarsest=30, dtype=np.float64, device="cpu" if xp is np else "cuda"
        )
        b = to_device(rng.normal(size=(81, 2)), xp)
        for method in methods:
            result = method(M.A, b if method is block_cg else b[:, 0], M=M, rtol=1e-5)
            answers += [to_host(result.x), np.array([float(result.iterations)])]
        answers += [to_host(M.A.diagonal()), to_host(M @ b)]
    return answers


SOLVER_CASES = (constant_poisson, varying_poisson, deflated_poisson, singular_poisson, network_poisson, sparse_systems)
