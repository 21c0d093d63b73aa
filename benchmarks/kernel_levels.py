"""Processor time with the kernels that a wheel brings, for each level of this processor, over kernels compiled for it.

    python benchmarks/kernel_levels.py          # in an environment with a wheel of `make wheels`, and a compiler

One thread. Each job runs in turn with native kernels and with those of a level for a quarter of a second; the ratio is
the median of n pairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sci
from sci.datasets import dataset_path
from sci.io import read_structure
from sci.kernels import prebuilt_level
from sci.nn import value_and_gradients
from sci.operators import FNO
from sci.options import CPU_LEVELS
from sci.potentials import RangeSeparatedPotential, direct_sum
from sci.problems import sphere_and_blob
from sci.sequence import lightning_attention, softmax_attention
from sci.solvers import Multigrid, PoissonOperator, cg

Job = Callable[[], object]
SECONDS = 0.25


def jobs() -> dict[str, Job]:
    """Return the main uses of kernels."""
    rng = np.random.default_rng(0)
    molecule = read_structure(dataset_path("ubiquitin"))
    phi = RangeSeparatedPotential(molecule, tol=1e-6)
    low, high = molecule.positions.min(axis=0), molecule.positions.max(axis=0)
    points = low + (high - low) * rng.random((16_384, 3))
    axes = [np.linspace(a, b, 48) for a, b in zip(low, high)]
    A = PoissonOperator(fluid := sphere_and_blob(64))
    b, M = rng.normal(size=fluid.shape) * fluid, Multigrid(A)
    model = FNO((16, 16), 1, 1, 32, seed=0)
    field = rng.normal(size=(4, 1, 64, 64)).astype(np.float32)
    q = rng.normal(size=(1, 2, 2048, 64)).astype(np.float32)
    decay = np.array([0.9, 0.99])
    return {
        "build and energy of ubiquitin": lambda: RangeSeparatedPotential(molecule, tol=1e-6).energy(),
        "16k points": lambda: phi(points),
        "48^3 grid": lambda: phi.on_grid(*axes),
        "forces": phi.forces,
        "direct sum, 4k points": lambda: direct_sum(molecule, points[:4096]),
        "multigrid 64^3": lambda: cg(A, b, M=M, rtol=1e-8),
        "FNO 64^2, inference": lambda: model(field),
        "FNO 64^2, gradient": lambda: value_and_gradients(lambda p: model.forward(p, field).sum(), model.parameters),
        "softmax attention 2k": lambda: softmax_attention(q, q, q),
        "softmax attention 2k, gradient": lambda: value_and_gradients(lambda x: softmax_attention(x, x, x)[0].sum(), q),
        "lightning attention 2k": lambda: lightning_attention(q, q, q, decay),
        "lightning attention 2k, gradient": lambda: value_and_gradients(
            lambda x: lightning_attention(x, x, x, decay)[0].sum(), q
        ),
    }


def ratio(job: Job, level: str, repeats: int) -> tuple[float, float]:
    """Return processor seconds of a call with native kernels, and the ratio of the level's to it."""
    native = {"kernels": "native", "threads": 1}
    other = {"kernels": "compiled", "cpu_level": level, "threads": 1}
    _seconds(job, 1, native), _seconds(job, 1, other)  # compiles and loads
    calls = max(1, round(SECONDS / _seconds(job, 1, native)))
    pairs = [(_seconds(job, calls, native), _seconds(job, calls, other)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs) / calls, statistics.median(b / a for a, b in pairs)


def _seconds(job: Job, calls: int, settings: dict[str, Any]) -> float:
    with sci.options(**settings):
        start = time.process_time()
        for _ in range(calls):
            job()
        return time.process_time() - start


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--repeats", type=int, default=7)
    arguments = parser.parse_args()
    best = prebuilt_level()
    if best is None:
        raise SystemExit("no compiled kernels came with this sci: install a wheel that `make wheels` built")
    levels = CPU_LEVELS[: CPU_LEVELS.index(best) + 1][::-1]
    print(f"{'processor time over native':36}{'native, s':>10}" + "".join(f"{level:>12}" for level in levels))
    for name, job in jobs().items():
        found = [ratio(job, level, arguments.repeats) for level in levels]
        print(f"{name:36}{found[0][0]:10.3f}" + "".join(f"{r:12.2f}" for _, r in found), flush=True)


if __name__ == "__main__":
    main()
