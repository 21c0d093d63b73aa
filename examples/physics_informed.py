"""A network solves Burgers' equation u_t + u u_x = nu u_xx without data: its loss is the residual.

python examples/physics_informed.py

u is -sin(pi x) at t = 0 and 0 at x = -1 and 1, which the form of the network holds exactly. The error is that against
the solution by Cole and Hopf. The same in torch: examples/physics_informed_torch.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sci import nn

NU, STEPS, RATE = 0.05, 2000, 3e-3
X, T = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def points() -> np.ndarray:
    """Return 1000 points (x, t) in [-1, 1] x [0, 1]."""
    return np.random.default_rng(0).uniform([-1, 0], [1, 1], size=(1000, 2))


def start() -> list[dict[str, np.ndarray]]:
    """Return layers of 2-24-24-24-1 numbers."""
    rng, sizes = np.random.default_rng(1), (2, 24, 24, 24, 1)
    return [
        {"weight": nn.initial_uniform(rng, (o, i), i, dtype="f8"), "bias": nn.initial_uniform(rng, (o,), i, dtype="f8")}
        for i, o in pairwise(sizes)
    ]


def solution(layers: list[dict[str, Any]], p: Any) -> Any:
    """Return u at points, right at t = 0 and at both ends for any weights."""
    x, t, h = p[:, :1], p[:, 1:], p
    for layer in layers[:-1]:
        h = nn.tanh(nn.linear(h, layer["weight"], layer["bias"]))
    return t * (1.0 - x * x) * nn.linear(h, layers[-1]["weight"], layers[-1]["bias"]) - nn.sin(np.pi * x)


def loss(layers: list[dict[str, Any]], batch: tuple[np.ndarray]) -> Any:
    """Return the mean squared residual of the equation."""
    u, u_x, u_xx = nn.directional_derivatives(lambda p: solution(layers, p), batch[0], X, order=2)
    u_t = nn.directional_derivatives(lambda p: solution(layers, p), batch[0], T)[1]
    return nn.mean((u_t + u * u_x - NU * u_xx) ** 2)


def fit(steps: int = STEPS) -> nn.Checkpoint:
    """Train on all points in every step."""
    return nn.train(
        *(loss, start(), (points(),)), optimizer=nn.Adam(RATE), epochs=steps, batch_size=1000, shuffle=False
    )


def exact(x: np.ndarray, t: float) -> np.ndarray:
    """Return the solution by Cole and Hopf, a ratio of integrals over the heat kernel."""
    z, weights = np.polynomial.hermite.hermgauss(100)
    y = x[:, None] - 2 * np.sqrt(NU * t) * z
    potential = weights * np.exp(-np.cos(np.pi * y) / (2 * np.pi * NU) + 1 / (2 * np.pi * NU) - 6)
    return -(np.sin(np.pi * y) * potential).sum(axis=1) / potential.sum(axis=1)


if __name__ == "__main__":
    done, x = fit(), np.linspace(-1, 1, 201)
    for t in (0.25, 0.5, 1.0):
        u = solution(done.parameters, np.stack([x, np.full_like(x, t)], axis=1))[:, 0]
        print(f"t = {t:4.2f}: largest error {abs(u - exact(x, t)).max():.2e}, largest |u| {abs(u).max():.2f}")
