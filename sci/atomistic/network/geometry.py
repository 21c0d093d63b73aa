"""Functions of the vectors between neighbors, with their derivatives, and the forces that follow from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.atomistic.neighbors import Neighborhood
from sci.atomistic.network.radial import radial_basis
from sci.backend import Array
from sci.nn import op
from sci.nn.ops.lookup import added_rows
from sci.spherical import spherical_harmonics_gradient

__all__ = ["forces_and_virials", "pair_functions"]

SCALE = math.sqrt(4 * math.pi)
"""Factor of the harmonics of neighbors: the first is 1 then, and the squares of degree l sum to 2 l + 1."""


def pair_functions(near: Neighborhood, cutoff: float, n_radial: int, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Return radial functions and harmonics of neighbors, and their gradients by the vector to a neighbor.

    Returns
    -------
    values : (n, k, n_radial + (degree + 1)^2) float64
    gradients : (n, k, 3, n_radial + (degree + 1)^2) float64
        0 where a row has no neighbor.
    """
    vectors = near.vectors[near.present]
    distances = np.sqrt((vectors * vectors).sum(axis=-1))
    radial, slopes = radial_basis(distances, cutoff, n_radial)
    angular, turns = spherical_harmonics_gradient(vectors, degree)
    width = n_radial + angular.shape[-1]
    values = np.zeros((*near.present.shape, width))
    gradients = np.zeros((*near.present.shape, 3, width))
    values[near.present] = np.concatenate([radial, SCALE * angular], axis=-1)
    along = (vectors / distances[:, None])[:, :, None]
    gradients[near.present] = np.concatenate([along * slopes[:, None, :], SCALE * turns], axis=-1)
    return values, gradients


def _forces_vjp(douts: tuple[Any, Any], residuals: Any) -> tuple[Array]:
    """Return the gradient by that of the energy: forces and virials are linear in it."""
    of_forces, of_virials = douts
    gradients, near, dtype = residuals
    pulls = np.zeros(near.vectors.shape)
    if of_forces is not None:
        pulls += of_forces[: len(near.index), None] - of_forces[near.index]
    if of_virials is not None:
        pulls += np.matmul(near.vectors, of_virials[near.rows_of])
    found = np.matmul(pulls[..., None, :].astype(gradients.dtype), gradients)[..., 0, :]
    return (found.astype(dtype, copy=False),)


@op(vjp=_forces_vjp)
def forces_and_virials(slopes: Array, *, gradients: Array, near: Neighborhood) -> tuple[tuple[Array, Array], Any]:
    """Return forces on all atoms, and the virials dE / d(strain) of configurations, from dE / d(pair functions).

    Parameters
    ----------
    slopes : (n, k, q) array
    gradients : (n, k, 3, q) array
        Of `pair_functions`.
    near : Neighborhood
        With owners that are counted, where virials are wanted.

    Returns
    -------
    forces : (m, 3) array
    virials : (configurations, 3, 3) array
    """
    pulls = np.matmul(gradients, slopes[..., None])[..., 0]  # dE by the vector to a neighbor
    forces = np.zeros((len(near.species), 3), pulls.dtype)
    forces[: len(pulls)] = pulls.sum(axis=1)
    forces -= added_rows(near.index[near.present], pulls[near.present], forces.shape)
    of_atoms = np.matmul(near.vectors.swapaxes(1, 2), pulls)
    virials = np.zeros((near.configurations, 3, 3), of_atoms.dtype)
    np.add.at(virials, near.rows_of, of_atoms)
    return (forces, virials), (gradients, near, slopes.dtype)
