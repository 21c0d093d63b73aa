"""The U-Net of examples/unet.py in torch: the same weights, batches and losses.

python examples/unet_torch.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional
from unet import BATCH, EPOCHS, RATE, disks, start


class UNet(torch.nn.Module):
    """Four convolutions of given weights."""

    def __init__(self, v: dict[str, Any]) -> None:
        super().__init__()
        for name, layer in v.items():
            outputs, inputs = layer["weight"].shape[:2]
            stride = 2 if name == "coarse" else 1
            conv = torch.nn.Conv2d(inputs, outputs, 3, stride, padding=1, dtype=torch.float64)
            conv.load_state_dict({key: torch.tensor(a) for key, a in layer.items()})
            setattr(self, name, conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of background and disk."""
        fine = torch.relu(self.fine(x))
        coarse = torch.relu(self.coarse(fine))
        both = torch.cat([functional.interpolate(coarse, scale_factor=2), fine], dim=1)
        return self.head(torch.relu(self.up(both)))


def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return Dice and cross-entropy."""
    p, hot = torch.softmax(logits, 1), functional.one_hot(labels, 2).movedim(-1, 1)
    dice = (2 * (p * hot).sum((2, 3)) + 1e-5) / (p.sum((2, 3)) + hot.sum((2, 3)) + 1e-5)
    return functional.cross_entropy(logits, labels) + 1 - dice.mean()


def fit(epochs: int = EPOCHS) -> list[float]:
    """Train on 64 images, and return the loss of every step."""
    model, (x, labels) = UNet(start()), map(torch.tensor, disks(64, 1))
    optimizer, losses = torch.optim.Adam(model.parameters(), RATE), []
    for epoch in range(epochs):
        for batch in np.random.default_rng([0, epoch]).permutation(64).reshape(-1, BATCH):
            optimizer.zero_grad()
            value = loss(model(x[batch]), labels[batch])
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return losses


if __name__ == "__main__":
    print(f"last loss {fit()[-1]:.3e}")
