"""Iterations of every preconditioner on the sphere-and-blob problem, beside those of the reference computation.

    python benchmarks/solver_counts.py            # 32^3 and 64^3
    python benchmarks/solver_counts.py 32 64 128

The bodies of the reference computation are not published: ours (`sci.problems.poisson.sphere_and_blob`) take the same
part of the box, and their blob is the one of 30 seeds whose CG counts at 32^3 and 64^3 come nearest. Counts do not
depend on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.problems import right_hand_side, sphere_and_blob
from sci.solvers import FastPoisson, IncompleteCholesky, Jacobi, Multigrid, PoissonOperator, cg

REFERENCE: dict[str, dict[int, tuple[int, int]]] = {
    "CG": {32: (53, 115), 64: (95, 217), 128: (172, 413)},
    "Jacobi": {32: (53, 115), 64: (95, 217), 128: (172, 413)},
    "IC(0)": {32: (17, 37), 64: (30, 69), 128: (54, 131)},
    "MIC(0)": {32: (10, 20), 64: (14, 31), 128: (24, 57)},
    "fast Poisson": {32: (10, 18), 64: (14, 25), 128: (18, 34)},
    "V(2,2) rediscretized": {32: (4, 7), 64: (4, 8), 128: (4, 8)},
    "V(1,1) rediscretized": {32: (5, 11), 64: (6, 11), 128: (6, 11)},
    "V(2,2) no wall correction": {32: (5, 9), 64: (5, 10), 128: (6, 11)},
    "V(2,2) averaged": {32: (4, 7), 64: (4, 8), 128: (4, 8)},
    "V(1,1) averaged": {32: (5, 11), 64: (6, 11), 128: (6, 11)},
}
"""Iterations to 1e-4 and 1e-8; the averaged cycle, ours alone, stands beside the reference of the rediscretized."""

PRECONDITIONERS: dict[str, Callable[[PoissonOperator], Any]] = {
    "CG": lambda A: None,
    "Jacobi": Jacobi,
    "IC(0)": IncompleteCholesky,
    "MIC(0)": lambda A: IncompleteCholesky(A, modified=0.97),
    "fast Poisson": FastPoisson,
    "V(2,2) rediscretized": lambda A: Multigrid(A, coarse="rediscretized"),
    "V(1,1) rediscretized": lambda A: Multigrid(A, coarse="rediscretized", smoothing=1),
    "V(2,2) no wall correction": lambda A: Multigrid(A, coarse="rediscretized", wall_corrected=False),
    "V(2,2) averaged": Multigrid,
    "V(1,1) averaged": lambda A: Multigrid(A, smoothing=1),
}


def counts(A: PoissonOperator, b: np.ndarray, M: Any) -> tuple[int, int]:
    """Return iterations to 1e-4 and to 1e-8, the latter checked with the assembled matrix."""
    result = cg(A, b, M=M, rtol=1e-8)
    rest = A.compress(b) - A.to_scipy() @ A.compress(result.x)
    assert np.linalg.norm(rest) <= 1.01e-8 * np.linalg.norm(b)
    return int(np.argmax(result.residual_norms <= 1e-4 * result.residual_norms[0])), result.iterations


def main() -> None:
    """Print the table."""
    sizes = [int(a) for a in sys.argv[1:]] or [32, 64]
    off = 0
    for n in sizes:
        mask = sphere_and_blob(n)
        A = PoissonOperator(mask)
        print(f"\n{n}^3, {A.size} unknowns: iterations to 1e-4 / 1e-8")
        print(f"{'preconditioner':28s}{'div':>10s}{'noise':>10s}{'reference':>12s}  off by more than 1")
        for name, make in PRECONDITIONERS.items():
            M = make(A)
            found = [counts(A, right_hand_side(mask, kind), M) for kind in ("div", "noise")]
            expected = REFERENCE[name].get(n)
            div, noise = (f"{a}/{b}" for a, b in found)
            wrong = expected is not None and any(abs(f - e) > 1 for f, e in zip(found[0], expected))
            off += wrong
            text = "-" if expected is None else f"{expected[0]}/{expected[1]}"
            print(f"{name:28s}{div:>10s}{noise:>10s}{text:>12s}  {'*' if wrong else ''}", flush=True)
    print(f"\n{off} rows of {len(sizes) * len(PRECONDITIONERS)} differ from the reference by more than 1 (div)")


if __name__ == "__main__":
    main()
