"""Media that are hard for solvers: jumps of the coefficient, narrow passages, mazes."""

from __future__ import annotations

import numpy as np

__all__ = [
    "balls",
    "comb",
    "cracks",
    "gyroid_sheet",
    "labyrinth",
    "layers",
    "lognormal",
    "pinhole_plates",
    "rock",
    "serpentine",
]

Cells = np.ndarray


def _centers(shape: tuple[int, ...]) -> list[np.ndarray]:
    return list(np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij", sparse=True))


def balls(n: int, count: int, contrast: float, seed: int = 3) -> Cells:
    """Return a coefficient of 1 with balls of another one in a cube of n^3 cells.

    Parameters
    ----------
    n : int
    count : int
        One ball of radius 0.3 near the middle, or many of radii from 0.03 to 0.1 at random places.
    contrast : float
        Coefficient in the balls.
    seed : int

    Returns
    -------
    (n, n, n) float64 array
    """
    x = _centers((n, n, n))
    rng, inside = np.random.default_rng(seed), np.zeros((n, n, n), dtype=bool)
    for _ in range(count):
        center, radius = ((0.5, 0.45, 0.55), 0.3) if count == 1 else (rng.random(3), 0.03 + 0.07 * rng.random())
        inside |= sum((a - c) ** 2 for a, c in zip(x, center)) < radius**2
    return np.where(inside, contrast, 1.0)


def layers(n: int, contrast: float, thickness: int = 5) -> Cells:
    """Return a coefficient (n, n, n) that alternates between 1 and `contrast` every `thickness` cells."""
    return np.where((np.arange(n) // thickness) % 2, contrast, 1.0)[:, None, None] * np.ones((n, n, n))


def lognormal(n: int, sigma: float, length: float = 2.0, seed: int = 5) -> Cells:
    """Return a coefficient (n, n, n), exp(sigma g), g a Gaussian field smooth over `length` cells, of unit variance."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=(n, n, n)), length, mode="wrap")
    return np.asarray(np.exp(sigma * field / field.std()))


def cracks(n: int, contrast: float, count: int = 40, seed: int = 6) -> Cells:
    """Return a coefficient (n, n) of 1 with straight cracks of `contrast`, one or two cells wide."""
    rng, c = np.random.default_rng(seed), np.ones((n, n))
    for _ in range(count):
        (i, j), length, width = rng.integers(0, n, 2), int(rng.integers(n // 16, n // 3)), int(rng.integers(1, 3))
        extent = (width, length) if rng.random() < 0.5 else (length, width)
        c[i : i + extent[0], j : j + extent[1]] = contrast
    return c


def serpentine(shape: tuple[int, int, int] = (97, 97, 65), pitch: int = 8) -> Cells:
    """Return a mask of one long duct: plates every `pitch` cells, each open at the other end than the one before."""
    fluid = np.ones(shape, dtype=bool)
    for k, i in enumerate(range(pitch, shape[0], pitch)):
        fluid[i] = False
        fluid[i, slice(0, pitch // 2) if k % 2 else slice(-(pitch // 2), None)] = True
    return fluid


def comb(n: int, gap: int = 2) -> Cells:
    """Return a mask (n, n, n) of thin plates with gaps of `gap` cells, which all open to one side."""
    fluid = np.ones((n, n, n), dtype=bool)
    fluid[np.arange(n) % (gap + 1) == gap, : n - n // 8] = False
    return fluid


def pinhole_plates(n: int, pitch: int = 8, seed: int = 7) -> Cells:
    """Return a mask (n, n, n) of plates one cell thick, each with one open cell at a random place."""
    rng, fluid = np.random.default_rng(seed), np.ones((n, n, n), dtype=bool)
    for i in range(pitch, n, pitch):
        fluid[i] = False
        fluid[i, rng.integers(n), rng.integers(n)] = True
    return fluid


def gyroid_sheet(n: int, width: float = 0.25, periods: int = 2) -> Cells:
    """Return a mask (n, n, n) of the cells near the gyroid's surface: a thin curved sheet."""
    x, y, z = (2 * np.pi * periods * a for a in _centers((n, n, n)))
    return np.asarray(abs(np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)) < width)


def labyrinth(n: int, width: int = 1, seed: int = 8) -> Cells:
    """Return a mask of a maze without loops, passages of `width` cells with walls of the same width between.

    Parameters
    ----------
    n : int
        Rooms along each axis.
    width : int
    seed : int

    Returns
    -------
    (width (2 n - 1),) * 3 bool array
    """
    rng, cells = np.random.default_rng(seed), np.zeros((2 * n - 1,) * 3, dtype=bool)
    seen, path = np.zeros((n,) * 3, dtype=bool), [(0, 0, 0)]
    seen[0, 0, 0] = cells[0, 0, 0] = True
    steps = [tuple(s * (a == axis) for a in range(3)) for axis in range(3) for s in (-1, 1)]
    while path:
        here = path[-1]
        found = [tuple(h + s for h, s in zip(here, step)) for step in steps]
        found = [p for p in found if min(p) >= 0 and max(p) < n and not seen[p]]
        if not found:
            path.pop()
            continue
        there = found[rng.integers(len(found))]
        seen[there] = cells[tuple(2 * t for t in there)] = True
        cells[tuple(h + t for h, t in zip(here, there))] = True
        path.append(there)  # type: ignore[arg-type]
    return np.kron(cells, np.ones((width,) * 3, dtype=bool)) if width > 1 else cells


def rock(n: int, porosity: float = 0.35, knots: float = 2.5, seed: int = 5) -> Cells:
    """Return a mask (n, n, n) of connected pores of random shape, smooth over `knots` cells."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=(n, n, n)), knots)
    return np.asarray(field < np.quantile(field, porosity))
