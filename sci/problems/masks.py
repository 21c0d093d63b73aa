"""Masks to train and to test solvers on: bodies in a box, thin plates, combs, pillars, porous matter."""

from __future__ import annotations

import numpy as np

from sci.problems.random_fields import interpolated_random_field

__all__ = ["neumann_part", "random_bodies", "random_mask", "stress_masks"]

Mask = np.ndarray
"""(n, n, n) booleans, true in the fluid."""


def random_bodies(n: int, rng: np.random.Generator) -> Mask:
    """Return a box with none to three bodies in it: spheres, boxes, smooth blobs.

    Parameters
    ----------
    n : int
        Points or cells along each axis.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    array of bool
    """
    x, y, z = np.meshgrid(*[(np.arange(n) + 0.5) / n] * 3, indexing="ij", sparse=True)
    fluid = np.ones((n,) * 3, dtype=bool)
    for _ in range(rng.integers(0, 4)):
        shape, center = rng.integers(3), rng.random(3)
        offsets = [abs(u - c) for u, c in zip((x, y, z), center)]
        if shape == 0:
            fluid &= sum(d * d for d in offsets) > (0.05 + 0.2 * rng.random()) ** 2
        elif shape == 1:
            half = 0.03 + 0.2 * rng.random(3)
            fluid &= np.any([np.broadcast_to(d > h, fluid.shape) for d, h in zip(offsets, half)], axis=0)
        else:
            blob = interpolated_random_field(n, rng, knots=int(rng.integers(3, 7)))
            fluid &= blob < np.quantile(blob, 0.95 - 0.15 * rng.random())
    return fluid


def _plates(n: int, rng: np.random.Generator) -> Mask:
    fluid = np.ones((n,) * 3, dtype=bool)
    for _ in range(rng.integers(1, 4)):
        layers = np.moveaxis(fluid, rng.integers(3), 0)
        start, thick = rng.integers(1, n - 1), rng.integers(1, 3)
        hole = rng.integers(1, max(2, n // 3), size=2)
        j, k = (int(rng.integers(0, n - h)) for h in hole)
        layers[start : start + thick] = False
        layers[start : start + thick, j : j + hole[0], k : k + hole[1]] = True
    return fluid


def _stripes(n: int, rng: np.random.Generator) -> np.ndarray:
    gap, thick = rng.integers(2, 9), rng.integers(1, 3)
    return np.asarray((np.arange(n) + rng.integers(8)) % (gap + thick) < thick)


def _comb(n: int, rng: np.random.Generator) -> Mask:
    fluid = np.ones((n,) * 3, dtype=bool)
    np.moveaxis(fluid, rng.integers(3), 0)[_stripes(n, rng), : n - n // 8] = False
    return fluid


def _pillars(n: int, rng: np.random.Generator) -> Mask:
    fluid = np.ones((n,) * 3, dtype=bool)
    np.moveaxis(fluid, rng.integers(3), 0)[np.ix_(_stripes(n, rng), _stripes(n, rng))] = False
    return fluid


def random_mask(n: int, rng: np.random.Generator) -> Mask:
    """Return a mask of the training set: half of them bodies, the others plates, salt, combs and pillars.

    Parameters
    ----------
    n : int
        Points or cells along each axis.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    array of bool
    """
    kind = rng.integers(8)
    if kind < 4:
        return random_bodies(n, rng)
    if kind == 4:
        return np.asarray(rng.random((n,) * 3) > rng.choice([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]))
    return (_plates, _comb, _pillars)[kind - 5](n, rng)


def neumann_part(fluid: Mask, rng: np.random.Generator) -> Mask:
    """Return the cells of bodies with a Neumann surface: none, all, or those of a random half of the box.

    Parameters
    ----------
    fluid : array of bool
        The fluid cells.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    array of bool
    """
    choice = rng.integers(3)
    if choice == 0:
        return np.zeros_like(fluid)
    return ~fluid if choice == 1 else ~fluid & (interpolated_random_field(fluid.shape[0], rng, knots=4) > 0)


def stress_masks(n: int, seed: int = 5) -> dict[str, Mask]:
    """Return masks that are hard for multigrid: a plate with a hole, salt, porous matter, a comb, pillars.

    Parameters
    ----------
    n : int
        Points or cells along each axis.
    seed : int
        Of the random numbers.

    Returns
    -------
    dict of arrays of bool
    """
    rng = np.random.default_rng(seed)
    masks = {"empty box": np.ones((n,) * 3, dtype=bool)}
    plate, half = np.ones((n,) * 3, dtype=bool), n // 8
    plate[n // 2] = False
    plate[n // 2, n // 2 - half : n // 2 + half, n // 2 - half : n // 2 + half] = True
    masks["plate with hole"] = plate
    masks["5 % salt"] = rng.random((n,) * 3) > 0.05
    masks["40 % random cells"] = rng.random((n,) * 3) > 0.4
    comb = np.ones((n,) * 3, dtype=bool)
    comb[np.arange(n) % 4 == 3, : n - n // 8] = False
    masks["comb, gaps of 3"] = comb
    pillars, two_of_eight = np.ones((n,) * 3, dtype=bool), np.arange(n) % 8 < 2
    pillars[np.ix_(two_of_eight, two_of_eight)] = False
    masks["pillars"] = pillars
    return masks
