"""The DeepONet of examples/deeponet.py in torch: the same weights, batches and losses.

python examples/deeponet_torch.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from deeponet import BATCH, EPOCHS, PLACES, RATE, functions, start


def perceptron(layers: list[dict[str, Any]]) -> torch.nn.Sequential:
    """Return linear layers of given weights with tanh between them."""
    parts: list[torch.nn.Module] = []
    for layer in layers:
        linear = torch.nn.Linear(*layer["weight"].shape[::-1], dtype=torch.float64)
        linear.load_state_dict({name: torch.tensor(a) for name, a in layer.items()})
        parts += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*parts[:-1])


class DeepONet(torch.nn.Module):
    """Branch and trunk."""

    def __init__(self, v: dict[str, Any]) -> None:
        super().__init__()
        self.branch, self.trunk = perceptron(v["branch"]), perceptron(v["trunk"])
        self.bias = torch.nn.Parameter(torch.tensor(v["bias"]))

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """Return the image of the functions `f` at the places."""
        return self.branch(f) @ self.trunk(torch.tensor(PLACES)).T + self.bias


def fit(epochs: int = EPOCHS) -> list[float]:
    """Train on 512 functions, and return the loss of every step."""
    model, (f, integral) = DeepONet(start()), map(torch.tensor, functions(512, 1))
    optimizer, losses = torch.optim.Adam(model.parameters(), RATE), []
    for epoch in range(epochs):
        for batch in np.random.default_rng([0, epoch]).permutation(512).reshape(-1, BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(f[batch]), integral[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


if __name__ == "__main__":
    print(f"last loss {fit()[-1]:.3e}")
