"""Log-determinants and conditions of Poisson operators beside SciPy, imate and matfree.

    OMP_NUM_THREADS=1 python benchmarks/spectra.py              # all, about two minutes
    OMP_NUM_THREADS=1 python benchmarks/spectra.py --only determinant --cells 64 --seeds 5

CPU seconds of this process, one thread for ours. Errors are relative to the exact value: the eigenvalues of the
operator of a box are known. A ratio is ours over the peer's: below 1, ours is faster. A peer that is not installed is
left out with a line: pip install imate matfree jax.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sci.linalg import log_determinant
from sci.solvers import FastPoisson, IncompleteCholesky, Jacobi, Multigrid, PoissonOperator, Spectrum, cg, spectrum

PROBES, STEPS = 10, 40


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a run, and its result."""
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def eigenvalues(cells: int) -> np.ndarray:
    """Return the eigenvalues of the operator of a box with Dirichlet walls and cubic cells."""
    axis = 4 * np.sin(np.pi * np.arange(1, cells + 1) / (2 * (cells + 1))) ** 2
    return np.asarray((axis[:, None, None] + axis[:, None] + axis).ravel())


def peer(name: str) -> Any:
    """Return a peer's module, None with a line where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"# {name} is not installed: pip install {name.partition('.')[0]}")
        return None


def _imate(cells: int, seed: int) -> float:
    matrix = PoissonOperator(np.ones((cells,) * 3, bool)).to_scipy()
    found = importlib.import_module("imate").logdet(
        matrix,
        method="slq",
        **{"min_num_samples": PROBES, "max_num_samples": PROBES, "lanczos_degree": STEPS, "seed": seed},
        **{"num_threads": 1, "orthogonalize": 0},
    )
    return float(found)


def _matfree(cells: int) -> Callable[[int], float]:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    decomp, funm, stochtrace = (importlib.import_module(f"matfree.{n}") for n in ("decomp", "funm", "stochtrace"))
    jnp = jax.numpy

    def product(v: Any) -> Any:
        u = jnp.pad(v.reshape(cells, cells, cells), 1)
        near = u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1]
        return (6 * u[1:-1, 1:-1, 1:-1] - near - u[1:-1, 1:-1, 2:] - u[1:-1, 1:-1, :-2]).ravel()

    integrand = funm.monte_carlo_funm_sym_logdet(decomp.tridiag_sym(STEPS, reortho="none"))
    sampler = stochtrace.sampler_signs(jnp.zeros(cells**3), num=PROBES)
    estimate = jax.jit(partial(stochtrace.estimator_monte_carlo(integrand, sampler=sampler), product))
    return lambda seed: float(estimate(jax.random.PRNGKey(seed)))


def determinant(cells: int, seeds: int) -> None:
    """Log-determinant of a box: each method with as many probes and steps."""
    exact = float(np.log(eigenvalues(cells)).sum())
    A = PoissonOperator(np.ones((cells,) * 3, bool))
    print(f"log-determinant of {cells}^3 cells, {exact:.6f}; {PROBES} probes of {STEPS} steps, {seeds} seeds")
    options: dict[str, Any] = {"probes": PROBES, "steps": STEPS}
    methods: dict[str, Callable[[int], float]] = {
        "spectrum, traces of A and A^2 known": lambda s: spectrum(A, **options, seed=s).log_determinant.value,
        "log_determinant, no trace known": lambda s: log_determinant(A.matvec, A.size, **options, seed=s).value,
    }
    if peer("imate") is not None:
        methods["imate"] = partial(_imate, cells)
    if peer("matfree") is not None and peer("jax") is not None:
        methods["matfree"] = _matfree(cells)
        methods["matfree"](99)  # compiles
    ours = 0.0
    for name, run in methods.items():
        taken, values = zip(*(seconds(partial(run, seed)) for seed in range(seeds)))
        errors = np.abs(np.array(values) / exact - 1)
        ours = ours or min(taken)
        ratio = "" if min(taken) == ours else f", ratio {ours / min(taken):.2f}"
        print(
            f"  {name:<38} {min(taken):6.2f} s{ratio}; error {errors.max():.1e} at most, {errors.mean():.1e} on average"
        )


def condition(cells: int, seeds: int) -> None:
    """Condition that a solve leaves, beside SciPy's eigsh for both ends."""
    sparse = importlib.import_module("scipy.sparse.linalg")
    A = PoissonOperator(np.ones((cells,) * 3, bool))
    exact = np.sort(eigenvalues(cells))[[0, -1]]
    true = float(exact[1] / exact[0])
    print(f"condition of {cells}^3 cells, {true:.6f}")
    b = np.random.default_rng(0).normal(size=A.local_shape)
    for rtol in (1e-6, 1e-8, 1e-10):
        taken, found = seconds(partial(cg, A, b, rtol=rtol))
        ends = found.extremes
        print(
            f"  cg to {rtol:g}: {found.condition:.6f}, off by {abs(found.condition / true - 1):.1e}, said at most "
            f"{ends.condition_error / found.condition:.1e}; {taken:.2f} s with the solution"
        )
    operator = sparse.LinearOperator((A.size, A.size), matvec=A.matvec, dtype=np.float64)
    inverse = sparse.LinearOperator((A.size, A.size), matvec=FastPoisson(A).matvec, dtype=np.float64)
    options = {"k": 1, "return_eigenvectors": False, "tol": 1e-4}
    high_taken, high = seconds(lambda: sparse.eigsh(operator, which="LA", **options)[0])
    low_taken, low = seconds(lambda: sparse.eigsh(operator, sigma=0, OPinv=inverse, **options)[0])
    print(
        f"  eigsh, the small end with the exact inverse: {high / low:.6f}, off by {abs(high / low / true - 1):.1e}; "
        f"{high_taken + low_taken:.2f} s"
    )


def _spectrum_of(A: PoissonOperator, make: Callable[[PoissonOperator], Any]) -> Spectrum:
    return spectrum(A, make(A))


def preconditioned(cells: int, seeds: int) -> None:
    """Spectra of M A with bodies, and the condition beside that of a dense matrix where it is small enough."""
    rng = np.random.default_rng(1)
    mask = np.ones((cells,) * 3, bool)
    mask[cells // 4 : cells // 2, cells // 3 : cells // 2, cells // 3 : 2 * cells // 3] = False
    A = PoissonOperator(mask)
    small = PoissonOperator(rng.random((9, 8, 8)) > 0.2)
    matrix = small.to_scipy().toarray()
    makers: dict[str, Callable[[PoissonOperator], Any]] = {
        "none": lambda P: None,
        "jacobi": Jacobi,
        "ic": IncompleteCholesky,
        "mic": lambda P: IncompleteCholesky(P, modified=0.97),
        "multigrid": Multigrid,
    }
    print(f"spectra of {cells}^3 cells with a body, {A.n_unknowns} unknowns; dense: {small.n_unknowns} unknowns")
    for name, make in makers.items():
        taken, found = seconds(partial(_spectrum_of, A, make))
        M = make(small)
        dense = matrix if M is None else np.stack([M.matvec(column) for column in matrix.T], axis=1)
        values = np.linalg.eigvals(dense).real
        off = abs(spectrum(small, M, steps=60).condition / (values.max() / values.min()) - 1)
        print(
            f"  {name:<10} condition {found.condition:9.4f} (+ {found.extremes.condition_error:.1g}), log-determinant "
            f"{found.log_determinant.value:.6g} +- {found.log_determinant.standard_error:.2g}; {taken:.2f} s; "
            f"dense: condition off by {off:.1e}"
        )


PARTS: dict[str, Callable[[int, int], None]] = {
    "determinant": determinant,
    "condition": condition,
    "preconditioned": preconditioned,
}


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.only:
        PARTS[name](arguments.cells, arguments.seeds)


if __name__ == "__main__":
    main()
