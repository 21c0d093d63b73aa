"""A chain of atoms that turns about its bonds, as trajectories with and without a cell, and sets of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

BOND, ANGLE = 1.53, np.deg2rad(111.0)


def chain(torsions: np.ndarray) -> np.ndarray:
    """Return the positions (atoms, 3) of a chain with these torsion angles, radian."""
    x = [np.zeros(3), np.array([BOND, 0, 0]), np.array([BOND * (1 - np.cos(ANGLE)), BOND * np.sin(ANGLE), 0])]
    for torsion in torsions:
        along = (x[-1] - x[-2]) / BOND
        normal = np.cross(x[-2] - x[-3], along)
        normal /= np.linalg.norm(normal)
        turned = np.cos(torsion) * np.cross(normal, along) + np.sin(torsion) * normal
        x.append(x[-1] + BOND * (np.sin(ANGLE) * turned - np.cos(ANGLE) * along))
    return np.array(x)


def turns(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random rotations."""
    q = rng.normal(size=(count, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), 2 * (x * y + z * w)]
    rows += [1 - 2 * (x * x + z * z), 2 * (y * z - x * w), 2 * (x * z - y * w), 2 * (y * z + x * w)]
    return np.stack([*rows, 1 - 2 * (x * x + y * y)], axis=1).reshape(count, 3, 3)


def run_of_chain(count: int, torsions: int = 2, *, seed: int = 0, noise: float = 0.0, shift: float = 0.0) -> np.ndarray:
    """Return frames (count, atoms, 3) of a chain whose torsions are free in half a turn, turned and moved at random."""
    rng = np.random.default_rng(seed)
    shapes = np.array([chain(t) for t in shift + np.pi * (0.5 + rng.random((count, torsions)))])
    shapes += noise * rng.normal(size=shapes.shape)
    return shapes @ turns(count, rng) + 4 * rng.normal(size=(count, 1, 3))


def write_run(path: Path, frames: np.ndarray, names: str = "C", cell: float | None = None) -> Path:
    """Write frames as XYZ; in a cubic `cell`, wrapped into it atom by atom."""
    header = "" if cell is None else f'Lattice="{cell} 0 0 0 {cell} 0 0 0 {cell}" Properties=species:S:1:pos:R:3'
    if cell is not None:
        frames = frames - cell * np.floor(frames / cell)
    with open(path, "w") as file:
        for k, frame in enumerate(frames):
            rows = (f"{names[a % len(names)]} {x:.9f} {y:.9f} {z:.9f}\n" for a, (x, y, z) in enumerate(frame))
            file.write(f"{len(frame)}\n{header} step={k}\n{''.join(rows)}")
    return path
