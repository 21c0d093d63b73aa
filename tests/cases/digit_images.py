"""Images of digits, 8 x 8, made from ten glyphs by random strokes, shears, places and sensor noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform

GLYPHS = (
    ("01110", "10001", "10001", "10001", "10001", "10001", "01110"),
    ("00100", "01100", "00100", "00100", "00100", "00100", "01110"),
    ("01110", "10001", "00001", "00110", "01000", "10000", "11111"),
    ("01110", "10001", "00001", "00110", "00001", "10001", "01110"),
    ("00010", "00110", "01010", "10010", "11111", "00010", "00010"),
    ("11111", "10000", "11110", "00001", "00001", "10001", "01110"),
    ("00110", "01000", "10000", "11110", "10001", "10001", "01110"),
    ("11111", "00001", "00010", "00100", "00100", "01000", "01000"),
    ("01110", "10001", "10001", "01110", "10001", "10001", "01110"),
    ("01110", "10001", "10001", "01111", "00001", "00010", "01100"),
)


def digit_images(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return n images (n, 64), centered, of range 1, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = np.empty((n, 8, 8))
    for image, label in zip(images, labels):
        glyph = np.array([[int(c) for c in row] for row in GLYPHS[label]], float)
        shear = np.eye(2) + rng.normal(size=(2, 2)) * [[0.06, 0.04], [0.12, 0.06]]
        place = np.array([3.0, 2.0]) - shear @ (np.array([3.5, 3.5]) + 0.3 * rng.normal(size=2))
        strength = np.exp(0.2 * rng.normal())
        image[...] = strength * affine_transform(glyph, shear, place, output_shape=(8, 8), order=1)
        image += 0.08 * rng.normal(size=(8, 8))
    images = images.clip(0, 1).reshape(n, 64)
    return images - images.mean(axis=0), labels
