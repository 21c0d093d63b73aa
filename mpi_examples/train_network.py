"""Train a small network to solve -u'' + 400 u^3 = f, data parallel, and compare with the training of one process.

mpirun -n 2 python mpi_examples/train_network.py [EPOCHS] [PICTURE.png]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from mpi4py import MPI

from sci import nn
from sci.distributed import job, launched
from sci.plotting import plot_prediction

POINTS, TRAINING, TEST, WIDTH = 63, 512, 64, 96


def solve(sources: np.ndarray) -> np.ndarray:
    """Return u for sources (n, POINTS) by Newton's method on second differences, u = 0 at both ends."""
    laplacian = (2 * np.eye(POINTS) - np.eye(POINTS, k=1) - np.eye(POINTS, k=-1)) * (POINTS + 1) ** 2
    u = np.linalg.solve(laplacian, sources.T).T
    for _ in range(20):
        residual = u @ laplacian + 400 * u**3 - sources
        jacobian = laplacian + 1200 * u[:, None, :] ** 2 * np.eye(POINTS)
        u -= np.linalg.solve(jacobian, residual[..., None])[..., 0]
    return u


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Return sources and solutions (n, 1, POINTS), sources being sums of six sines."""
    rng = np.random.default_rng(0)
    x = np.arange(1, POINTS + 1) / (POINTS + 1)
    waves = np.sin(np.pi * np.outer(np.arange(1, 7), x))
    sources = 20 * rng.normal(size=(TRAINING + TEST, 6)) @ waves
    return sources[:, None].astype("f4"), solve(sources)[:, None].astype("f4")


def start() -> dict[str, np.ndarray]:
    """Return the first parameters, the same on all ranks."""
    rng, sizes = np.random.default_rng(1), (POINTS, WIDTH, WIDTH, POINTS)
    shapes = list(zip(sizes[1:], sizes[:-1]))
    weights = {f"w{k}": nn.initial_uniform(rng, shape, shape[1]) for k, shape in enumerate(shapes)}
    return weights | {f"b{k}": np.zeros(shape[0], "f4") for k, shape in enumerate(shapes)}


def network(v: dict[str, Any], x: Any) -> Any:
    """Return the prediction for encoded sources; with plain arrays in, plain arrays come out."""
    for k in range(3):
        x = nn.linear(x, v[f"w{k}"], v[f"b{k}"])
        if k < 2:
            x = nn.gelu(x)
    return x


def loss(v: dict[str, Any], batch: tuple[np.ndarray, np.ndarray]) -> Any:
    """Return the mean relative L2 error."""
    return nn.relative_l2(network(v, batch[0]), target=batch[1])


comm = launched(MPI.COMM_WORLD)
with job(comm):
    f, u = samples()
    source, solution = nn.Standardizer.fit(f[:TRAINING]), nn.Standardizer.fit(u[:TRAINING])
    data = source.encode(f[:TRAINING]), solution.encode(u[:TRAINING])
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    settings: dict[str, Any] = {
        "optimizer": nn.AdamW(3e-3, weight_decay=1e-4),
        "schedule": nn.cosine(epochs),
        "epochs": epochs,
        "batch_size": 32,
    }
    done = nn.train(loss, start(), data, **settings, comm=comm)
    serial = nn.train(loss, start(), data, **settings | {"epochs": 2}, title="one process")
    first = done.losses[: len(serial.losses)]
    difference = float(np.abs(first / serial.losses - 1).max())
    guess = solution.decode(network(done.parameters, source.encode(f[TRAINING:])))
    error = float(nn.relative_l2(guess, target=u[TRAINING:]))
    assert difference < 2e-3, f"losses differ from those of one process by {difference}"
    assert epochs < 40 or error < 0.05, error
    if comm.rank == 0:
        print(f"PASS error {error:.2%} on new sources; losses on {comm.size} ranks as on one to {difference:.0e}")
        if len(sys.argv) > 2:
            plot_prediction(
                u[TRAINING:][:2, 0], guess[:2, 0], sys.argv[2], labels=("f", "u"), title="-u'' + 400 u³ = f"
            )
