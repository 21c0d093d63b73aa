"""Poisson solvers beside pyamg and ilupp: setup, solve, memory, one right-hand side to 1e-8.

    OMP_NUM_THREADS=1 python benchmarks/solvers.py            # 64^3
    OMP_NUM_THREADS=1 python benchmarks/solvers.py 64 128     # peers up to 128^3
    OMP_NUM_THREADS=1 python benchmarks/solvers.py 256 --ours

CPU seconds of this process, the least of three solves; residuals are recomputed with the assembled matrix. Ratios are
against our multigrid, setup included. Memory: what the solver holds, in bytes per unknown, beside b and x.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.problems import right_hand_side, sphere_and_blob
from sci.solvers import FastPoisson, IncompleteCholesky, Multigrid, PoissonOperator, cg

CG_BYTES = 24
"""Vectors of cg on flat arrays beside x: b, r and p in float64."""


def cg_bytes(M: Any) -> int:
    """Return bytes per unknown of the vectors beside x: two p in the precision of the cycle, which holds r."""
    if M is None:
        return 8 + 2 * 8 + 8
    with M.workspace() as cycle:
        return 8 + 2 * int(cycle.source.dtype.itemsize)


def _ours(make: Callable[[PoissonOperator], Any], held: Callable[[Any], float]) -> Callable[..., Any]:
    def build(A: PoissonOperator, _: Any) -> tuple[Callable[[np.ndarray], Any], Callable[[], float]]:
        M = make(A)
        return lambda b: cg(A, b, M=M, rtol=1e-8), lambda: cg_bytes(M) + 1 + held(M) / A.size

    return build


def _sparse_bytes(matrix: Any) -> int:
    return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


def _pyamg(name: str) -> Callable[..., Any]:
    def build(A: PoissonOperator, matrix: Any) -> tuple[Callable[[np.ndarray], Any], Callable[[], float]]:
        import pyamg

        solver = getattr(pyamg, name)(matrix)
        M = solver.aspreconditioner()
        parts = [m for level in solver.levels for m in (level.A, getattr(level, "P", None), getattr(level, "R", None))]
        held = sum(_sparse_bytes(m) for m in parts if m is not None)
        return lambda b: cg(matrix, A.compress(b), M=M, rtol=1e-8), lambda: CG_BYTES + held / A.size

    return build


def _ilupp(name: str, **options: float) -> Callable[..., Any]:
    def build(A: PoissonOperator, matrix: Any) -> tuple[Callable[[np.ndarray], Any], Callable[[], float]]:
        import ilupp

        M = getattr(ilupp, name)(matrix, **options)
        held = 12 * M.total_nnz + _sparse_bytes(matrix)
        return lambda b: cg(matrix, A.compress(b), M=M, rtol=1e-8), lambda: CG_BYTES + held / A.size

    return build


OURS = {
    "multigrid V(2,2)": _ours(Multigrid, lambda M: M.nbytes),
    "multigrid V(1,1)": _ours(lambda A: Multigrid(A, smoothing=1), lambda M: M.nbytes),
    "rediscretized V(2,2)": _ours(lambda A: Multigrid(A, coarse="rediscretized"), lambda M: M.nbytes),
    "float64 V(2,2)": _ours(lambda A: Multigrid(A, dtype=np.float64), lambda M: M.nbytes),
    "MIC(0)": _ours(lambda A: IncompleteCholesky(A, modified=0.97), lambda M: 3 * M.inverse.nbytes),
    "IC(0)": _ours(IncompleteCholesky, lambda M: 3 * M.inverse.nbytes),
    "fast Poisson": _ours(FastPoisson, lambda M: 3 * M.inverse.nbytes),
    "CG": _ours(lambda A: None, lambda M: 0),
}
PEERS = {
    "pyamg SA": _pyamg("smoothed_aggregation_solver"),
    "pyamg RS": _pyamg("ruge_stuben_solver"),
    "ilupp IC(0)": _ilupp("IChol0Preconditioner"),
    "ilupp ICT": _ilupp("ICholTPreconditioner", add_fill_in=10, threshold=1e-2),
}


def measure(build: Callable[..., Any], A: PoissonOperator, matrix: Any, b: np.ndarray, repeats: int) -> list[float]:
    """Return CPU seconds of setup and solve, iterations, relative residual, bytes per unknown."""
    start = time.process_time()
    solve, held = build(A, matrix)
    setup, best = time.process_time() - start, np.inf
    for _ in range(repeats):
        start = time.process_time()
        result = solve(b)
        best = min(best, time.process_time() - start)
    x = A.compress(result.x) if result.x.shape == A.grid_shape else result.x
    rest = float(np.linalg.norm(A.compress(b) - matrix @ x) / np.linalg.norm(b))
    return [setup, best, result.iterations, rest, held()]


def main() -> None:
    """Print one table a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[64])
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--only", nargs="+", help="rows to run")
    a = parser.parse_args()
    rows = {**OURS, **({} if a.ours else PEERS)}
    for n in a.sizes:
        mask = sphere_and_blob(n)
        start = time.process_time()
        A = PoissonOperator(mask)
        operator = time.process_time() - start
        matrix, b = A.to_scipy(), right_hand_side(mask, "noise")
        warm = PoissonOperator(sphere_and_blob(16))
        cg(warm, right_hand_side(warm.mask), M=Multigrid(warm))  # compiles
        print(f"\n{n}^3, {A.size} unknowns; the operator itself {operator:.3f} s")
        print(f"{'':22s}{'setup s':>9s}{'solve s':>9s}{'its':>5s}{'residual':>10s}{'B/unknown':>11s}{'ratio':>8s}")
        whole = None
        for name, build in rows.items():
            if a.only and name not in a.only:
                continue
            try:
                setup, solve, its, rest, held = measure(build, A, matrix, b, 1 if n > 64 and name in PEERS else 3)
            except ImportError as error:
                print(f"{name:22s} {error}")
                continue
            whole = setup + solve if whole is None else whole
            ratio = (setup + solve) / whole
            print(f"{name:22s}{setup:9.3f}{solve:9.3f}{its:5d}{rest:10.1e}{held:11.0f}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
