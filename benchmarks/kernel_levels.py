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
from sci.fields import TriPlane, parallel_rays
from sci.io import read_structure
from sci.kernels import prebuilt_level
from sci.linalg import BuresWasserstein, PackedPoints, log_sum_exp, nearest, polar, symmetric_eigen, symmetric_function
from sci.nn import AdamW, UNet, UNetConfig, value_and_gradients
from sci.operators import FNO
from sci.options import CPU_LEVELS
from sci.potentials import RangeSeparatedPotential, Yukawa, direct_sum
from sci.problems import sphere_and_blob
from sci.sequence import lightning_attention, softmax_attention
from sci.solvers import IncompleteCholesky, LearnedMultigrid, Multigrid, PoissonOperator, cg
from sci.tensor import ChebTuck

Job = Callable[[], object]
SECONDS = 0.25


def potentials() -> dict[str, Job]:
    """Return uses of `particles/`."""
    rng = np.random.default_rng(0)
    molecule = read_structure(dataset_path("ubiquitin"))
    phi, pair = RangeSeparatedPotential(molecule, tol=1e-6), Yukawa(0.1)
    screened = RangeSeparatedPotential(molecule, tol=1e-6, kernel=pair)
    low, high = molecule.positions.min(axis=0), molecule.positions.max(axis=0)
    points = low + (high - low) * rng.random((16_384, 3))
    axes = [np.linspace(a, b, 48) for a, b in zip(low, high)]
    smooth = ChebTuck.from_values(rng.normal(size=(16, 16, 16)), [(-1.0, 1.0)] * 3)
    inside = rng.uniform(-1, 1, size=(20_000, 3))
    return {
        "build and energy of ubiquitin": lambda: RangeSeparatedPotential(molecule, tol=1e-6).energy(),
        "16k points": lambda: phi(points),
        "16k points, screened": lambda: screened(points),
        "48^3 grid": lambda: phi.on_grid(*axes),
        "forces": phi.forces,
        "direct sum, 4k points": lambda: direct_sum(molecule, points[:4096]),
        "Chebyshev-Tucker, 20k points": lambda: smooth(inside),
    }


def grids() -> dict[str, Job]:
    """Return uses of `grid/`."""
    rng = np.random.default_rng(0)
    fluid = sphere_and_blob(64)
    A, b = PoissonOperator(fluid), rng.normal(size=fluid.shape) * fluid
    uneven = PoissonOperator(fluid, coefficient=np.exp(0.3 * rng.normal(size=fluid.shape)))
    M, N, learned, factors = Multigrid(A), Multigrid(uneven), LearnedMultigrid(A), IncompleteCholesky(A)
    field = TriPlane(32, features=16, hidden=32, seed=0)
    rays = parallel_rays(np.arange(8) * np.pi / 8, (16, 16), field.box, steps=64)
    return {
        "multigrid 64^3": lambda: cg(A, b, M=M, rtol=1e-8),
        "multigrid 64^3, coefficient": lambda: cg(uneven, b, M=N, rtol=1e-8),
        "learned cycle 64^3": lambda: learned.solve(b, rtol=1e-8),
        "incomplete Cholesky 64^3": lambda: cg(A, b, M=factors, rtol=1e-4),
        "conjugate gradients 64^3": lambda: cg(A, b, rtol=0.0, maxiter=20),
        "rays": lambda: field.integrals(rays),
        "rays, gradient": lambda: value_and_gradients(lambda p: field.integrals(rays, p).sum(), field.parameters),
    }


def networks() -> dict[str, Job]:
    """Return uses of `nn/` and `attention/`."""
    rng = np.random.default_rng(0)
    model = FNO((16, 16), 1, 1, 32, seed=0)
    field = rng.normal(size=(4, 1, 64, 64)).astype(np.float32)
    q = rng.normal(size=(1, 2, 2048, 64)).astype(np.float32)
    decay = np.array([0.9, 0.99])
    unets = {norm: UNet(UNetConfig(2, 1, 4, (16, 32), norm=norm)) for norm in ("instance", "evonorm_s0")}
    labels = rng.integers(0, 4, size=(4, 64, 64))
    optimizer, weights = AdamW(1e-3), {"w": rng.normal(size=500_000).astype(np.float32)}
    state = optimizer.start(weights)
    found = {
        "FNO 64^2, inference": lambda: model(field),
        "FNO 64^2, gradient": lambda: value_and_gradients(lambda p: model.forward(p, field).sum(), model.parameters),
        "AdamW": lambda: optimizer.update(weights, weights, state, 1, 1e-3),
        "softmax attention 2k": lambda: softmax_attention(q, q, q),
        "softmax attention 2k, gradient": lambda: value_and_gradients(lambda x: softmax_attention(x, x, x)[0].sum(), q),
        "lightning attention 2k": lambda: lightning_attention(q, q, q, decay),
        "lightning attention 2k, gradient": lambda: value_and_gradients(
            lambda x: lightning_attention(x, x, x, decay)[0].sum(), q
        ),
    }
    for norm, unet in unets.items():
        found[f"U-Net 64^2, {norm}, gradient"] = lambda net=unet: value_and_gradients(  # type: ignore[misc]
            lambda p: net.loss()(p, (field, labels)), net.parameters
        )
    return found


def matrices() -> dict[str, Job]:
    """Return uses of `linalg/`."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, 24)) for n in (4000, 500))
    packed, half = PackedPoints(x), rng.normal(size=500)
    root = rng.normal(size=(4000, 8, 11))
    spd, triples = root @ root.swapaxes(1, 2), root[:, :3] @ root[:, :3].swapaxes(1, 2)
    return {
        "nearest of 500": lambda: nearest(packed, y),
        "log-sum-exp of 500": lambda: log_sum_exp(packed, y, half, 1.0),
        "8 x 8 square roots": lambda: symmetric_function(spd, "sqrt"),
        "8 x 8 eigenvalues": lambda: symmetric_eigen(spd),
        "8 x 8 polar factors": lambda: polar(spd),
        "3 x 3 barycenters": lambda: BuresWasserstein().barycenter(triples.reshape(200, 20, 3, 3)),
    }


def jobs() -> dict[str, Job]:
    """Return uses of every source of kernels; what they hold is made with the kernels of now."""
    return {**potentials(), **grids(), **networks(), **matrices()}


def ratio(native: Job, other: Job, level: str, repeats: int) -> tuple[float, float]:
    """Return processor seconds of a call with native kernels, and the ratio of the level's to it."""
    own, its = _settings(None), _settings(level)
    _seconds(native, 1, own), _seconds(other, 1, its)  # compiles and loads
    calls = max(1, round(SECONDS / _seconds(native, 1, own)))
    pairs = [(_seconds(native, calls, own), _seconds(other, calls, its)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs) / calls, statistics.median(b / a for a, b in pairs)


def _settings(level: str | None) -> dict[str, Any]:
    """Return options for the kernels of a level, or for those that this processor compiles."""
    return {"threads": 1, "kernels": "compiled", "cpu_level": level} if level else {"threads": 1, "kernels": "native"}


def _seconds(job: Job, calls: int, settings: dict[str, Any]) -> float:
    with sci.options(**settings):
        start = time.process_time()
        for _ in range(calls):
            job()
        return time.process_time() - start


def _made(level: str | None) -> dict[str, Job]:
    """Return the jobs with the kernels of a level: solvers keep the calls that they bound."""
    with sci.options(**_settings(level)):
        return jobs()


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--repeats", type=int, default=7)
    parser.add_argument("--only", default="", help="jobs whose name has this text")
    arguments = parser.parse_args()
    best = prebuilt_level()
    if best is None:
        raise SystemExit("no compiled kernels came with this sci: install a wheel that `make wheels` built")
    levels = CPU_LEVELS[: CPU_LEVELS.index(best) + 1][::-1]
    print(f"{'processor time over native':36}{'native, s':>10}" + "".join(f"{level:>12}" for level in levels))
    native, others = _made(None), {level: _made(level) for level in levels}
    for name, job in native.items():
        if arguments.only not in name:
            continue
        found = [ratio(job, others[level][name], level, arguments.repeats) for level in levels]
        print(f"{name:36}{found[0][0]:10.3f}" + "".join(f"{r:12.2f}" for _, r in found), flush=True)


if __name__ == "__main__":
    main()
