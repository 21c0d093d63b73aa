"""Crystals moved and renamed at random: the same crystals as other vectors."""

from __future__ import annotations

import numpy as np

from sci.generative.crystals.denoiser.features import CELL, CrystalFeatures
from sci.nn import Draws

__all__ = ["shuffled", "translated"]


def translated(features: CrystalFeatures, vectors: np.ndarray, occupied: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the vectors of crystals after a random translation each: all atoms by the same fractions of the cell.

    Parameters
    ----------
    features : CrystalFeatures
    vectors : (n, width) float array
    occupied : (n, slots) bool
    draws : Draws

    Returns
    -------
    (n, width) array
    """
    n = len(vectors)
    shift = draws.uniform("translation", (n, 3))[:, None, :].astype(vectors.dtype)
    out = vectors.copy()
    slots = out[:, :-CELL].reshape(n, features.slots, features.channels)
    if features.representation == "fraction":
        slots[...] = np.where(occupied[..., None], (slots + shift) % 1, slots)
    else:
        c, s = np.cos(2 * np.pi * shift), np.sin(2 * np.pi * shift)
        x, y = slots[..., :3].copy(), slots[..., 3:].copy()
        slots[..., :3], slots[..., 3:] = c * x - s * y, s * x + c * y
    return out


def shuffled(features: CrystalFeatures, vectors: np.ndarray, occupied: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the vectors of crystals with the atoms of each element in its slots in a random order.

    Parameters
    ----------
    features : CrystalFeatures
    vectors : (n, width) float array
    occupied : (n, slots) bool
        The first slots of each element; they stay those.
    draws : Draws

    Returns
    -------
    (n, width) array
    """
    n = len(vectors)
    keys = 2.0 * features.owners + np.where(occupied, draws.uniform("slots", (n, features.slots)), 1.0)
    order = np.argsort(keys, axis=1, kind="stable")
    out = vectors.copy()
    slots = vectors[:, :-CELL].reshape(n, features.slots, features.channels)
    out[:, :-CELL] = np.take_along_axis(slots, order[..., None], axis=1).reshape(n, -1)
    return out
