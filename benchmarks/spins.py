"""Spins, marginalization models and associative memories beside exact answers, theory, and NumPy.

    OMP_NUM_THREADS=1 python benchmarks/spins.py                     # three minutes of CPU
    OMP_NUM_THREADS=1 python benchmarks/spins.py --only exact sweeps memories
    OMP_NUM_THREADS=1 python benchmarks/spins.py --only marginals --steps 5000

CPU seconds of this process on one thread. Errors are in standard errors where they are followed by "se".
"""

from __future__ import annotations

import argparse
import importlib
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import sci
from sci.generative import (
    DenseAssociativeMemory,
    IsingModel,
    MarginalModel,
    PottsModel,
    enumerate_states,
    fit_energy,
    fit_likelihood,
    importance_log_z,
    kaufman_log_z,
    log_weight,
    marginal_errors,
    onsager,
    replica_symmetric,
    retrieve,
    sample_spins,
    thermodynamic_integration,
    transfer_matrix,
)
from sci.generative.spins.sweeps import Checkerboard


def seconds(run: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Return the CPU seconds of a run, and its result."""
    start = time.process_time()
    for _ in range(repeats):
        found = run()
    return (time.process_time() - start) / repeats, found


def exact() -> None:
    """Print exact answers beside each other."""
    print("## Exact sums")
    for model in (IsingModel((3, 3), 0.3, 0.1), IsingModel((4, 4), -0.4, 0.2), PottsModel((3, 3), 3, 0.5, 0.1)):
        gap = abs(transfer_matrix(model).log_z / enumerate_states(model).log_z - 1)
        print(f"{model!r}: transfer matrix beside all states, relative difference of log Z {gap:.0e}")
    took, found = seconds(lambda: transfer_matrix(IsingModel((10, 10), 0.2, 0.2)))
    print(f"10 x 10, J = 0.2, h = 0.2: log Z {found.log_z:.4f} (78.6881 published), {took:.2f} s")
    gap = kaufman_log_z(10, 10, 0.2) - transfer_matrix(IsingModel((10, 10), 0.2)).log_z
    print(f"10 x 10, J = 0.2, h = 0: Kaufman less the transfer matrix {gap:.0e}")
    gap = kaufman_log_z(256, 256, 0.42) / 256**2 - onsager(0.42).log_z
    print(f"256 x 256, J = 0.42: log Z for a site less Onsager's {gap:.0e}")


def numpy_sweep(spins: np.ndarray, model: IsingModel, rng: np.random.Generator) -> None:
    """Change spins in place by a heat-bath sweep as one writes it in NumPy: masks of a checkerboard and rolls."""
    axes = range(spins.ndim)
    odd = np.indices(spins.shape).sum(axis=0) % 2
    for color in (0, 1):
        total = sum(np.roll(spins, turn, axis) for axis in axes for turn in (1, -1))
        up = 1 / (1 + np.exp(-2 * (model.coupling * total + model.field)))
        new = np.where(rng.random(spins.shape) < up, 1, -1).astype(np.int8)
        spins[odd == color] = new[odd == color]


def _numpy_sweeps(spins: np.ndarray, model: IsingModel, rng: np.random.Generator) -> None:
    for replica in spins:
        numpy_sweep(replica, model, rng)


def _sweep(board: Checkerboard, colors: Any, levels: Any, kernels: str) -> float:
    """Return the CPU seconds of a sweep by the kernel or its reference."""
    with sci.options(kernels=kernels):
        sweep = partial(board.sweep, colors, levels, 1, first=0, seed=0)
        sweep()
        return seconds(sweep, 20 if kernels == "compiled" else 1)[0]


def sweeps() -> None:
    """Print the time of a sweep beside NumPy's, and means beside exact ones."""
    print("## Sweeps")
    rng = np.random.default_rng(0)
    for shape, replicas in (((1024, 1024), 1), ((64, 64), 64), ((10, 10), 256), ((96, 96, 96), 1)):
        model = IsingModel(shape, 0.3, 0.1)
        board = Checkerboard.of(model, replicas)
        spins = rng.choice([-1, 1], size=(replicas, *shape)).astype(np.int8)
        colors, levels = board.pack(spins), board.thresholds(np.ones(replicas), "heat_bath")
        took = {kernels: _sweep(board, colors, levels, kernels) for kernels in ("compiled", "reference")}
        numpy = seconds(partial(_numpy_sweeps, spins, model, rng))[0]
        each = 1e9 / spins.size
        print(
            f"{replicas} of {' x '.join(map(str, shape))}: {took['compiled'] * each:.2f} ns a spin; "
            f"NumPy {numpy / took['compiled']:.0f} times, reference {took['reference'] / took['compiled']:.0f} times"
        )
    print("limit: about 60 integer operations a spin, a quarter of 10 rounds of Philox among them; 4 bytes, from cache")
    model = IsingModel((10, 10), 0.2, 0.2)
    answer = transfer_matrix(model)
    for method in ("heat_bath", "metropolis", "swendsen_wang"):
        took, chains = seconds(partial(sample_spins, model, replicas=64, sweeps=500, method=method))
        energy, field = chains.energy(), chains.magnetization()
        off = (energy.value - answer.energy) / energy.error, (field.value - answer.magnetization) / field.error
        print(f"{method}: energy {off[0]:+.1f} se, magnetization {off[1]:+.1f} se, tau {energy.tau:.2f}, {took:.2f} s")


def free_energies(steps: int) -> None:
    """Print log Z of lattices by three ways beside the transfer matrix."""
    print("## Free energies: log Z")
    for lattice in (IsingModel((4, 4), 0.3, 0.1), IsingModel((10, 10), 0.2, 0.2)):
        answer = transfer_matrix(lattice).log_z
        took, found = seconds(partial(thermodynamic_integration, lattice, replicas=64, sweeps=500))
        print(f"{lattice!r}: transfer matrix {answer:.4f}")
        print(f"  thermodynamic integration {found!r}: {(found.value - answer) / found.error:+.1f} se, {took:.1f} s")
        f, n = log_weight(lattice), lattice.n_sites
        start = MarginalModel(n, 2, hidden=128)
        took, (model, _) = seconds(partial(fit_energy, start, f, steps=steps // 2, explore=0.2, learning_rate=4e-3))
        spent, drawn = seconds(partial(importance_log_z, model, f, samples=8192))
        print(f"  marginals: log Z of the network {model.log_z:.4f} ({model.log_z - answer:+.4f}), {took:.1f} s")
        print(f"  its samples {drawn!r}: {(drawn.log_z - answer) / drawn.error:+.1f} se, {spent:.1f} s")


def marginals(steps: int) -> None:
    """Print errors of all 3^9 log-marginals of a 3 x 3 lattice."""
    print("## Marginals of all 3^9 partial configurations, 3 x 3, J = 0.3, h = 0.1")
    f = log_weight(IsingModel((3, 3), 0.3, 0.1))
    start = MarginalModel(9, 2, hidden=128)
    took, (model, _) = seconds(lambda: fit_energy(start, f, steps=steps, explore=0.7, learning_rate=4e-3))
    print(f"{steps} steps, {took:.0f} s: {marginal_errors(model, f)!r}")
    print("to reach: mean 0.05 in 60 s, KL 0.001; a run for comparison of 2,000 steps of width 256: 0.037, KL 4.3e-05")
    rng = np.random.default_rng(0)
    x, known = rng.integers(0, 2, (1000, 9)), rng.random((1000, 9)) < 0.5
    total = np.exp(model.log_conditionals(x, known)).sum(axis=2)
    print(f"sums of conditionals less 1: {np.abs(total - 1).max():.0e} in float32")


def digits() -> None:
    """Print likelihoods of binary digits beside independent bits."""
    print("## Binary digits, 8 x 8: nats for an image, on held-out images")
    try:
        loaded = importlib.import_module("sklearn.datasets").load_digits()
    except ImportError:
        print("# scikit-learn is not installed: pip install scikit-learn")
        return
    order = np.random.default_rng(0).permutation(len(loaded.data))
    bits, labels = (loaded.data > 7.5).astype(np.int64)[order], loaded.target[order]
    digit_memories(bits, labels)
    data, held = bits[:1400], bits[1400:]
    p = (data.sum(axis=0) + 1) / (len(data) + 2)
    independent = -(held * np.log(p) + (1 - held) * np.log(1 - p)).sum(axis=1).mean()
    start = MarginalModel(64, 2, hidden=192)
    took, (model, history) = seconds(
        lambda: fit_likelihood(start, data, epochs=60, batch=100, weight_decay=0.1, validation=held, patience=15)
    )
    nll = -float(model.log_likelihood(held, order=np.random.default_rng(1).permutation(64).tolist()).mean())
    one_pass = -float(model.log_marginal(held).mean())
    print(
        f"independent bits {independent:.2f}; in a random order {nll:.2f}, one pass of marginals {one_pass:.2f}; "
        f"{len(history.metrics['nll'])} epochs, {took:.0f} s"
    )


def digit_memories(bits: np.ndarray, labels: np.ndarray) -> None:
    """Print the overlap with archetypes of digits, the signs of class means, by the number of examples learned."""
    signs, rng = 2 * bits - 1, np.random.default_rng(0)
    classes = [signs[labels == c] for c in range(10)]
    archetypes = np.array([np.where(c.mean(axis=0) < 0, -1, 1) for c in classes])
    for order in (2, 4):
        found = []
        for count in (1, 2, 5, 10, 20, 50, 100):
            shown = np.array([c[rng.permutation(len(c))[:count]] for c in classes])
            memory = DenseAssociativeMemory.from_examples(shown, order)
            own = [
                retrieve(memory, a, math.inf, targets=a[None], sweeps=2, warm_up=10).magnetization().value
                for a in archetypes
            ]
            found.append(f"{count}: {np.mean(own):.2f}")
        print(f"memories of digits, P = {order}, T = 0: overlap with the archetype by examples {', '.join(found)}")


def memories() -> None:
    """Print retrieval beside theory, and one-step errors."""
    print("## Memories: overlap at beta = 3, N = 3,000, K = 3, r = 0.5; mean over data sets")
    for order, examples in ((2, 4), (2, 12), (4, 12)):
        found, took, n, sets = [], 0.0, 3000, 8
        for seed in range(sets):
            rng = np.random.default_rng(seed)
            archetypes = rng.choice([-1, 1], size=(3, n))
            shown = archetypes[:, None] * np.where(rng.random((3, examples, n)) < 0.75, 1, -1)
            memory = DenseAssociativeMemory.from_examples(shown, order, quality=0.5)
            spent, run = seconds(
                partial(retrieve, memory, archetypes[0], 3.0, targets=archetypes, replicas=16, sweeps=30)
            )
            found.append(run.magnetization().value)
            took += spent
        options = {"quality": 0.5, "examples": examples}
        exactly, gauss = (
            replica_symmetric(order, 3.0, **options, distribution=d).magnetization for d in ("binomial", "gaussian")
        )
        each = took / (sets * 16 * 40 * n * 3) * 1e9
        kept = [m for m in found if m > 0.5]
        error = np.std(kept) / math.sqrt(len(kept))
        print(
            f"P = {order}, M = {examples}: Monte Carlo {np.mean(kept):.4f} +- {error:.4f} "
            f"({len(kept)} of {sets} data sets retrieve), binomial {exactly:.4f}, Gaussian {gauss:.4f}; "
            f"{each:.1f} ns for a spin and pattern"
        )
    with sci.options(kernels="reference"):
        spent = seconds(lambda: retrieve(memory, archetypes[0], 3.0, replicas=16, sweeps=2, warm_up=0))[0]
    print(f"the reference in NumPy: {spent / (2 * 16 * n * 3) * 1e9 / each:.0f} times")
    for n, load, repeats in ((40, 0.05, 60), (40, 0.1, 40), (60, 0.05, 25)):
        count, wrong, naive = int(load * n**3), [], []
        for seed in range(repeats):
            x = np.random.default_rng(seed).choice([-1, 1], size=(count, n))
            wrong.append((DenseAssociativeMemory(x, 4).fields(x[0]) * x[0] <= 0).mean())
            naive.append(((x * ((x @ x[0])[:, None] - x * x[0]) ** 3).sum(axis=0) * x[0] <= 0).mean())
        theory = 0.5 * math.erfc(math.sqrt(math.comb(n - 1, 3) / (2 * count)))
        error = np.std(wrong) / math.sqrt(repeats)
        print(
            f"P = 4, N = {n}, K = {load} N^3: error of one step {np.mean(wrong):.4f} +- {error:.4f}, "
            f"theory {theory:.4f}; with powers of overlaps {np.mean(naive):.4f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"exact": exact, "sweeps": sweeps, "memories": memories, "marginals": marginals, "digits": digits}
    parts["free_energies"] = free_energies
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--steps", type=int, default=5000, help="of a training of marginals (default: 5000)")
    given = parser.parse_args()
    for name in given.only:
        parts[name](given.steps) if name in ("marginals", "free_energies") else parts[name]()
