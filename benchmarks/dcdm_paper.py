"""The deep conjugate direction method of Kaneda et al. (ICML 2023) beside classical solvers and ours, on smoke.

    OMP_NUM_THREADS=1 python benchmarks/dcdm_paper.py --train dcdm.h5 --minutes 25   # train, then compare
    OMP_NUM_THREADS=1 python benchmarks/dcdm_paper.py --train dcdm.h5 --minutes 10   # train ten minutes more
    OMP_NUM_THREADS=1 python benchmarks/dcdm_paper.py --model dcdm.h5 --resolution 32 64

The network is the published one for 64^3 (97,457 parameters). It is trained as in the paper: for the box without bodies
alone, on random mixtures of the Ritz vectors of a Lanczos run with the lower ones weighted 9 times, by the residual
after a line search, with Adam. Ours differ: 600 Ritz vectors (10,000 there), batches of 4 at a rate of 3e-4 (10 at
1e-4), and CPU minutes where they trained on a GPU. Checkpoints stand beside the model, and training goes on from them.

Two scenes: a plume of smoke that rises in a box, and one that meets a ball (theirs: a bunny). Right-hand sides are
divergences of the flow at `--frames` times. Walls and bodies let nothing through, the top is open. Each method solves
to 1e-4 and to 1e-8; iterations are the most of all frames, CPU seconds the mean. Residuals are recomputed with the
assembled matrix. The tables of the paper were not at hand, so that no count of it is quoted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sci.applications import SmokePlume, ball
from sci.io import load, save
from sci.linalg import lanczos, ritz_vectors
from sci.nn import Checkpoint
from sci.solvers import (
    CycleModel,
    DeepConjugateDirection,
    Deflation,
    IncompleteCholesky,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    RitzSamples,
    SolveResult,
    cg,
    lowest_eigenvectors,
    subdomain_vectors,
)

SCENES = ("plume", "ball")
TIME = 2.5
"""Of the last frame, in the unit of the plume: the smoke has passed the ball."""
TOLERANCES = (1e-4, 1e-8)

Solve = Callable[..., SolveResult]
Make = Callable[[PoissonOperator], Solve]


def scene(name: str, n: int) -> SmokePlume:
    """Return the smoke in a box of n^3 cells before the first step."""
    shape = (n, n, n)
    body = ball(shape, (0.5, 0.5, 0.6), 0.17) if name == "ball" else np.zeros(shape, dtype=bool)
    return SmokePlume(shape, body, ball(shape, (0.5, 0.5, 0.1), 0.09), spacing=1 / n)


def right_hand_sides(plume: SmokePlume, frames: int) -> list[np.ndarray]:
    """Return the divergences at evenly spaced times of a run."""
    n = plume.shape[0]
    steps = max(frames, round(TIME * n / 2.56))
    chosen = np.linspace(steps / frames, steps, frames).round().astype(int) - 1
    found = [frame.source for frame in plume.run(TIME / steps, steps)]
    return [found[k] for k in chosen]


def conjugate(M: Callable[[PoissonOperator], Any]) -> Make:
    """Return what makes a solve by conjugate gradients with a preconditioner."""

    def make(A: PoissonOperator) -> Solve:
        preconditioner = M(A)
        return lambda b, rtol: cg(A, b, M=preconditioner, rtol=rtol)

    return make


def directions(network: DeepConjugateDirection, k: int, maxiter: int) -> Make:
    """Return what makes a solve along the directions of a network."""
    return lambda A: lambda b, rtol: network.solve(A, b, k=k, rtol=rtol, maxiter=maxiter)


def methods(network: DeepConjugateDirection | None, maxiter: int) -> dict[str, Make]:
    """Return what makes the solver of each row."""
    rows: dict[str, Make] = {
        "CG": conjugate(lambda A: None),
        "IC(0)-PCG": conjugate(IncompleteCholesky),
        "MIC(0)-PCG": conjugate(lambda A: IncompleteCholesky(A, modified=0.97)),
    }
    rows["deflated CG, 16 eigenvectors"] = conjugate(lambda A: Deflation(A, lowest_eigenvectors(A, 16)[1]))
    rows["deflated CG, 16 boxes"] = conjugate(lambda A: Deflation(A, subdomain_vectors(A, (2, 2, 4))))
    if network is not None:
        rows["DCDM, paper's network"] = directions(network, 2, maxiter)
        rows["DCDM, no orthogonalization"] = directions(network, 0, maxiter)
        rows["DCDM, 20 directions kept"] = directions(network, 20, maxiter)
        rows["DCDM, untrained"] = directions(DeepConjugateDirection(network.size), 2, maxiter)
    rows["multigrid V(2,2)"] = conjugate(Multigrid)
    rows["our cycle, untrained"] = conjugate(lambda A: LearnedMultigrid(A, CycleModel.untrained()))
    rows["our cycle, learned"] = conjugate(LearnedMultigrid)
    return rows


@dataclass
class Row:
    """What one method took on one scene, a list entry for each tolerance.

    Parameters
    ----------
    setup : float
        CPU seconds.
    iterations : list of int
        The most of all frames.
    seconds : list of float
        CPU seconds of a solve, the mean over frames.
    residuals : list of float
        The largest relative residual, by the assembled matrix.
    """

    setup: float
    iterations: list[int]
    seconds: list[float]
    residuals: list[float]

    def __str__(self) -> str:
        reached = [r <= 1.01 * t for r, t in zip(self.residuals, TOLERANCES)]
        its = "/".join(f"{n}" if ok else f"{n}!" for n, ok in zip(self.iterations, reached))
        worst = "" if all(reached) else f"  ! ends at {max(self.residuals):.0e}"
        return f"{self.setup:9.3f}{its:>12s}{self.seconds[0]:10.3f}{self.seconds[1]:9.3f}{worst}"


def measured(make: Make, A: PoissonOperator, matrix: Any, sources: list[np.ndarray]) -> Row:
    """Run a method on all right-hand sides, to both tolerances."""
    start = time.process_time()
    solve = make(A)
    row = Row(time.process_time() - start, [], [], [])
    for rtol in TOLERANCES:
        results, seconds, residuals = [], [], []
        for b in sources:
            start = time.process_time()
            results.append(solve(b, rtol=rtol))
            seconds.append(time.process_time() - start)
            rest = A.compress(b) - matrix @ A.compress(results[-1].x)
            residuals.append(float(np.linalg.norm(rest) / np.linalg.norm(b)))
        row.iterations.append(max(r.iterations for r in results))
        row.seconds.append(float(np.mean(seconds)))
        row.residuals.append(max(residuals))
    return row


def compare(name: str, n: int, rows: dict[str, Make], frames: int) -> dict[str, Row]:
    """Print the table of a scene."""
    plume = scene(name, n)
    sources = right_hand_sides(plume, frames)
    A, matrix = plume.A, plume.A.to_scipy()
    print(f"\n{name}, {n}^3 cells, {A.size:,} unknowns, {frames} frames: iterations and CPU seconds to 1e-4 / 1e-8")
    print(f"{'method':30s}{'setup s':>9s}{'iterations':>12s}{'s 1e-4':>10s}{'s 1e-8':>9s}")
    found: dict[str, Row] = {}
    for method, make in rows.items():
        measured(make, A, matrix, sources[:1]) if n <= 32 and "DCDM" not in method else None  # compiles, warms up
        found[method] = measured(make, A, matrix, sources)
        print(f"{method:30s}{found[method]}", flush=True)
    return found


class Spent(Exception):
    """The CPU minutes of the training are over."""


def train(
    path: Path, n: int, epochs: int, samples: int, vectors: int, minutes: float, rate: float
) -> DeepConjugateDirection:
    """Train the network, from the checkpoint if there is one; stop after so many CPU minutes."""
    kept = path.with_suffix(".checkpoint.h5")
    resume = load(kept) if kept.exists() else None
    start, box = time.process_time(), scene("plume", n).A
    _, ritz = ritz_vectors(*lanczos(box.matvec, box.size, min(vectors, box.size)))
    basis = time.process_time() - start
    data = RitzSamples(ritz.astype(np.float32), samples)
    last: list[Checkpoint] = []

    def keep(checkpoint: Checkpoint) -> None:
        last[:] = [checkpoint]
        save(kept, checkpoint, overwrite=True)
        save(path, DeepConjugateDirection(64, checkpoint.parameters), overwrite=True)
        spent = (time.process_time() - start) / 60
        losses = checkpoint.losses[-100:]
        print(f"step {checkpoint.step}: loss {losses.mean():.4f}, {spent:.1f} CPU minutes of this run", flush=True)
        if spent >= minutes:
            raise Spent

    network = DeepConjugateDirection(64)
    try:
        options = {"epochs": epochs, "batch_size": 4, "learning_rate": rate, "save": keep, "save_every": 50}
        network.train(box, data, resume=resume, **options)
    except Spent:
        pass
    print(f"{len(ritz)} Ritz vectors took {basis:.0f} CPU s; {last[-1].step * 4:,} samples so far; {path} and {kept}")
    return load(path)


def main() -> None:
    """Train or load the network, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, nargs="*", default=[32], help="cells along each axis of the scenes")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--frames", type=int, default=3, help="right-hand sides of each scene")
    parser.add_argument("--model", type=Path, help="a network that was trained")
    parser.add_argument("--train", type=Path, metavar="FILE.h5", help="train a network, or go on with its training")
    parser.add_argument("--box", type=int, default=32, help="cells along each axis of the box of the training")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the samples from the start of the training")
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--vectors", type=int, default=600, help="steps of Lanczos' iteration")
    parser.add_argument("--rate", type=float, default=3e-4, help="of Adam")
    parser.add_argument("--minutes", type=float, default=25.0, help="CPU minutes of the training")
    parser.add_argument("--maxiter", type=int, default=300, help="most iterations of a solve with a network")
    a = parser.parse_args()
    network = load(a.model) if a.model else None
    if a.train:
        network = train(a.train, a.box, a.epochs, a.samples, a.vectors, a.minutes, a.rate)
    rows = methods(network, a.maxiter)
    for n in a.resolution:
        for name in a.scenes:
            compare(name, n, rows, a.frames)


if __name__ == "__main__":
    main()
