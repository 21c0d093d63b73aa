"""Fields as vectors: the cells of a patch become channels, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sci.backend import Array

__all__ = ["from_patches", "to_patches"]


def to_patches(x: Array, patch: Sequence[int]) -> Array:
    """Return (batch, channels prod(patch), *grid / patch) of fields (batch, channels, *grid), whose patches fit."""
    axes = len(patch)
    parts = [length for n, p in zip(x.shape[2:], patch) for length in (n // p, p)]
    cells, inner = range(2, 2 + 2 * axes, 2), range(3, 3 + 2 * axes, 2)
    moved = x.reshape(*x.shape[:2], *parts).transpose(0, 1, *inner, *cells)
    return moved.reshape(x.shape[0], x.shape[1] * math.prod(patch), *parts[::2])


def from_patches(x: Array, patch: Sequence[int]) -> Array:
    """Return the fields of which `to_patches` made `x`."""
    axes, grid = len(patch), x.shape[2:]
    moved = x.reshape(x.shape[0], x.shape[1] // math.prod(patch), *patch, *grid)
    order = [axis for k in range(axes) for axis in (2 + axes + k, 2 + k)]
    return moved.transpose(0, 1, *order).reshape(*moved.shape[:2], *(n * p for n, p in zip(grid, patch)))
