"""Sums over two periods written out (Parry's), and over the images of screened charges one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import erf, erfc


def plane_ewald(
    rows: np.ndarray, positions: np.ndarray, charges: np.ndarray, points: np.ndarray, alpha: float
) -> np.ndarray:
    """Return the potential of charges that repeat with two periods (2, 3), at points; at a charge, of all others.

    The term G = 0 is that of planes of charge, -2 pi |z| / A, smeared out by the split; no dipole correction occurs.
    """
    area = np.linalg.norm(np.cross(*rows))
    normal = np.cross(*rows) / area
    d = points[:, None] - positions
    z = d @ normal
    found = -(2 * math.sqrt(math.pi) / area) * (
        np.exp(-((alpha * z) ** 2)) / alpha + math.sqrt(math.pi) * z * erf(alpha * z)
    )
    steps = int(7 / alpha / (area / np.linalg.norm(rows, axis=1).max())) + 3
    for n in itertools.product(range(-steps, steps + 1), repeat=2):
        r = np.linalg.norm(d + np.array(n) @ rows, axis=2)
        itself = r < 1e-9
        r = np.where(itself, 1.0, r)
        found += np.where(itself, -2 * alpha / math.sqrt(math.pi), erfc(alpha * r) / r)
    reciprocal = 2 * math.pi * np.cross(np.roll(rows, -1, axis=0) * [[1], [-1]], normal) / area
    assert np.allclose(reciprocal @ rows.T, 2 * math.pi * np.eye(2))
    orders = int(14 * alpha * np.linalg.norm(rows, axis=1).max() / (2 * math.pi)) + 3
    for n in itertools.product(range(-orders, orders + 1), repeat=2):
        wave = np.array(n) @ reciprocal
        size = np.linalg.norm(wave)
        if 0 < size < 13 * alpha:
            up, down = (np.exp(s * size * z) * erfc(s * alpha * z + size / (2 * alpha)) for s in (1, -1))
            found += math.pi / area * np.cos(d @ wave) / size * (up + down)
    return np.asarray(found @ charges)


def screened_images(
    cell: np.ndarray, positions: np.ndarray, charges: np.ndarray, points: np.ndarray, kappa: float, periods: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Return potential and gradient of all images of screened charges, summed until exp(-kappa r) is 1e-13."""
    reach = 30 / kappa
    inverse = np.linalg.inv(cell)
    shells = (np.ceil(reach * np.linalg.norm(inverse, axis=0)) + 1).astype(int)
    shells[periods:] = 0
    potential, gradient = np.zeros(len(points)), np.zeros((len(points), 3))
    for n in itertools.product(*(range(-s, s + 1) for s in shells)):
        d = points[:, None] - positions - np.array(n) @ cell
        r = np.linalg.norm(d, axis=2)
        itself = r < 1e-9
        r = np.where(itself, 1.0, r)
        value = np.where(itself, 0.0, np.exp(-kappa * r) / r) * charges
        potential += value.sum(axis=1)
        gradient -= ((value * (1 / r + kappa) / r)[:, :, None] * d).sum(axis=1)
    return potential, gradient
