"""Small configurations and potentials of atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration

CELL = np.array([[5.0, 0.0, 0.0], [1.0, 5.5, 0.0], [0.3, -0.7, 4.8]])
"""Triclinic, with heights below twice the cutoff of 4."""
SALT = ("Na", "Cl") * 6


def crystal(seed: int = 0, cell: np.ndarray = CELL) -> Configuration:
    """Return twelve ions near the sites of a lattice in a small triclinic cell."""
    sites = np.array([(i / 2, j / 2, k / 3) for i in range(2) for j in range(2) for k in range(3)])
    return Configuration(SALT, sites @ cell + 0.2 * np.random.default_rng(seed).normal(size=(12, 3)), cell)


def molecule(seed: int = 0) -> Configuration:
    """Return five isolated atoms."""
    places = np.array([[0.0, 0, 0], [2.1, 0, 0], [0, 2.3, 0.2], [1.9, 2.2, 1.0], [-1.2, 1.1, 1.8]])
    noise = 0.1 * np.random.default_rng(seed).normal(size=(5, 3))
    return Configuration(("Na", "Cl", "Cl", "Na", "Cl"), places + noise)


def potential(seed: int = 1, **options: object) -> AtomisticPotential:
    """Return a potential of sodium and chlorine with random parameters."""
    plain = AtomisticConfig(("Na", "Cl"), cutoff=4.0, channels=4, n_radial=5, hidden=5)
    made = AtomisticPotential(replace(plain, **options), seed=seed)  # type: ignore[arg-type]
    made.statistics.update(shift=np.array([-0.5, -1.5]), scale=np.array([1.3]), neighbors=np.array([20.0]))
    return made


def slope(function, h: float = 1e-4) -> float:
    """Return the derivative of a function at 0, by differences of fourth order."""
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)
