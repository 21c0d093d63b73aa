"""Seeded spins for the kernels of lattices and memories, run as the compiled kernel and as its reference."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

import sci
from sci.backend import to_device, to_host
from sci.generative import (
    DenseAssociativeMemory,
    IsingModel,
    MarginalModel,
    fit_energy,
    fit_likelihood,
    log_weight,
    retrieve,
    sample_spins,
)
from sci.generative.spins.retrieval import _Chains
from sci.generative.spins.sweeps import Checkerboard
from sci.kernels import block_size

BLOCK = block_size(np.empty(0))
Pair = tuple[np.ndarray, np.ndarray]
SHAPES = {
    0: [(2,), (6,), (34,), (4200,), (4096,)],
    2: [(2, 2), (10, 10), (6, 2200), (12, 96)],
    4: [(2, 2, 2), (4, 6, 10), (2, 2, 1200)],
}
"""Grids by the number of neighbors beside a row: fewer and more sites than a quarter of a row, and than a tile."""


def _update_color(rng: np.random.Generator, beside: int) -> Iterator[Pair]:
    for shape in SHAPES[beside]:
        for replicas in (1, 3):
            board = Checkerboard.of(IsingModel(shape, 0.3, 0.1), replicas)
            colors = board.pack(rng.choice([-1, 1], size=(replicas, *shape)).astype(np.int8))
            levels = board.thresholds(np.linspace(0.5, 1.5, replicas), "metropolis")
            found = []
            for kernels in ("compiled", "reference"):
                own = (colors[0].copy(), colors[1].copy())
                with sci.options(kernels=kernels):
                    for number in range(2):
                        board.sweep(own, levels, number, first=5, seed=2**40 + 3)
                found.append(board.unpack(own).astype(float))
            yield found[0], found[1]


def _memory_sweep(rng: np.random.Generator, order: int) -> Iterator[Pair]:
    for patterns, n, chains in (
        (1, 7, 1),
        (2, 6, BLOCK),
        (3, 30, BLOCK - 1),
        (4, 9, BLOCK + 1),
        (5, 41, 2 * BLOCK + 3),
    ):
        memory = DenseAssociativeMemory.from_examples(rng.choice([-1, 1], size=(patterns, 3, n)), order)
        spins = rng.choice([-1, 1], size=(n, chains)).astype(np.int8)
        found = []
        for kernels in ("compiled", "reference"):
            chain = _Chains(memory, spins.copy(), 1.5, 3, 2**40 + 3)
            with sci.options(kernels=kernels):
                for number in range(2):
                    chain.sweep(number)
            found.append(chain.spins.astype(float))
        yield found[0], found[1]


CASES = {"update_color": _update_color, "memory_sweep": _memory_sweep}


def spins_memories_and_marginals(xp: ModuleType) -> list[np.ndarray]:
    """Chains of lattices, fields and retrieval of memories, samples and trainings of marginals, on a namespace."""
    device = "cpu" if xp is np else "cuda"
    rng = np.random.default_rng(0)
    answers = []
    for shape in ((6,), (4, 6), (2, 4, 2)):
        chains = sample_spins(IsingModel(shape, 0.3, 0.1), [0.5, 1.0], replicas=2, sweeps=3, device=device)
        answers += [chains.energies, chains.fields, chains.states.astype(float)]
    patterns, spins = rng.choice([-1, 1], size=(3, 11)), rng.choice([-1, 1], size=(2, 11))
    memory = DenseAssociativeMemory(to_device(patterns, xp), 4)
    s = to_device(spins, xp)
    answers += [to_host(a) for a in (memory.fields(s), memory.energy(s), memory.overlaps(s))]
    found = retrieve(memory, s, 2.0, replicas=2, sweeps=2, warm_up=1)
    answers += [found.overlaps, found.spins.astype(float)]
    model = MarginalModel(4, 2, hidden=8, layers=1, dtype=np.float64, device=device)
    model, history = fit_energy(model, log_weight(IsingModel((2, 2), 0.3)), steps=3, batch=4, block=2)
    x, logs = model.draw(5, order=[2, 0, 3, 1], seed=1)
    answers += [to_host(a).astype(float) for a in (x, logs, model.log_marginal(x, x > 0), history.losses)]
    model, history = fit_likelihood(model, x, epochs=1, batch=2)
    return [*answers, history.losses, to_host(model.log_likelihood(x))]
