"""A short trajectory in extended XYZ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

N, FRAMES = 20, 9
RNG = np.random.default_rng(4)
CHARGES = np.round(RNG.normal(size=N), 3)
POSITIONS = np.round(RNG.random((1, N, 3)) * 12 + np.cumsum(RNG.normal(size=(FRAMES, N, 3)), axis=0) * 0.1, 4)
LATTICE = 'Lattice="13 0 0 1 14 0 0 0 15" '


def write_xyz(path: Path, positions: np.ndarray = POSITIONS, charges: np.ndarray = CHARGES, cell: str = "") -> Path:
    """Write frames as extended XYZ and return the path."""
    rows = []
    for k, frame in enumerate(positions):
        rows += [str(len(frame)), f"{cell}Properties=species:S:1:pos:R:3:charge:R:1 step={k}"]
        rows += [f"X {x:.4f} {y:.4f} {z:.4f} {q:.3f}" for (x, y, z), q in zip(frame, charges)]
    path.write_text("\n".join(rows) + "\n")
    return path
