"""Solvers on jumps of the coefficient, stretched cells and narrow passages: iterations and CPU seconds beside pyamg.

    OMP_NUM_THREADS=1 python benchmarks/solver_media.py                  # the whole table
    OMP_NUM_THREADS=1 python benchmarks/solver_media.py --only ball comb --methods auto learned "pyamg SA"

Each problem has a random right-hand side and one of ones (in a closed box, ones times a smooth ramp, without its mean),
to a relative residual of 1e-8 inside conjugate gradients; the worse count of the two, and the CPU seconds of one thread
of setup and of both solves. A `*` stands where b - A x, computed in double precision, stops above 1e-8 however long one
iterates: with entries of A x of a million million, x is rounded too much. The count is then that of the last iteration
which gained.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from sci.problems import media, sphere_and_blob
from sci.solvers import CycleModel, LearnedMultigrid, Multigrid, PoissonOperator, SolveResult, cg

Make = Callable[[PoissonOperator], Any]
MAXITER = 300


def problems(n: int) -> Iterator[tuple[str, Callable[[], PoissonOperator]]]:
    """Yield names and what makes the operators, for cubes of n^3 cells."""
    box = np.ones((n, n, n), dtype=bool)
    closed = partial(PoissonOperator, boundary="neumann", neumann_body=True)
    open_end = [("dirichlet", "neumann"), "neumann", "neumann"]
    yield "sphere and blob, Dirichlet", lambda: PoissonOperator(sphere_and_blob(n))
    yield "sphere and blob, Neumann", lambda: PoissonOperator(sphere_and_blob(n), neumann_body=True)
    for contrast in (1e3, 1e6, 1e-6):
        yield (
            f"ball of {contrast:g}",
            partial(lambda c: PoissonOperator(box, coefficient=media.balls(n, 1, c)), contrast),
        )
    yield "60 balls of 1e6", lambda: PoissonOperator(box, coefficient=media.balls(n, 60, 1e6))
    yield "layers of 1e4", lambda: PoissonOperator(box, coefficient=media.layers(n, 1e4))
    yield "lognormal, sigma 5", lambda: PoissonOperator(box, coefficient=media.lognormal(n, 5.0))
    for spacing in ((1.0, 1.0, 4.0), (1.0, 1.0, 10.0), (1.0, 4.0, 16.0)):
        name = ":".join(f"{h:g}" for h in spacing)
        yield f"spacing {name}, Neumann", partial(PoissonOperator, box, spacing, "neumann")
    yield "2-D 8n^2, spacing 1:10", lambda: PoissonOperator(np.ones((8 * n, 8 * n), bool), (1.0, 10.0))
    yield (
        "2-D 8n^2, cracks of 1e4",
        lambda: PoissonOperator(np.ones((8 * n, 8 * n), bool), coefficient=media.cracks(8 * n, 1e4)),
    )
    yield "serpentine", lambda: closed(media.serpentine((3 * n // 2 + 1, 3 * n // 2 + 1, n + 1)))
    yield "comb, gap 2", lambda: closed(media.comb(n))
    yield "pinhole plates", lambda: closed(media.pinhole_plates(n))
    yield "gyroid sheet", lambda: closed(media.gyroid_sheet(n))
    yield "rock", lambda: closed(media.rock(n))
    yield "labyrinth", lambda: closed(media.labyrinth(n // 2 + 1))
    yield "labyrinth, 2 cells wide", lambda: closed(media.labyrinth(n // 4, 2))
    yield (
        "percolation .33, one open wall",
        lambda: PoissonOperator(
            np.random.default_rng(9).random(box.shape) < 0.33, boundary=open_end, neumann_body=True
        ),
    )
    yield "+ 0.1 I", lambda: PoissonOperator(box, reaction=0.1)
    yield "+ 10 I", lambda: PoissonOperator(box, reaction=10.0)
    yield "periodic, odd lengths", lambda: PoissonOperator(np.ones((n + 1,) * 3, bool), boundary="periodic")


METHODS: dict[str, Make] = {
    "auto": Multigrid,
    "averaged": lambda A: Multigrid(A, coarse="averaged"),
    "network": lambda A: Multigrid(A, coarse="network"),
    "untrained": lambda A: LearnedMultigrid(A, CycleModel.untrained()),
    "learned": LearnedMultigrid,
}


def _pyamg(name: str) -> Make:
    def make(A: PoissonOperator) -> Any:
        import pyamg

        return getattr(pyamg, name)(A.to_scipy()).aspreconditioner()

    return make


PEERS = {"pyamg SA": _pyamg("smoothed_aggregation_solver"), "pyamg RS": _pyamg("ruge_stuben_solver")}


def right_hand_sides(A: PoissonOperator) -> list[np.ndarray]:
    """Return a random and a smooth right-hand side (n,)."""
    smooth = np.ones(A.size)
    if A.singular:
        smooth = A.compress(np.broadcast_to(np.linspace(1, 2, A.grid_shape[-1]), A.grid_shape))
    return [A.project(b) for b in (np.random.default_rng(0).normal(size=A.size), smooth)]


def count(result: SolveResult) -> str:
    """Return the iterations to 1e-8, `*` where rounding ends them before, `!` where they do not end."""
    relative = result.residual_norms / result.residual_norms[0]
    if result.converged:
        return str(result.iterations)
    stalled = relative.min() < 1e-6
    return f"{int(np.argmax(relative <= 4 * relative.min()))}*" if stalled else f"{result.iterations}!"


def row(A: PoissonOperator, make: Make) -> tuple[str, float, float]:
    """Return the worse count and the CPU seconds of setup and of both solves."""
    start = time.process_time()
    M = make(A)
    setup = time.process_time() - start
    start = time.process_time()
    counts = [count(cg(A, b, M=M, rtol=1e-8, maxiter=MAXITER)) for b in right_hand_sides(A)]
    solve = time.process_time() - start
    return max(counts, key=lambda text: int(text.rstrip("*!"))), setup, solve


def main() -> None:
    """Print one line a problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--only", nargs="+", help="parts of names of problems")
    parser.add_argument("--methods", nargs="+", default=[*METHODS, *PEERS])
    a = parser.parse_args()
    methods = {name: {**METHODS, **PEERS}[name] for name in a.methods}
    warm = PoissonOperator(np.ones((16, 16, 16), bool), coefficient=media.balls(16, 1, 1e3))
    for name, make in METHODS.items():  # compiles
        if name in methods:
            row(warm, make)
    print(f"{'its, setup s + both solves s':32s}" + "".join(f"{name:>21s}" for name in methods))
    for name, build in problems(a.n):
        if a.only and not any(part in name for part in a.only):
            continue
        A, texts = build(), []
        for make in methods.values():
            try:
                its, setup, solve = row(A, make)
                texts.append(f"{its:>6s} {setup:6.3f} +{solve:6.3f}")
            except (ImportError, ArithmeticError, ValueError, RuntimeError) as error:
                texts.append(f"{str(error)[:20]:>21s}")
        print(f"{name:32s}" + "".join(f"{text:>21s}" for text in texts), flush=True)


if __name__ == "__main__":
    main()
