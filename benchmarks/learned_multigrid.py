"""Learned multigrid beside multigrid and itself untrained: iterations, and CPU seconds of one thread.

    OMP_NUM_THREADS=1 python benchmarks/learned_multigrid.py [--only times hard random network] [--sizes 32 64 128]
        [--masks 20] [--hard 64] [--repeats 3] [--models MODEL.h5 ...] [--plot FILE.png]

Every solve goes to a relative residual of 1e-8 inside conjugate gradients in double precision; the residual is computed
again with the assembled matrix at the end. `its` counts iterations to 1e-4 / 1e-8. Seconds are the smallest of
`--repeats` less one, all methods in turn in one run; `setup` is what depends on the mask alone. The untrained cycle is
the same code with the same precision, linear transfer and Chebyshev-like weights. --models adds models of
`sci solve train`, trained from other seeds for example.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sci.io import load
from sci.linalg import lanczos, ritz_vectors
from sci.problems import neumann_part, random_bodies, right_hand_side, sphere_and_blob, stress_masks
from sci.solvers import (
    CycleModel,
    DeepConjugateDirection,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    SolveResult,
    cg,
    conjugate_directions,
    ritz_right_hand_sides,
)

TRAINING_SECONDS = 482.0
"""CPU seconds of `sci solve train -o model.h5 --sizes 32 64`, one thread, on the machine of the documented numbers."""

Make = Callable[[PoissonOperator], Any]


def methods(models: list[Path]) -> dict[str, Make]:
    """Return what makes each preconditioner, by name."""
    untrained = CycleModel.untrained()
    rows: dict[str, Make] = {
        "multigrid V(2,2)": Multigrid,
        "multigrid rediscretized": lambda A: Multigrid(A, coarse="rediscretized"),
        "cycle untrained": lambda A: LearnedMultigrid(A, untrained),
        "cycle learned": LearnedMultigrid,
    }
    for path in models:
        rows[f"cycle {path.stem}"] = partial(LearnedMultigrid, model=load(path))
    return rows


def to_tolerance(result: SolveResult, rtol: float) -> int:
    """Return the iterations to a relative residual."""
    return int(np.argmax(result.residual_norms <= rtol * result.residual_norms[0]))


def checked(A: PoissonOperator, b: np.ndarray, M: Any) -> SolveResult:
    """Solve to 1e-8 and check the residual with the assembled matrix."""
    result = cg(A, b, M=M, rtol=1e-8, maxiter=200)
    if A.size < 3e5:
        rest = b[A.mask] - A.to_scipy() @ result.x[A.mask]
        if np.linalg.norm(rest) > 1.01e-8 * np.linalg.norm(b):
            raise SystemExit(f"a residual of {np.linalg.norm(rest) / np.linalg.norm(b):.2e}")
    return result


def seconds(sizes: list[int], rows: dict[str, Make], repeats: int) -> dict[str, list[tuple[int, int]]]:
    """Print times at each size; return the iterations for the picture."""
    counts: dict[str, list[tuple[int, int]]] = {}
    for n in sizes:
        mask = sphere_and_blob(n)
        b = right_hand_side(mask, "noise")
        start = time.process_time()
        A = PoissonOperator(mask)
        print(f"\n{n}^3, sphere and blob, {A.size:,} unknowns; operator {time.process_time() - start:.3f} s")
        best: dict[str, list[float]] = {}
        held: dict[str, float] = {}
        for _ in range(repeats):
            for name, make in rows.items():
                clean = PoissonOperator(mask)  # no cycle is kept from before
                t0 = time.process_time()
                M = make(clean)
                t1 = time.process_time()
                result = checked(clean, b, M) if name not in best else cg(clean, b, M=M, rtol=1e-8)
                t2 = time.process_time()
                old = best.get(name, [np.inf, np.inf, 0, 0])
                fine = (to_tolerance(result, 1e-4), to_tolerance(result, 1e-8))
                solve = t2 - t1 if name in best else np.inf
                best[name] = [min(old[0], t1 - t0), min(old[1], solve), *fine]
                held[name] = M.nbytes / clean.size
        base = best["multigrid V(2,2)"]
        for name, (setup, solve, four, eight) in best.items():
            one = (setup + solve) / (base[0] + base[1])
            many = (setup + 8 * solve) / (base[0] + 8 * base[1])
            counts.setdefault(name, []).append((n, int(eight)))
            print(
                f"{name:26} setup {setup:7.4f}  solve {solve:7.3f} s  its {int(four)}/{int(eight)}  "
                f"of multigrid: {one:.2f} for one right-hand side, {many:.2f} for eight; holds {held[name]:.1f} bytes "
                "an unknown"
            )
        gain = base[0] + base[1] - sum(best["cycle learned"][:2])
        if gain > 0:
            print(f"training of {TRAINING_SECONDS:.0f} s is repaid after {TRAINING_SECONDS / gain:,.0f} solves")
    return counts


def stress(n: int, rows: dict[str, Make]) -> None:
    """Print the iterations on hard masks."""
    for body in (False, True):
        print(f"\nhard masks at {n}^3, {'Neumann' if body else 'Dirichlet'} bodies, noise, its to 1e-4/1e-8")
        for name, mask in {**stress_masks(n), "sphere and blob": sphere_and_blob(n)}.items():
            A = PoissonOperator(mask, neumann_body=body)
            b = A.project(right_hand_side(mask, "noise"))
            found = {key: checked(A, b, make(A)) for key, make in rows.items()}
            cells = "  ".join(f"{key}: {to_tolerance(r, 1e-4)}/{to_tolerance(r, 1e-8)}" for key, r in found.items())
            print(f"{name:18} {cells}", flush=True)


def unseen(n: int, count: int, rows: dict[str, Make]) -> None:
    """Print mean and largest iterations over random masks, Dirichlet and mixed, and where learned ones are behind."""
    rng = np.random.default_rng(77)
    found: dict[tuple[str, str], list[int]] = {}
    for k in range(count):
        mask = random_bodies(n, rng)
        neumann_body = neumann_part(mask, rng)
        b = right_hand_side(mask, "noise" if k % 2 or mask.all() else "div", seed=k)
        for kind, body in (("Dirichlet", False), ("mixed", neumann_body)):
            A = PoissonOperator(mask, neumann_body=body)
            for name, make in rows.items():
                found.setdefault((kind, name), []).append(checked(A, A.project(b), make(A)).iterations)
    print(f"\n{count} random masks at {n}^3, its to 1e-8: mean (largest)")
    for kind in ("Dirichlet", "mixed"):
        cells = [f"{name}: {np.mean(v):.1f} ({max(v)})" for (k, name), v in found.items() if k == kind]
        print(f"{kind:10} " + "  ".join(cells), flush=True)
        for trained in list(rows)[2:]:
            learned = np.array(found[kind, trained])
            behind = {name: int((learned > np.array(found[kind, name])).sum()) for name in list(rows)[:2]}
            print(f"{'':10} {trained}: {learned.tolist()}; masks on which it takes more than {behind}", flush=True)


def published_network(n: int = 8, samples: int = 600) -> None:
    """Train the published 64-network on Ritz vectors of a small box; print its iterations to 1e-4."""
    box = PoissonOperator(np.ones((n,) * 3, dtype=bool))
    _, vectors = ritz_vectors(*lanczos(box.matvec, box.size, min(400, box.size)))
    start, network = time.process_time(), DeepConjugateDirection(64)
    data = ritz_right_hand_sides(vectors, samples)
    trained, history = network.train(box, data, learning_rate=1e-3)
    print(
        f"\nDeepConjugateDirection(64) at {n}^3: {samples} samples, {time.process_time() - start:.0f} s of training, ",
        end="",
    )
    print(
        f"loss {history.losses[:5].mean():.2f} to {history.losses[-10:].mean():.3f}; iterations to 1e-4, at most 120:"
    )
    for name, mask in (("box", box.mask), ("bodies", random_bodies(n, np.random.default_rng(3)))):
        A, b = PoissonOperator(mask), np.random.default_rng(5).normal(size=mask.shape) * mask
        sources = {"trained": trained, "untrained": network, "the residual (CG)": lambda r: r}
        found = {k: conjugate_directions(A, b, d, rtol=1e-4, maxiter=120).iterations for k, d in sources.items()}
        print(f"{name:8}" + "  ".join(f"{k}: {v}" for k, v in found.items()))


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--only", nargs="+", choices=("times", "hard", "random", "network"), metavar="PART")
    parser.add_argument("--masks", type=int, default=20, help="random masks at each size")
    parser.add_argument("--hard", type=int, default=64, help="size of the hard masks")
    parser.add_argument("--repeats", type=int, default=3, help="timings of each method; the first warms up")
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    parser.add_argument("--plot", type=Path)
    a = parser.parse_args()
    parts = a.only or ("times", "hard", "random")
    hard = methods(a.models)
    rows = {name: make for name, make in hard.items() if name != "multigrid rediscretized"}
    if "times" in parts:
        counts = seconds(a.sizes, rows, a.repeats)
        if a.plot:
            from sci.plotting import plot_iterations

            plot_iterations(counts, a.plot, title="Iterations to 1e-8, sphere and blob")
    if "hard" in parts:
        stress(a.hard, hard)
    for n in a.sizes if "random" in parts else ():
        unseen(n, a.masks, rows)
    if "network" in parts:
        published_network()


if __name__ == "__main__":
    main()
