"""Systems of charges that several tests share."""

from __future__ import annotations

import numpy as np

from sci.potentials import Particles


def cloud(n: int, size: tuple[float, float, float] = (20.0, 14.0, 9.0), seed: int = 0) -> Particles:
    """n charges of both signs, uniform in a box."""
    rng = np.random.default_rng(seed)
    return Particles(rng.random((n, 3)) * size, rng.normal(size=n))


def targets_in(particles: Particles, n: int, seed: int = 1, near: float = 0.1) -> np.ndarray:
    """n points in the box of the particles, a share of them uniform in the ball of 0.5 angstrom around one."""
    rng = np.random.default_rng(seed)
    low, high = particles.positions.min(axis=0), particles.positions.max(axis=0)
    points = low + rng.random((n, 3)) * (high - low)
    close = int(near * n)
    steps = rng.normal(size=(close, 3))
    steps *= 0.5 * rng.random((close, 1)) ** (1 / 3) / np.linalg.norm(steps, axis=1, keepdims=True)
    points[:close] = particles.positions[rng.integers(particles.n, size=close)] + steps
    return points


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    """Relative L2 error."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
