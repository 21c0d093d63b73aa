"""Minima of energies: our methods beside one another, and beside Newton's method with sparse LU and scikit-fem.

    python benchmarks/variational.py [--cells 65 129] [--plane 63]

1. Methods: steps, products or cycles, and CPU seconds of each method on the same energies from the same start.
2. The p-Laplacian with f = 1 on the unit square: ours, and scikit-fem (linear triangles on as many nodes, Newton's
   method with sparse LU, undamped and halved until the residual falls), if it is installed.
3. Ubiquitin in 0.15 mol/L of salt: steps of the nonlinear problem, and its time over that of one linear solve of the
   same grid to 1e-8 with the same multigrid; and a small cluster of charges beside Newton's method with sparse LU.
4. The contraction of descent on a torus beside its bound, and k times the error of k random ridges over C^2 / 2.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from sci.applications import Electrolyte
from sci.applications.solvation.cavity import checked_radii
from sci.applications.solvation.poisson_boltzmann import Case, chosen_grid, saturated_start
from sci.datasets import dataset_path
from sci.errors import SciError
from sci.io import read_structure
from sci.potentials import Particles
from sci.solvers import (
    DoubleWell,
    Energy,
    IonGas,
    MinimalSurface,
    Minimum,
    Multigrid,
    PLaplacian,
    PoissonOperator,
    SolveResult,
    cg,
    minimize_energy,
    ridge_sample,
    torus_descent,
)


def timed(work: Callable[..., Any], *arguments: Any, repeats: int = 3, **options: Any) -> tuple[Any, float]:
    """Return the result of a call and the least CPU seconds."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.process_time()
        result = work(*arguments, **options)
        best = min(best, time.process_time() - start)
    return result, best


def square(n: int) -> PoissonOperator:
    """Return the unit square with Dirichlet walls."""
    return PoissonOperator(np.ones((n, n), dtype=bool), 1 / (n + 1))


def methods(n: int) -> None:
    """Print the table of methods."""
    A, rng = square(n), np.random.default_rng(0)
    x = np.arange(n + 2) / (n + 1)
    edge = np.zeros((n + 2, n + 2))
    edge[0], edge[-1] = np.sin(6 * x), 1.5
    box = PoissonOperator(np.ones((n, n), dtype=bool), 1 / n, "neumann")
    ones = np.ones((n, n))
    cases: dict[str, tuple[Energy, Any]] = {
        f"p-Laplacian, p = {p:g}": (Energy(A, PLaplacian(p), f=ones), None) for p in (1.5, 3, 6, 10)
    }
    cases["minimal surface"] = (Energy(A, MinimalSurface(), values=edge), None)
    cases["phase field"] = (Energy(box, DoubleWell(50.0), diffusion=0.02), rng.uniform(-0.1, 0.3, (n, n)))
    cases["ions"] = (Energy(A, IonGas(1e3 * ones), f=1e4 * rng.normal(size=(n, n)), diffusion=1.0), None)
    print(f"\n{n} x {n} cells, to 1e-8: steps / products or cycles / CPU seconds; - : not in 200 steps")
    print(f"{'':>22} {'newton, splitting':>20} {'lbfgs':>20} {'descent':>20}")
    for name, (energy, start) in cases.items():
        cells = []
        for method in ("auto", "lbfgs", "descent"):
            found, seconds = timed(minimize_energy, energy, start, method=method, repeats=2)
            steps = str(found.iterations) if found.converged else "-"
            cells.append(f"{steps} / {int(found.products.sum())} / {seconds:.2f}")
        print(f"{name:>22} " + " ".join(f"{cell:>20}" for cell in cells), flush=True)


def skfem_p_laplacian(n: int, p: float, damped: bool) -> str:
    """Return steps and seconds of scikit-fem; Newton's method from the solution of the linear problem."""
    import skfem
    from skfem.helpers import dot, grad

    mesh = skfem.MeshTri.init_tensor(np.linspace(0, 1, n + 2), np.linspace(0, 1, n + 2))
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    inner = basis.complement_dofs(basis.get_dofs())
    e2 = 1e-6

    @skfem.BilinearForm
    def laplace(u, v, _):
        return dot(grad(u), grad(v))

    @skfem.BilinearForm
    def tangent(u, v, w):
        g = w["prior"].grad
        s = dot(g, g) + e2
        return s ** (p / 2 - 1) * (dot(grad(u), grad(v)) + (p - 2) * dot(g, grad(u)) * dot(g, grad(v)) / s)

    @skfem.LinearForm
    def residual(v, w):
        g = w["prior"].grad
        return (dot(g, g) + e2) ** (p / 2 - 1) * dot(g, grad(v)) - v

    @skfem.LinearForm
    def one(v, _):
        return 1.0 * v

    start = time.process_time()
    u = skfem.solve(*skfem.condense(laplace.assemble(basis), one.assemble(basis), I=inner))
    norms = [np.linalg.norm(residual.assemble(basis, prior=basis.interpolate(u))[inner])]
    for step in range(1, 101):
        r = residual.assemble(basis, prior=basis.interpolate(u))
        K = tangent.assemble(basis, prior=basis.interpolate(u))
        d = np.zeros_like(u)
        d[inner] = splu(sparse.csc_matrix(K[inner][:, inner])).solve(-r[inner])
        t = 1.0
        while damped and t > 1e-4:
            new = np.linalg.norm(residual.assemble(basis, prior=basis.interpolate(u + t * d))[inner])
            if new < norms[-1]:
                break
            t *= 0.5
        u = u + t * d
        norms.append(np.linalg.norm(residual.assemble(basis, prior=basis.interpolate(u))[inner]))
        if not np.isfinite(norms[-1]) or norms[-1] > 1e12 * norms[0]:
            return f"diverges at {step}"
        if norms[-1] <= 1e-8 * norms[0]:
            return f"{step} / {time.process_time() - start:.2f}"
    return "- in 100"


def p_laplacian(n: int) -> None:
    """Print our times beside those of scikit-fem."""
    try:
        import skfem  # noqa: F401
    except ImportError:
        print("\nscikit-fem is not installed: pip install scikit-fem")
        return
    print(f"\np-Laplacian on {n} x {n} unknowns, to 1e-8, steps / CPU seconds")
    print(f"{'p':>5} {'ours':>14} {'scikit-fem + LU':>18} {'the same, damped':>18}")
    for p in (1.5, 3.0, 4.0, 6.0, 10.0):
        energy = Energy(square(n), PLaplacian(p), f=np.ones((n, n)))
        found, seconds = timed(minimize_energy, energy)
        ours = f"{found.iterations} / {seconds:.2f}"
        with np.errstate(all="ignore"):
            peers = [skfem_p_laplacian(n, p, damped) for damped in (False, True)]
        print(f"{p:>5g} {ours:>14} {peers[0]:>18} {peers[1]:>18}", flush=True)


def newton_lu(energy: Energy, u: np.ndarray) -> str:
    """Return steps and seconds of undamped Newton's method with sparse LU on the same equations."""
    A, start = energy.A.to_scipy(), time.process_time()
    first = np.linalg.norm(energy.source)
    for step in range(1, 31):
        gradient = energy.gradient(u)
        if not np.isfinite(gradient).all():
            return f"diverges at {step}"
        if np.linalg.norm(gradient) <= 1e-6 * first:
            return f"{step - 1} steps, {time.process_time() - start:.2f} s"
        matrix = A + sparse.diags(energy.second_derivative(u).reshape(-1))
        u = u + splu(sparse.csc_matrix(matrix), permc_spec="MMD_AT_PLUS_A").solve(-gradient.reshape(-1)).reshape(
            u.shape
        )
    return "- in 30 steps"


def solve_linear(A: PoissonOperator, b: np.ndarray) -> SolveResult:
    """Set multigrid up and solve the linear equation."""
    return cg(A, b, M=Multigrid(A), rtol=1e-8)


def solve_nonlinear(energy: Energy) -> Minimum:
    """Make the start and minimize."""
    return minimize_energy(energy, saturated_start(energy), rtol=1e-6)


def ubiquitin(sizes: list[int]) -> None:
    """Print steps and times of the Poisson-Boltzmann problem."""
    particles = read_structure(dataset_path("ubiquitin"))
    radii, salt = checked_radii(particles, None), Electrolyte(0.15)
    print("\nubiquitin, 0.15 mol/L: CPU seconds of the linear solve (multigrid set up, 1e-8) and of the nonlinear one")
    for n in sizes:
        box, spacing = chosen_grid(particles, radii, None, n, 12.0)
        _, energy = Case(particles, radii, salt, 2.0, 78.5, 1e-6).problem(box, spacing)
        ions = energy.density
        assert isinstance(ions, IonGas)
        A, b = energy.A.with_reaction(ions.strength), energy.source - ions.strength * ions.shift
        repeats = 3 if n < 200 else 1
        linear, once = timed(solve_linear, A, b, repeats=repeats)
        found, full = timed(solve_nonlinear, energy, repeats=repeats)
        print(
            f"{n}^3 cells of {spacing:.3f} A: linear {once:.2f} s ({linear.iterations} iterations), nonlinear "
            f"{full:.2f} s ({found.iterations} steps, {int(found.products.sum())} products), ratio {full / once:.2f}",
            flush=True,
        )


def cluster() -> None:
    """Print our steps and those of undamped Newton's method with sparse LU on a strongly charged cluster."""
    rng = np.random.default_rng(3)
    charges = Particles(8 * rng.random((30, 3)), 2 * rng.normal(size=30), np.full(30, 1.7))
    box, spacing = chosen_grid(charges, None, None, 16, 6.0)
    _, energy = Case(charges, charges.radii, Electrolyte(), 2.0, 78.5, 1e-6).problem(box, spacing)
    found, seconds = timed(solve_nonlinear, energy, repeats=2)
    ions = energy.density
    print(f"\n30 charges of up to 5 e, 16^3 cells: ours {found.iterations} steps, {seconds:.2f} s")
    starts = {
        "r = 0": np.zeros(ions.strength.shape),
        "u = 0 among the ions": np.where(ions.strength > 0, -ions.shift, 0.0),
        "our start": saturated_start(energy),
    }
    with np.errstate(all="ignore"):
        for name, start in starts.items():
            print(f"Newton with sparse LU from {name}: {newton_lu(energy, start)}", flush=True)


def saturating_flux(a: float, p: np.ndarray) -> np.ndarray:
    """Return the derivative of p^2 / 2 + a sqrt(1 + p^2)."""
    return p + a * p / np.sqrt(1 + p * p)


def torus() -> None:
    """Print contractions beside their bounds, and the constant of the law of ridges."""
    for a in (1.0, 4.0):
        found = []
        for dim, n in ((1, 65), (2, 33), (3, 17)):
            axes = np.meshgrid(*[2 * np.pi * np.arange(n) / n] * dim, indexing="ij")
            f = sum(np.sin(x + k) for k, x in enumerate(axes)) * 2
            found.append(torus_descent(partial(saturating_flux, a), f, (1.0, 1.0 + a)))
        ratios = ", ".join(f"{r.contraction:.3f} ({len(r.steps)} steps)" for r in found)
        print(
            f"\ntorus, Lambda/lambda = {1 + a:g}: contraction in 1, 2, 3 dimensions {ratios}; bound {a / (2 + a):.3f}"
        )
    rng = np.random.default_rng(1)
    half = np.unique(rng.integers(-3, 4, size=(400, 6)), axis=0)
    half = half[half[:, 0] > 0]
    c = rng.normal(size=len(half)) + 1j * rng.normal(size=len(half))
    modes, c = np.concatenate([half, -half]).astype(float), np.concatenate([c, c.conj()])
    x = 2 * np.pi * rng.random((4000, 6))
    exact, scale = (np.exp(1j * x @ modes.T) @ c).real, abs(c).sum()
    ratios = []
    for k in (10, 40, 160, 640, 2560):
        errors = [np.mean((ridge_sample(modes, c, k, rng)(x) - exact) ** 2) for _ in range(20)]
        ratios.append(f"{k * np.mean(errors) / (scale**2 / 2):.3f}")
    print(f"k mse / (C^2 / 2) for k = 10 ... 2560 ridges in 6 dimensions: {', '.join(ratios)}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, nargs="*", default=[65, 129])
    parser.add_argument("--plane", type=int, default=63)
    options = parser.parse_args()
    try:
        methods(options.plane)
        p_laplacian(options.plane)
        cluster()
        ubiquitin(options.cells)
        torus()
    except SciError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
