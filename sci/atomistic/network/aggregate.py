"""The sum over neighbors: features times radial functions times harmonics, as an op in blocks of atoms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sci.atomistic.neighbors import Neighborhood
from sci.backend import Array
from sci.nn import op
from sci.nn.ops.lookup import added_rows

__all__ = ["aggregate", "degrees"]

BLOCK = 1 << 17
"""Numbers of the largest array of a block of atoms: what a core keeps in its second cache."""


def degrees(degree: int) -> list[slice]:
    """Return the places of the harmonics of each degree."""
    return [slice(level**2, (level + 1) ** 2) for level in range(degree + 1)]


def _blocks(n: int, width: int) -> Iterator[slice]:
    step = max(1, BLOCK // max(1, width))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _split(radial: Array, weight: Array, features: Array, angular: Array) -> tuple[int, int, int, list[slice]]:
    """Return channels, components of a channel, and degrees."""
    parts = degrees(round(angular.shape[-1] ** 0.5) - 1)
    channels = weight.shape[1] // len(parts)
    return channels, features.shape[1] // channels, features.shape[1] * radial.shape[1], parts


def _aggregate_vjp(dout: Array, residuals: Any) -> tuple[Any, ...]:
    """Return the gradients; those of radial functions and harmonics only where `geometry` asks for them."""
    (radial, weight, features, angular), near, geometry = residuals
    channels, components, width, parts = _split(radial, weight, features, angular)
    of_radial: Any = np.empty_like(radial) if geometry else None
    of_angular: Any = np.empty_like(angular) if geometry else None
    of_weight = np.zeros_like(weight)
    of_neighbors = np.empty((*radial.shape[:2], features.shape[1]), features.dtype)
    for rows in _blocks(len(radial), width):
        b, k = rows.stop - rows.start, radial.shape[1]
        tables = np.matmul(radial[rows], weight).reshape(b, k, len(parts), channels, 1)
        gathered = features[near.index[rows]].reshape(b, k, channels, components)
        of_tables = np.empty_like(tables)
        total = np.zeros_like(gathered)
        for level, part in enumerate(parts):
            slope = dout[rows, :, part]
            spread = np.matmul(angular[rows, :, part], slope.swapaxes(1, 2)).reshape(gathered.shape)
            if geometry:
                moved = (tables[:, :, level] * gathered).reshape(b, k, -1)
                of_angular[rows, :, part] = np.matmul(moved, slope)
            of_tables[:, :, level] = (spread * gathered).sum(axis=-1, keepdims=True)
            spread *= tables[:, :, level]
            total += spread
        flat = of_tables.reshape(b, k, -1)
        if geometry:
            of_radial[rows] = np.matmul(flat, weight.T)
        of_weight += np.matmul(radial[rows].reshape(b * k, -1).T, flat.reshape(b * k, -1))
        of_neighbors[rows] = total.reshape(b, k, -1)
    there = near.present[: len(radial)]
    of_features = added_rows(near.index[: len(radial)][there], of_neighbors[there], features.shape)
    return of_radial, of_weight, of_features, of_angular


@op(vjp=_aggregate_vjp, jvp="multilinear")
def aggregate(
    radial: Array, weight: Array, features: Array, angular: Array, *, near: Neighborhood, geometry: bool
) -> tuple[Array, Any]:
    r"""Return sum_j R_cl(r_ij) h_jcq Y_lm(r_ij) over the neighbors j of each atom i, with R_cl = sum_n B_n W_nlc.

    Parameters
    ----------
    radial : (n, k, n_radial) array
        B of the neighbors.
    weight : (n_radial, (L + 1) * channels) array
    features : (m, channels * components) array
        h of all atoms.
    angular : (n, k, (L + 1)^2) array
        Y of the neighbors.
    near : Neighborhood
    geometry : bool
        Whether gradients of `radial` and `angular` are wanted.

    Returns
    -------
    (n, channels * components, (L + 1)^2) array or variable

    Notes
    -----
    Linear in each argument. Blocks of atoms are computed once for the value and once more for gradients, so that no
    array of pairs times channels is kept.
    """
    channels, components, width, parts = _split(radial, weight, features, angular)
    n, k = radial.shape[:2]
    out = np.empty((n, features.shape[1], angular.shape[-1]), features.dtype)
    for rows in _blocks(n, width):
        b = rows.stop - rows.start
        tables = np.matmul(radial[rows], weight).reshape(b, k, len(parts), channels, 1)
        gathered = features[near.index[rows]].reshape(b, k, channels, components)
        for level, part in enumerate(parts):
            moved = (tables[:, :, level] * gathered).reshape(b, k, -1)
            out[rows, :, part] = np.matmul(moved.swapaxes(1, 2), angular[rows, :, part])
    return out, ((radial, weight, features, angular), near, geometry)
