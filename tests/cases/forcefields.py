"""Small molecules with bonds, and sums over their pairs one by one: the oracles of exclusions."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from periodic_cells import ewald

from sci.potentials import Exclusions, Particles

CHAIN = [[0, 1], [1, 2], [2, 3], [3, 4], [1, 5], [4, 6]]
"""Bonds of seven atoms: a chain of five with two branches."""

PSF = """PSF

       1 !NTITLE
 REMARKS two waters

       3 !NATOM
       1 W    1    WAT  OH2  OT    -0.834000       15.9994           0
       2 W    1    WAT  H1   HT     0.417000        1.0080           0
       3 W    1    WAT  H2   HT     0.417000        1.0080           0

       2 !NBOND: bonds
       1       2       1       3

"""
"""A CHARMM topology of one water, with its bonds."""


def molecules(n: int = 3, cell: np.ndarray | None = None, seed: int = 1) -> Particles:
    """Return `n` chains of seven charged atoms each, 1.2 to 1.6 angstrom a bond, with exclusions and 1-4 pairs of 0.4.

    In a cell some of them lie across its faces.
    """
    rng = np.random.default_rng(seed)
    places, bonds = [], []
    for k in range(n):
        center = rng.random(3) @ cell if cell is not None else 6.0 * np.array([k % 2, k // 2, 0.3 * k])
        atoms = [center]
        for i, j in sorted(CHAIN, key=lambda bond: bond[1]):
            assert j == len(atoms)
            step = rng.normal(size=3) + 2.0 * np.eye(3)[(i + j) % 3]
            atoms.append(atoms[i] + rng.uniform(1.2, 1.6) * step / np.linalg.norm(step))
        places.append(np.array(atoms))
        bonds.append(np.array(CHAIN) + 7 * k)
    charges = rng.normal(size=7 * n)
    positions = np.concatenate(places)
    if cell is not None:  # every atom for itself: molecules are cut by the faces
        fractions = positions @ np.linalg.inv(cell)
        positions = (fractions - np.floor(fractions)) @ cell
    exclusions = Exclusions.from_bonds(np.concatenate(bonds), 7 * n, scale14=0.4)
    return Particles(positions, charges - charges.mean(), cell=cell, exclusions=exclusions)


def slab_molecules(n: int = 3) -> Particles:
    """Return molecules that two of the periods cut, and that lie anywhere along the third."""
    free = molecules(n)
    positions = free.positions.copy()
    positions[:, :2] %= 11.0
    return replace(free, positions=positions, cell=np.diag([11.0, 11.0, 1.0]))


def nearest(vector: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
    """Return the shortest image of a vector, by trying many."""
    if cell is None:
        return vector
    fraction = vector @ np.linalg.inv(cell)
    vector = (fraction - np.rint(fraction)) @ cell
    images = [vector + np.array(n) @ cell for n in itertools.product(range(-3, 4), repeat=3)]
    return min(images, key=np.linalg.norm)


def left_out(particles: Particles, kappa: float = 0.0) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Return energy, forces, potentials and virial -dE/d strain of (1 - s) q q exp(-kappa r) / r over listed pairs."""
    energy, found = 0.0, particles.exclusions
    forces, potentials, virial = np.zeros((particles.n, 3)), np.zeros(particles.n), np.zeros((3, 3))
    assert found is not None
    for (i, j), scale in zip(found.pairs, found.scales):
        d = nearest(particles.positions[i] - particles.positions[j], particles.cell)
        r = float(np.linalg.norm(d))
        pair = (1 - scale) * math.exp(-kappa * r) / r
        product = particles.charges[i] * particles.charges[j]
        force = product * pair * (1 / r + kappa) / r * d
        energy += product * pair
        forces[i] += force
        forces[j] -= force
        virial += np.outer(d, force)
        potentials[i] += pair * particles.charges[j]
        potentials[j] += pair * particles.charges[i]
    return energy, forces, potentials, virial


def exact(particles: Particles, kappa: float = 0.0) -> tuple[float, np.ndarray, np.ndarray]:
    """Return energy, forces and potentials at the particles by plain sums, the listed pairs taken out one by one."""
    q, x = particles.charges, particles.positions
    if particles.cell is None:
        d = x[:, None] - x
        r = np.linalg.norm(d, axis=2) + np.eye(len(x))
        value = (1 - np.eye(len(x))) * np.exp(-kappa * r) / r
        potential, field = value @ q, ((value * (1 / r + kappa) / r * q)[:, :, None] * d).sum(axis=1)
    else:
        assert kappa == 0
        potential, field = ewald(particles, x, 0.9)
    energy, forces, potentials, _ = left_out(particles, kappa)
    return 0.5 * float(q @ potential) - energy, q[:, None] * field - forces, potential - potentials
