"""Test problems with known difficulty: a sphere and a smooth random blob in a box, and two right-hand sides."""

from __future__ import annotations

import numpy as np

from sci.errors import InvalidValueError
from sci.problems.random_fields import cosine_random_field

__all__ = ["divergence_source", "noise_source", "right_hand_side", "sphere_and_blob"]

SPHERE_RADIUS = 0.17
SPHERE_CENTER = (0.5, 0.5, 0.5)
REMOVED = 0.072
"""Part of the box that the sphere and the blob take together."""


def _axes(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return the cell centers of the unit box, one array for each axis, ready to broadcast."""
    return list(np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij", sparse=True))


def sphere_and_blob(n: int, seed: int = 19) -> np.ndarray:
    """Return the fluid mask of a cube of n^3 cells around a sphere of radius 0.17 and a smooth random blob.

    Parameters
    ----------
    n : int
        Cells along each axis.
    seed : int
        Of the blob: the region where a random smooth field is highest, which with the sphere takes 7.2 % of the box.

    Returns
    -------
    (n, n, n) bool array
        The same bodies at every n, to the resolution of the grid.

    Raises
    ------
    InvalidValueError
    """
    if n < 4:
        raise InvalidValueError(f"n is {n}; expected at least 4 cells a side")
    level = _level(seed)
    shape = (n, n, n)
    solid = cosine_random_field(shape, np.random.default_rng(seed)) > level
    solid |= _sphere(shape)
    return ~solid


def _sphere(shape: tuple[int, ...]) -> np.ndarray:
    square = sum((axis - c) ** 2 for axis, c in zip(_axes(shape), SPHERE_CENTER))
    return np.asarray(square < SPHERE_RADIUS**2)


def _level(seed: int) -> float:
    """Return the height above which the field is solid, found on 64^3 cells."""
    shape = (64, 64, 64)
    free = np.sort(cosine_random_field(shape, np.random.default_rng(seed))[~_sphere(shape)])
    wanted = round(REMOVED * 64**3) - (64**3 - free.size)
    return float(free[free.size - wanted - 1])


def divergence_source(mask: np.ndarray, seed: int = 1) -> np.ndarray:
    """Return minus the divergence of a smooth random velocity that is cut off at the bodies, on the fluid cells.

    The velocity is a sum of shear flows: each component varies along the other axes only, so that all of the divergence
    lies on the surfaces of the bodies, where a pressure has to turn the flow.

    Parameters
    ----------
    mask : (*grid) bool array
    seed : int
        Of the random field.

    Returns
    -------
    (*grid) float64 array
        Of unit norm, zero outside of the fluid.
    """
    rng = np.random.default_rng(seed)
    result = np.zeros(mask.shape)
    for axis in range(mask.ndim):
        others = [a for k, a in enumerate(_axes(mask.shape)) if k != axis]
        phases = rng.random(len(others))
        flow = sum(np.cos(2 * np.pi * (a + phase)) for a, phase in zip(others, phases))
        open_face = np.moveaxis(mask, axis, 0)
        flux = np.moveaxis(np.broadcast_to(flow, mask.shape), axis, 0)[1:] * (open_face[1:] & open_face[:-1])
        there = np.moveaxis(result, axis, 0)
        ends = np.moveaxis(np.broadcast_to(flow, mask.shape), axis, 0)
        there[:-1] -= flux
        there[1:] += flux
        there[0] += ends[0] * open_face[0]
        there[-1] -= ends[-1] * open_face[-1]
    result *= mask
    return _of_unit_norm(result)


def noise_source(mask: np.ndarray, seed: int = 1) -> np.ndarray:
    """Return white noise of unit norm on the fluid cells.

    Parameters
    ----------
    mask : (*grid) array of bool
        The fluid cells.
    seed : int
        Of the random numbers.

    Returns
    -------
    (*grid) float64 array
        Zero outside of the fluid.
    """
    result = np.random.default_rng(seed).normal(size=mask.shape) * mask
    return _of_unit_norm(result)


def _of_unit_norm(values: np.ndarray) -> np.ndarray:
    size = float(np.linalg.norm(values))
    return values / size if size > 0 else values


def right_hand_side(mask: np.ndarray, kind: str = "div", seed: int = 1) -> np.ndarray:
    """Return the right-hand side "div" or "noise" on the grid of `mask`: see `divergence_source`, `noise_source`.

    Parameters
    ----------
    mask : (*grid) array of bool
        The fluid cells.
    kind : "div" or "noise"
        Which one.
    seed : int
        Of the random numbers.

    Returns
    -------
    (*grid) float64 array
        Of unit norm, zero outside of the fluid.

    Raises
    ------
    InvalidValueError
    """
    if kind not in ("div", "noise"):
        raise InvalidValueError(f"kind is {kind!r}; expected 'div' or 'noise'")
    return divergence_source(mask, seed) if kind == "div" else noise_source(mask, seed)
