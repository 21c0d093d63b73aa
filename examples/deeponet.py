"""A DeepONet learns to integrate: a network of the function times a network of the place, from zero to there.

python examples/deeponet.py

The same model in torch, from the same weights and with the same losses: examples/deeponet_torch.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sci import nn

PLACES = np.linspace(0, 1, 32)[:, None]
EPOCHS, BATCH, RATE = 600, 64, 5e-3


def functions(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n random sums of three cosines at the places, and their integrals from 0."""
    waves, k = np.random.default_rng(seed).normal(size=(n, 3)), np.pi / 2 * np.arange(1, 4)
    return waves @ np.cos(k[:, None] * PLACES.T), waves @ (np.sin(k[:, None] * PLACES.T) / k[:, None])


def start() -> dict[str, Any]:
    """Return layers of 32-40-40 numbers for the function and 1-40-40 for the place, and a bias."""
    rng, parameters = np.random.default_rng(0), {"bias": np.zeros(1)}
    for name, sizes in (("branch", (32, 40, 40)), ("trunk", (1, 40, 40))):
        parameters[name] = [
            {
                "weight": nn.initial_uniform(rng, (o, i), i, dtype="f8"),
                "bias": nn.initial_uniform(rng, (o,), i, dtype="f8"),
            }
            for i, o in pairwise(sizes)
        ]
    return parameters


def perceptron(layers: list[dict[str, Any]], x: Any) -> Any:
    """Return the outputs of linear layers with tanh between them."""
    for layer in layers[:-1]:
        x = nn.tanh(nn.linear(x, layer["weight"], layer["bias"]))
    return nn.linear(x, layers[-1]["weight"], layers[-1]["bias"])


def deeponet(v: dict[str, Any], f: np.ndarray) -> Any:
    """Return the image of the functions `f` at the places."""
    return perceptron(v["branch"], f) @ perceptron(v["trunk"], PLACES).T + v["bias"]


def loss(v: dict[str, Any], batch: tuple[np.ndarray, np.ndarray]) -> Any:
    """Return the mean squared error on a batch of functions and their integrals."""
    return nn.mean_squared_error(deeponet(v, batch[0]), batch[1])


def fit(epochs: int = EPOCHS) -> nn.Checkpoint:
    """Train on 512 functions."""
    return nn.train(loss, start(), functions(512, 1), optimizer=nn.Adam(RATE), epochs=epochs, batch_size=BATCH)


if __name__ == "__main__":
    done, (f, integral) = fit(), functions(200, 2)
    error = np.linalg.norm(deeponet(done.parameters, f) - integral) / np.linalg.norm(integral)
    print(f"relative error on 200 other functions: {error:.2%} after {done.step} steps")
