"""Bytes of an iteration and the share of the memory's speed that each stage reaches, beside a triad in the same run.

    OMP_NUM_THREADS=1 python benchmarks/memory_speed.py            # 128^3
    OMP_NUM_THREADS=1 python benchmarks/memory_speed.py 128 256

The triad is y += a x in double precision on vectors of 256 MB (BLAS): 24 bytes an entry. Bytes of a stage are those
that it has to move, as `docs/explanation/poisson_solvers.md` counts them; arrays that stay in a cache between stages
count as well. CPU seconds of one thread, the least of five. `rest` is what an iteration takes beside the stages named.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.problems import media, right_hand_side, sphere_and_blob
from sci.solvers import LearnedMultigrid, Multigrid, PoissonOperator, cg

Stage = tuple[str, float, Callable[[], object]]


def least(run: Callable[[], object], times: int = 5) -> float:
    """Return the least CPU seconds of a call."""
    found = []
    for _ in range(times):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def triad() -> float:
    """Return the bytes a second of y += a x."""
    from scipy.linalg.blas import daxpy

    x, y = np.ones(2**25), np.ones(2**25)
    return 24 * x.size / least(lambda: daxpy(x, y, a=0.5))


def table(name: str, stages: list[Stage], iteration: float, bytes_all: float, n: int, speed: float) -> None:
    """Print the stages of one method; bytes are those of an unknown."""
    known = 0.0
    for stage, n_bytes, run in stages:
        seconds = least(run)
        known += seconds
        share = n_bytes * n / seconds / speed
        print(f"  {name:18s}{stage:34s}{n_bytes:8.1f}{1e9 * seconds / n:9.2f}{share:9.2f}")
    print(f"  {name:18s}{'rest':34s}{'':8s}{1e9 * (iteration - known) / n:9.2f}")
    share = bytes_all * n / iteration / speed
    print(f"  {name:18s}{'iteration':34s}{bytes_all:8.1f}{1e9 * iteration / n:9.2f}{share:9.2f}", flush=True)


def seconds_of_an_iteration(A: PoissonOperator, b: np.ndarray, M: object) -> float:
    """Return the CPU seconds of an iteration, from solves of 4 and of 8."""
    few, many = (least(lambda k=k: cg(A, b, M=M, rtol=0.0, maxiter=k), 3) for k in (4, 8))  # type: ignore[misc]
    return (many - few) / 4


def main() -> None:
    """Print one table a size."""
    speed = triad()
    print(f"triad: {speed / 1e9:.1f} GB/s")
    for size in [int(a) for a in sys.argv[1:]] or [128]:
        mask = sphere_and_blob(size)
        A, b = PoissonOperator(mask), right_hand_side(mask, "noise")
        n = size**3
        print(f"{size}^3{'':40s}{'bytes':>8s}{'ns':>9s}{'of triad':>9s}   an unknown")
        M = Multigrid(A)
        with M.workspace() as cycle:
            top = cycle._levels[0]  # type: ignore[attr-defined]
            stages: list[Stage] = [("V(2,2) down", 7, top.descend), ("V(2,2) up", 11.5, top.ascend)]
            # The coarse levels have a seventh of the unknowns, and three links in float32 more.
            table("multigrid", stages, seconds_of_an_iteration(A, b, M), 18.5 + 32 / 7 + 29, n, speed)
        L = LearnedMultigrid(A)
        with L.workspace() as cycle:
            top = cycle._levels[0]  # type: ignore[attr-defined]
            stages = [("cycle up", 17, top.ascend)]
            table("learned", stages, seconds_of_an_iteration(A, b, L), 33 + 33 / 4 + 18, n, speed)
        B = PoissonOperator(np.ones_like(mask), coefficient=media.balls(size, 1, 1e3))
        N = Multigrid(B, coarse="network")
        with N.workspace() as cycle:
            before, after = cycle._stages[0].before, cycle._stages[0].after  # type: ignore[attr-defined]
            hierarchy: Any = N.hierarchy
            entries = len(hierarchy.top.restriction.columns) / n
            smooth = [*before[:4], *after[1:]]

            def sweeps(calls: Any = smooth) -> None:
                for call in calls:
                    call()

            stages = [
                ("8 half sweeps", 9 + 7 * 16 + 7 * 12, sweeps),
                ("residual", 12 + 4 + 12, before[5]),
                ("restriction", 8 * entries + 4, before[6]),
                ("interpolation", 8 * entries + 24, after[0]),
            ]
            links = sum(8 * len(level.links.columns) for level in hierarchy.levels[:-1]) / n
            total = sum(stage[1] for stage in stages) + 9 * links + 29 + 12
            table("network, a ball", stages, seconds_of_an_iteration(B, np.ones(B.grid_shape), N), total, n, speed)


if __name__ == "__main__":
    main()
