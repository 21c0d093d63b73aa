"""Poisson problems solved on ranks beside their answers on one rank, and their traffic beside the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from sci.distributed import Traffic, traffic
from sci.errors import SciError
from sci.solvers import (
    Deflation,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    SolveResult,
    bicgstab,
    block_cg,
    block_slices,
    cg,
    fcg,
    fgmres,
    gmres,
    iteration_traffic,
    lowest_eigenvectors,
    minres,
    subdomain_vectors,
)

MIXED = [("dirichlet", "neumann"), ("neumann", "neumann"), "dirichlet"]
ROUND = ["periodic", "neumann", ("dirichlet", "neumann")]
CASES = (
    # shape, levels, boundary, body, varying coefficients, dtype of the cycle; lengths that no number of ranks divides
    ((19, 14, 23), 1, MIXED, "some", False, np.float32),
    ((19, 14, 23), 2, "dirichlet", "some", True, np.float64),
    ((9, 26, 11), 1, "dirichlet", "some", False, np.float64),
    ((18, 13, 10), 1, ROUND, "some", True, np.float32),
    ((14, 15, 12), None, "neumann", "neumann", False, np.float32),
    ((12, 20, 10), 1, "periodic", "neumann", True, np.float64),
)
LEARNED_CASES = (
    # shape, levels, boundary, part that is fluid, varying coefficients
    ((21, 13, 18), None, "dirichlet", 0.8, False),  # porous as a whole, not in one of the ranks: twice the steps
    ((17, 26, 15), 2, ["dirichlet", ("neumann", "dirichlet"), "neumann"], 0.95, True),
    ((3, 19, 23), 3, MIXED, 0.9, False),  # a level of one cell along an axis
    ((5, 4, 6), None, "dirichlet", 0.9, False),  # as small as the coarsest grid
    ((1, 21, 14), None, "neumann", 0.9, True),
)


@dataclass(frozen=True)
class Problem:
    """A problem and its answers on one rank."""

    mask: np.ndarray
    solid: np.ndarray
    coefficient: np.ndarray | None
    spacing: object
    b: np.ndarray
    singular: bool
    answer: SolveResult
    plain: int


@cache
def problem(case: int) -> Problem:
    """Make and solve a problem; the fluid of closed boxes is cut into two parts."""
    rng = np.random.default_rng(case)
    shape, _, walls, body, varying, dtype = CASES[case]
    mask, coefficient = rng.random(shape) > 0.05, np.exp(rng.normal(size=shape)) if varying else None
    solid = rng.random(shape) > 0.5 if body == "some" else np.ones(shape, bool)
    if body != "some":
        mask[:, [5, -1]] = False
    spacing = (0.5, 0.4, 0.7) if varying else 0.5
    serial = PoissonOperator(mask, spacing, walls, neumann_body=solid, coefficient=coefficient)
    assert serial.component_sizes.size >= 2 or body == "some"
    b = serial.project(rng.normal(size=shape) * mask)
    answer = cg(serial, b, M=Multigrid(serial, dtype=dtype), rtol=1e-9)
    plain = cg(serial, b, rtol=1e-2).iterations
    return Problem(mask, solid, coefficient, spacing, b, serial.singular, answer, plain)


def compare(case: int, comm: Any) -> None:
    """Solve on the ranks and compare with the answer on one."""
    (_, levels, walls, _, _, dtype), p = CASES[case], problem(case)
    A = PoissonOperator(
        p.mask,
        p.spacing,
        walls,
        neumann_body=p.solid,
        coefficient=p.coefficient,
        comm=comm,
        distributed_levels=levels,
    )
    M = Multigrid(A, dtype=dtype)
    found = cg(A, p.b[A.slices], M=M, rtol=1e-9)
    assert found.converged
    assert found.iterations == p.answer.iterations
    # Of a float32 residual 1e-4 may be rounding before it is replaced: by so much of 1e-9 the answers may differ, times
    # what A^-1 makes of it.
    rtol, atol = (2e-3, 3e-11) if dtype == np.float32 else (1e-6, 1e-12)
    np.testing.assert_allclose(found.residual_norms, p.answer.residual_norms, rtol=rtol)
    np.testing.assert_allclose(found.x, p.answer.x[A.slices], rtol=0, atol=atol * abs(p.answer.x).max())
    assert abs(cg(A, p.b[A.slices], rtol=1e-2).iterations - p.plain) <= 1
    if p.singular:
        assert "singular" in error_of(lambda: cg(A, 1.0 * p.mask[A.slices]))
    if A.blocks is not None:
        compare_traffic(A, M, p.b)
    reaction = p.b**2
    strong = _screened(A, reaction[A.slices])
    again = cg(strong.A, p.b[A.slices], M=strong, rtol=1e-9)
    assert again.converged
    whole = PoissonOperator(
        p.mask, p.spacing, walls, neumann_body=p.solid, coefficient=p.coefficient, reaction=reaction
    )
    expected = cg(whole, p.b, M=Multigrid(whole, coarse=strong.coarse, dtype=dtype), rtol=1e-9)
    assert abs(again.iterations - expected.iterations) <= 1
    np.testing.assert_allclose(again.x, expected.x[A.slices], atol=3e-8 * abs(expected.x).max())


def compare_methods(comm: Any) -> None:
    """Solve by every Krylov method on the ranks, with and without a preconditioner, and compare with one rank."""
    shape, _, walls, _, _, _ = CASES[1]
    p = problem(1)
    b = p.b[..., None] * np.array([1.0, -2.0]) + np.eye(2)[0] * p.mask[..., None]

    def answers(comm: Any) -> list[tuple[np.ndarray, int]]:
        A = PoissonOperator(p.mask, p.spacing, walls, neumann_body=p.solid, coefficient=p.coefficient, comm=comm)
        M = Multigrid(A, dtype=np.float64)
        found = []
        for method in (fcg, gmres, fgmres, bicgstab, minres):
            for preconditioner in (None, M):
                result = method(A, p.b[A.slices], M=preconditioner, rtol=1e-10, maxiter=900)
                assert result.converged, method
                found.append((result.x, result.iterations))
        fluid = p.mask[A.slices]
        result = block_cg(A, b[A.slices][fluid], M=M, rtol=1e-10)
        assert result.converged
        both = np.zeros((2, *fluid.shape))
        both[:, fluid] = result.x.T
        return [*found, *((x, result.iterations) for x in both)]

    own = block_slices(shape, comm, boundary=walls)
    for (x, iterations), (whole, expected) in zip(answers(comm), answers(None)):
        # BiCGSTAB magnifies the rounding of sums: a tenth more or less where it takes a hundred.
        assert abs(iterations - expected) <= max(1, expected // 8)
        np.testing.assert_allclose(x, whole[own], rtol=0, atol=1e-8 * abs(whole).max())


def _screened(A: PoissonOperator, reaction: np.ndarray) -> Multigrid:
    """Return multigrid for A with a reaction, made from that for A with a weak one."""
    weak = A.with_reaction(np.full(A.local_shape, 0.1))
    return Multigrid(weak).with_reaction(weak.with_reaction(reaction))


@cache
def learned_problem(case: int) -> tuple[PoissonOperator, np.ndarray, np.ndarray, SolveResult]:
    """Make a problem, and solve it with the learned cycle; return operator, right-hand side, M b and answer."""
    if case < len(CASES):
        p = problem(case)
        serial = PoissonOperator(p.mask, p.spacing, CASES[case][2], neumann_body=p.solid, coefficient=p.coefficient)
        b = p.b
    else:
        shape, _, walls, fluid, varying = LEARNED_CASES[case - len(CASES)]
        rng = np.random.default_rng(case)
        mask, coefficient = rng.random(shape) < fluid, np.exp(rng.normal(size=shape)) if varying else None
        serial = PoissonOperator(mask, (0.5, 0.4, 0.7) if varying else 0.5, walls, coefficient=coefficient)
        b = serial.project(rng.normal(size=shape) * mask)
    M = LearnedMultigrid(serial)
    return serial, b, M.matvec(b), M.solve(b, rtol=1e-9)


def compare_learned(case: int, comm: Any) -> None:
    """Run the learned cycle on the ranks beside that on one: one cycle, a solve, and what it sends."""
    serial, b, once, answer = learned_problem(case)
    levels = (*CASES, *LEARNED_CASES)[case][1]
    own = block_slices(serial.grid_shape, comm, boundary=serial.boundary, levels=levels)
    A = PoissonOperator(
        serial.mask[own],
        serial.spacing,
        serial.boundary,
        neumann_body=serial.neumann_body[own],
        coefficient=None if serial.coefficient is None else serial.coefficient[own],
        comm=comm,
        grid_shape=serial.grid_shape,
        distributed_levels=levels,
    )
    assert A.slices == own
    M = LearnedMultigrid(A)
    found = M.matvec(b[A.slices])
    np.testing.assert_allclose(found, once[A.slices], atol=1e-6 * abs(once).max())
    seen: list[np.ndarray] = []
    result = cg(A, b[A.slices], M=M, rtol=1e-9, callback=seen.append)
    assert len(seen) == result.iterations
    assert cg(A, b[A.slices], result.x, M=M, rtol=1e-8).iterations == 0
    assert cg(A, b[A.slices], M=M, rtol=0.0, atol=1.1 * answer.residual_norms[2]).iterations == 2
    assert result.iterations == answer.iterations
    norms = answer.residual_norms
    np.testing.assert_allclose(result.residual_norms, norms, rtol=2e-3, atol=1e-14 * norms[0])
    np.testing.assert_allclose(result.x, answer.x[A.slices], rtol=0, atol=3e-11 * abs(answer.x).max())
    if answer.iterations > 4 and A.blocks is not None:
        compare_traffic(A, M, b)


def compare_traffic(A: PoissonOperator, M: Any, b: np.ndarray) -> None:
    """Count what an iteration sends beside the model; a float32 residual is not replaced so early."""
    comm, before = A.comm, []
    for iterations in (1, 2):
        start = traffic(comm)
        cg(A, b[A.slices], M=M, rtol=0.0, maxiter=iterations)
        end = traffic(comm)
        before.append(
            {
                k: (v.messages - start.get(k, Traffic()).messages, v.bytes - start.get(k, Traffic()).bytes)
                for k, v in end.items()
            }
        )
    for name, model in iteration_traffic(A, M).items():
        few, many = (counts.get(name, (0, 0)) for counts in before)
        counted = tuple(m - f for m, f in zip(many, few))
        assert counted == (model.messages, model.bytes), (name, counted, model)


def error_of(action: Callable[[], object]) -> str:
    """Return the message of the error that `action` raises."""
    try:
        action()
    except SciError as error:
        return str(error)
    return ""


def refuse(comm: Any) -> None:
    """Give bad arguments, on one rank where that is possible: every rank gets the error."""
    last = comm.Get_rank() == comm.Get_size() - 1
    several = comm.Get_size() > 1
    own = block_slices((12, 12, 12), comm)
    local = tuple(s.stop - s.start for s in own)
    ones = np.ones(local, bool)

    def make(mask: np.ndarray, **options: Any) -> PoissonOperator:
        return PoissonOperator(mask, comm=comm, grid_shape=(12, 12, 12), distributed_levels=1, **options)

    for action, text in (
        (lambda: block_slices((12,), comm), "2 or 3 positive lengths"),
        (lambda: block_slices((12, 12, 13), comm, boundary="periodic"), "multiples of 2"),
        (lambda: make(np.ones((1, 2, 3), bool) if last else ones), "mask has shape"),
        (lambda: make(ones, coefficient=-np.ones(local)), "negative"),
        (lambda: make(np.zeros(local, bool)), "no fluid cell"),
    ):
        message = error_of(action)
        assert text in message, message
    if several:
        some = np.ones(local) if last else None
        assert "coefficient differs between ranks" in error_of(lambda: make(ones, coefficient=some))
    A = make(ones)
    if several:
        start = np.ones(local) if last else None
        assert "x0 differs between ranks" in error_of(lambda: cg(A, np.ones(local), start))
    message = error_of(lambda: cg(A, np.full(local, np.nan if last else 1.0)))
    assert "NaN" in message, message


def functions_as_preconditioners(comm: Any) -> None:
    """Solve with functions, matrices and SciPy's operators as M, over the unknowns of each rank, on grids and flat."""
    rng = np.random.default_rng(4)
    mask = rng.random((16, 17, 18)) > 0.1
    b = rng.normal(size=mask.shape) * mask
    serial = PoissonOperator(mask)
    plain = cg(serial, b, rtol=1e-8)
    A = PoissonOperator(mask, comm=comm)
    own, seen = b[A.slices], []
    diagonal = A.compress(A.diagonal)

    def scaled(r: np.ndarray) -> np.ndarray:
        seen.append(r.shape)
        return r / 6

    jacobi = sparse.diags(1 / diagonal)
    for M in (scaled, jacobi, linalg.aslinearoperator(jacobi), Jacobi(A)):
        on_grid, flat = cg(A, own, M=M, rtol=1e-8), cg(A, A.compress(own), M=M, rtol=1e-8)
        assert on_grid.converged
        assert abs(on_grid.iterations - plain.iterations) <= 1
        assert flat.iterations == on_grid.iterations
        np.testing.assert_allclose(on_grid.x, plain.x[A.slices], atol=1e-6 * abs(plain.x).max())
        np.testing.assert_allclose(A.compress(on_grid.x), flat.x, atol=1e-12)
    assert set(seen) == {(A.size,)}
    columns = np.stack([A.compress(own), 2 * A.compress(own)], axis=1)
    both = cg(A, columns, M=Multigrid(A), rtol=1e-8)
    assert both.converged
    np.testing.assert_allclose(both.x[:, 0], A.compress(plain.x[A.slices]), atol=1e-6 * abs(plain.x).max())


def deflated(comm: Any) -> None:
    """Find the lowest eigenvectors and deflate on ranks, with walls all round too, beside one process."""
    rng = np.random.default_rng(7)
    mask = rng.random((14, 15, 13)) > 0.1
    for walls, body in (("dirichlet", False), ("neumann", True)):
        serial = PoissonOperator(mask, 1.0, walls, neumann_body=body)
        A = PoissonOperator(mask, 1.0, walls, neumann_body=body, comm=comm)
        b = serial.project(rng.normal(size=mask.shape) * mask)
        expected, vectors = lowest_eigenvectors(serial, 7)
        values, own = lowest_eigenvectors(A, 7)
        np.testing.assert_allclose(values, expected, rtol=1e-8)
        for W, whole in ((own, vectors), (subdomain_vectors(A, (2, 2, 3)), subdomain_vectors(serial, (2, 2, 3)))):
            D, alone = Deflation(A, W), Deflation(serial, whole)
            assert D.count == alone.count
            found, answer = cg(A, b[A.slices], M=D, rtol=1e-9), cg(serial, b, M=alone, rtol=1e-9)
            assert found.converged
            assert abs(found.iterations - answer.iterations) <= 1
            np.testing.assert_allclose(found.x, answer.x[A.slices], atol=1e-7 * abs(answer.x).max())


def fail_on_one_rank(comm: Any) -> None:
    """Raise in M, in the callback and in a linear operator on the last rank: all ranks raise, and go on."""
    last = comm.Get_rank() == comm.Get_size() - 1
    A = PoissonOperator(np.ones((12, 12, 12), bool), comm=comm)
    b, calls = np.ones(A.local_shape), []

    def fails(r: np.ndarray) -> np.ndarray:
        calls.append(r)
        if last and len(calls) == 3:
            raise ValueError("out of luck")
        return r

    class Diagonal:
        shape = (5, 5)

        def __init__(self) -> None:
            self.comm = comm

        def matvec(self, x: np.ndarray) -> np.ndarray:
            return np.arange(1.0, 6.0) * fails(x)

    actions: tuple[Callable[[], object], ...] = (
        lambda: cg(A, b, M=fails, rtol=1e-12),
        lambda: cg(A, b, callback=fails, rtol=1e-12),
        lambda: cg(A, b, M=Multigrid(A), callback=fails, rtol=1e-12),
        lambda: cg(Diagonal(), np.ones(5), rtol=1e-12),
        lambda: cg(A, b, M=Deflation(A, subdomain_vectors(A, (2, 2, 2)), fails), rtol=1e-12),
        lambda: lowest_eigenvectors(A, 2, M=fails),
    )
    for action in actions:
        calls.clear()
        message = ""
        try:
            action()
        except (ValueError, SciError) as error:
            message = str(error)
        assert "out of luck" in message, message
        assert message.startswith("rank") != last or comm.Get_size() == 1, message
    # Which M is passed must agree, and the next solve works.
    multigrid, jacobi = Multigrid(A), Jacobi(A)
    if comm.Get_size() > 1:
        assert "M differs" in error_of(lambda: cg(A, b, M=multigrid if last else jacobi))
        assert "rtol differs" in error_of(lambda: cg(A, b, rtol=1e-3 if last else 1e-4))
    assert cg(A, b, M=multigrid, rtol=1e-8).converged


def cut_faces_and_networks(comm: Any) -> None:
    """Give factors of faces whole and by blocks, round an axis; the network takes the iterations of one process."""
    rng, shape, walls = np.random.default_rng(9), (12, 11, 9), ["periodic", "neumann", "dirichlet"]
    mask, reaction = rng.random(shape) > 0.1, rng.random(shape)
    c = np.where(rng.random(shape) < 0.3, 1e4, 1.0)
    factors = [
        rng.integers(0, 3, tuple(n + (a == axis) for a, n in enumerate(shape))) / 2 for axis in range(3)
    ]  # fmt: skip
    factors[0][-1] = factors[0][0]
    options = {"neumann_body": True, "coefficient": c, "face_factors": factors}
    serial = PoissonOperator(mask, 1.0, walls, **options)
    screened = PoissonOperator(mask, 1.0, walls, reaction=reaction, **options)
    for whole in (True, False):
        A = PoissonOperator(mask, 1.0, walls, **options, comm=comm, distributed_levels=1)
        own = A.slices
        if not whole:
            ends = [tuple(slice(s.start, s.stop + (a == axis)) for a, s in enumerate(own)) for axis in range(3)]
            local = {"coefficient": c[own], "face_factors": [f[key] for f, key in zip(factors, ends)]}
            given = {**options, **local, "comm": comm, "grid_shape": shape, "distributed_levels": 1}
            A = PoissonOperator(mask[own], 1.0, walls, **given)
        x = rng.normal(size=shape)
        np.testing.assert_allclose(A @ x[own], (serial @ x)[own], rtol=1e-13, atol=1e-10)
        np.testing.assert_array_equal(np.sort(A.component_sizes), np.sort(serial.component_sizes))
        for one, many in ((serial, A), (screened, A.with_reaction(reaction[own]))):
            b = one.project(one @ rng.normal(size=shape))
            expected = cg(one, b, M=Multigrid(one, coarse="network", dtype="f8"), rtol=1e-8)
            found = cg(many, b[own], M=Multigrid(many, coarse="network", dtype="f8"), rtol=1e-8)
            assert found.iterations == expected.iterations
            np.testing.assert_allclose(found.x, expected.x[own], atol=1e-6 * abs(expected.x).max())
            learned, M = LearnedMultigrid(one), LearnedMultigrid(many)
            assert M.coarse == learned.coarse == "network"
            answer, again = learned.solve(b), M.solve(b[own])
            assert again.iterations == answer.iterations <= expected.iterations
            np.testing.assert_allclose(again.x, answer.x[own], atol=1e-6 * abs(answer.x).max())
