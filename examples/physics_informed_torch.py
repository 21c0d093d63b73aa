"""The physics-informed network of examples/physics_informed.py in torch: the same weights, points and losses.

python examples/physics_informed_torch.py
"""

from __future__ import annotations

import math

import torch
from physics_informed import NU, RATE, STEPS, points, start


def network() -> torch.nn.Sequential:
    """Return the layers of the same weights with tanh between them."""
    parts: list[torch.nn.Module] = []
    for layer in start():
        linear = torch.nn.Linear(*layer["weight"].shape[::-1], dtype=torch.float64)
        linear.load_state_dict({name: torch.tensor(a) for name, a in layer.items()})
        parts += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*parts[:-1])


def solution(model: torch.nn.Module, p: torch.Tensor) -> torch.Tensor:
    """Return u at points, right at t = 0 and at both ends for any weights."""
    x, t = p[:, :1], p[:, 1:]
    return t * (1.0 - x * x) * model(p) - torch.sin(math.pi * x)


def residual(model: torch.nn.Module, p: torch.Tensor) -> torch.Tensor:
    """Return u_t + u u_x - nu u_xx."""
    u = solution(model, p)
    (first,) = torch.autograd.grad(u.sum(), p, create_graph=True)
    (second,) = torch.autograd.grad(first[:, 0].sum(), p, create_graph=True)
    return first[:, 1:] + u * first[:, :1] - NU * second[:, :1]


def fit(steps: int = STEPS) -> list[float]:
    """Train on all points in every step, and return the losses."""
    model, p = network(), torch.tensor(points(), requires_grad=True)
    optimizer, losses = torch.optim.Adam(model.parameters(), RATE), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (residual(model, p) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    print(f"last loss {fit()[-1]:.3e}")
