"""A U-Net in the plane finds disks in noise: two levels of convolutions, a skip between them, a class for each cell.

python examples/unet.py

The same network in torch, from the same weights and with the same losses: examples/unet_torch.py. The whole family,
with residual stages, norms, and one to three axes, is `nn.UNet`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sci import nn

CHANNELS = {"fine": (1, 8), "coarse": (8, 16), "up": (24, 8), "head": (8, 2)}
EPOCHS, BATCH, RATE = 30, 8, 1e-2


def disks(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n noisy images (n, 1, 32, 32) of two disks each, and where the disks are."""
    rng, (x, y) = np.random.default_rng(seed), np.mgrid[:32, :32]
    centers, radii = rng.uniform(4, 28, (n, 2, 2)), rng.uniform(3, 7, (n, 2))
    near = (x - centers[..., :1, None]) ** 2 + (y - centers[..., 1:, None]) ** 2 < radii[..., None, None] ** 2
    inside = near.any(axis=1)
    return inside[:, None] + rng.normal(size=(n, 1, 32, 32)), inside.astype(int)


def start() -> dict[str, Any]:
    """Return weights (outputs, inputs, 3, 3) and biases of the four convolutions."""
    rng = np.random.default_rng(0)
    return {
        name: {"weight": nn.initial_uniform(rng, (o, i, 3, 3), 9 * i, dtype="f8"), "bias": np.zeros(o)}
        for name, (i, o) in CHANNELS.items()
    }


def unet(v: dict[str, Any], x: Any) -> Any:
    """Return the logits (n, 2, 32, 32) of background and disk."""
    fine = nn.relu(nn.convolve(x, v["fine"]["weight"], v["fine"]["bias"]))
    coarse = nn.relu(nn.convolve(fine, v["coarse"]["weight"], v["coarse"]["bias"], stride=2, padding=1))
    both = nn.concatenate(nn.resample(coarse, factor=2), fine, axis=1)
    return nn.convolve(
        nn.relu(nn.convolve(both, v["up"]["weight"], v["up"]["bias"])), v["head"]["weight"], v["head"]["bias"]
    )


def loss(v: dict[str, Any], batch: tuple[np.ndarray, np.ndarray]) -> Any:
    """Return Dice and cross-entropy on a batch of images and labels."""
    return nn.dice_cross_entropy(unet(v, batch[0]), batch[1])


def fit(epochs: int = EPOCHS) -> nn.Checkpoint:
    """Train on 64 images."""
    return nn.train(loss, start(), disks(64, 1), optimizer=nn.Adam(RATE), epochs=epochs, batch_size=BATCH)


if __name__ == "__main__":
    done, (x, labels) = fit(), disks(64, 2)
    scores = nn.dice_scores(np.asarray(unet(done.parameters, x)).argmax(axis=1), labels, 2)
    print(f"Dice of the disks in 64 other images: {scores[1]:.3f} after {done.step} steps; of a threshold, ", end="")
    print(f"{nn.dice_scores((x[:, 0] > 0.5).astype(int), labels, 2)[1]:.3f}")
