"""Algebraic multigrid beside pyamg on matrices that no grid describes: setup and solve to 1e-8, one thread.

    OMP_NUM_THREADS=1 python benchmarks/sparse_solvers.py            # extra `peers`: pyamg, scikit-fem
    OMP_NUM_THREADS=1 python benchmarks/sparse_solvers.py --small    # a sixteenth of the unknowns

The problems: rotated anisotropy (bilinear elements, 512^2, 1 : 1e-3 at 30 degrees), linear elasticity with rigid-body
modes, linear elements on a cube of tetrahedra (scikit-fem), and convection by upwind differences, which is not
symmetric. Of pyamg: its default smoothed aggregation, evolution strength with prolongation of least energy (`degree` 1
and 2), root nodes, and Ruge-Stueben. CPU seconds of this process, the least of three; iterations of conjugate
gradients, or of BiCGSTAB, for the worse of a random right-hand side and ones. `ratio` is setup and solve over ours;
residuals are recomputed here.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from sci.solvers import AlgebraicMultigrid, bicgstab, cg

Problem = tuple[str, Any, Any]
Solve = Callable[[np.ndarray], tuple[np.ndarray, int]]


def problems(part: int) -> list[Problem]:
    """Return names, matrices and near null spaces; lengths are divided by `part`."""
    import pyamg
    import skfem
    from skfem.models.poisson import laplace

    stencil = pyamg.gallery.diffusion_stencil_2d(type="FE", epsilon=1e-3, theta=np.pi / 6)
    n = 512 // part
    rotated = pyamg.gallery.stencil_grid(stencil, (n, n), format="csr")
    elastic, modes = pyamg.gallery.linear_elasticity((256 // part,) * 2, format="bsr")
    mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, 48 // part + 1)] * 3)
    basis = skfem.Basis(mesh, skfem.ElementTetP1())
    inside = basis.complement_dofs(basis.get_dofs())
    cube = sparse.csr_array(laplace.assemble(basis)[inside][:, inside])
    return [
        ("rotated anisotropy", rotated, None),
        ("elasticity", elastic, modes),
        ("tetrahedra", cube, None),
        ("convection", convection(n // 2), None),
    ]


def convection(n: int, speed: float = 300.0) -> Any:
    """Return upwind differences of -Laplace u + speed (y, -x)' grad u on n x n points of (-1, 1)^2."""
    x = np.linspace(-1, 1, n + 2)[1:-1]
    h, eye = x[1] - x[0], sparse.eye_array(n)
    second = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) / h**2
    backward = sparse.diags_array([1.0, -1.0], offsets=[0, -1], shape=(n, n)) / h
    X, Y = (a.ravel() for a in np.meshgrid(x, x, indexing="ij"))
    A = sparse.kron(second, eye) + sparse.kron(eye, second)
    for wind, along in ((speed * Y, sparse.kron(backward, eye)), (-speed * X, sparse.kron(eye, backward))):
        A = A + sparse.diags_array(np.maximum(wind, 0)) @ along - sparse.diags_array(np.minimum(wind, 0)) @ along.T
    return A.tocsr()


def _ours(smoother: Any) -> Callable[[Any, Any], tuple[Solve, float]]:
    def make(A: Any, modes: Any) -> tuple[Solve, float]:
        M = AlgebraicMultigrid(A, modes, smoother=smoother)
        rows = A.tocsr()

        def solve(b: np.ndarray) -> tuple[np.ndarray, int]:
            result = (cg if M.symmetric else bicgstab)(rows, b, M=M, rtol=1e-8)
            return result.x, result.iterations

        return solve, M.operator_complexity

    return make


def _pyamg(name: str, **options: Any) -> Callable[[Any, Any], tuple[Solve, float]]:
    def make(A: Any, modes: Any) -> tuple[Solve, float]:
        import pyamg

        symmetric = abs(A - A.T).max() <= 1e-10 * abs(A).max()
        given = dict(options)
        if name != "ruge_stuben_solver":
            given |= {} if modes is None else {"B": modes}
            given |= {} if symmetric else {"symmetry": "nonsymmetric"}
        levels = getattr(pyamg, name)(A, **given)

        def solve(b: np.ndarray) -> tuple[np.ndarray, int]:
            norms: list[float] = []
            accel = "cg" if symmetric else "bicgstab"
            x = levels.solve(b, tol=1e-8, maxiter=300, accel=accel, residuals=norms)
            return x, len(norms) - 1

        return solve, levels.operator_complexity()

    return make


EVOLUTION = ("evolution", {"epsilon": 4.0, "k": 2, "proj_type": "l2"})
SOLVERS = {
    "ours": _ours(None),
    "ours, Chebyshev": _ours("chebyshev"),
    "pyamg SA": _pyamg("smoothed_aggregation_solver"),
    "pyamg SA, evolution": _pyamg(
        "smoothed_aggregation_solver", strength=EVOLUTION, smooth=("energy", {"maxiter": 4, "degree": 1})
    ),
    "pyamg SA, evolution 2": _pyamg(
        "smoothed_aggregation_solver", strength=EVOLUTION, smooth=("energy", {"maxiter": 4, "degree": 2})
    ),
    "pyamg root nodes": _pyamg("rootnode_solver", strength=EVOLUTION, smooth=("energy", {"maxiter": 4, "degree": 2})),
    "pyamg RS": _pyamg("ruge_stuben_solver"),
}


def measure(make: Callable[[Any, Any], tuple[Solve, float]], A: Any, modes: Any, repeats: int) -> list[float]:
    """Return CPU seconds of setup and of the longer solve, iterations, the residual, and operator complexity."""
    setups, solves, iterations, residual = [], [], 0, 0.0
    for _ in range(repeats):
        start = time.process_time()
        solve, complexity = make(A, modes)
        setups.append(time.process_time() - start)
        longest, rng = 0.0, np.random.default_rng(0)
        for b in (rng.normal(size=A.shape[0]), np.ones(A.shape[0])):
            start = time.process_time()
            x, count = solve(b)
            longest = max(longest, time.process_time() - start)
            iterations = max(iterations, count)
            residual = max(residual, float(np.linalg.norm(b - A @ x) / np.linalg.norm(b)))
        solves.append(longest)
    return [min(setups), min(solves), iterations, residual, complexity]


def main() -> None:
    """Print one table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="lengths over four")
    parser.add_argument("--only", help="a word of the problem's name")
    parser.add_argument("--repeats", type=int, default=3)
    a = parser.parse_args()
    warnings.filterwarnings("ignore", module="pyamg")
    for name, A, modes in problems(4 if a.small else 1):
        if a.only and a.only not in name:
            continue
        measure(SOLVERS["ours"], A.tocsr()[:512, :512], None, 1)  # compiles
        print(f"\n{name}: {A.shape[0]} unknowns, {A.nnz} entries")
        print(f"{'':24s}{'setup s':>9s}{'solve s':>9s}{'its':>5s}{'residual':>10s}{'complexity':>11s}{'ratio':>7s}")
        whole = None
        for label, make in SOLVERS.items():
            try:
                setup, solve, count, residual, complexity = measure(make, A, modes, a.repeats)
            except Exception as error:  # a peer's method may not take a matrix: say so, and go on
                print(f"{label:24s}{type(error).__name__}: {str(error)[:70]}")
                continue
            whole = setup + solve if whole is None else whole
            print(
                f"{label:24s}{setup:9.3f}{solve:9.3f}{count:5d}{residual:10.1e}{complexity:11.2f}"
                f"{(setup + solve) / whole:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
