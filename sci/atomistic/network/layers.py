"""The network of a potential: neighbor densities, their products on the sphere, messages, and energies of atoms."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.atomistic.config import AtomisticConfig
from sci.atomistic.neighbors import Neighborhood
from sci.atomistic.network.aggregate import aggregate, degrees
from sci.nn import Variable, concatenate, matmul, pad, reshape, select, silu, take, transpose
from sci.nn.core.dual import Dual
from sci.spherical import SphereGrid, spherical_harmonics
from sci.spherical.coupling import gaunt_matrix
from sci.spherical.harmonics import degrees_of
from sci.spherical.wigner import points_and_weights

__all__ = ["charges", "energies", "initial_parameters"]

CHARGE_SLOPES = "charge slopes"
"""Name, among the parameters, of dE / d(charge) of each atom: a constant by which charges enter the energy linearly."""


@dataclass(frozen=True)
class Sphere:
    """Harmonics at the points of a grid of the sphere on which sums of a product of functions are exact.

    Parameters
    ----------
    values : (coefficients, points) array
        From coefficients to values.
    sums : (points, coefficients) array
        From values to coefficients.
    """

    values: np.ndarray
    sums: np.ndarray


@functools.lru_cache(maxsize=32)
def sphere(degree: int, factors: int, out_degree: int, dtype: str) -> Sphere:
    """Return the grid for products of `factors` functions up to a degree, of which `out_degree` is wanted."""
    total = factors * degree + out_degree
    points, weights = points_and_weights(SphereGrid(total // 2 + 1, total + 1))
    table = spherical_harmonics(points, max(degree, out_degree))
    values = table[:, : (degree + 1) ** 2].T
    sums = table[:, : (out_degree + 1) ** 2] * weights[:, None]
    return Sphere(*(np.ascontiguousarray(a, dtype=dtype) for a in (values, sums)))


@functools.lru_cache(maxsize=32)
def coupling(degree: int, message_degree: int, dtype: str) -> np.ndarray:
    """Return Gaunt coefficients (message coefficients * coefficients, coefficients) times the root of 4 pi."""
    matrix = gaunt_matrix(message_degree, degree, degree) * math.sqrt(4 * math.pi)
    return np.ascontiguousarray(matrix.T, dtype=dtype)


def layer_degree(config: AtomisticConfig, layer: int) -> int:
    """Return the degree of the features that a layer gives: 0 for the last."""
    return config.message_degree if layer + 1 < config.layers else 0


def initial_parameters(config: AtomisticConfig, rng: np.random.Generator, dtype: Any) -> dict[str, np.ndarray]:
    """Return random parameters by name."""
    c, z, levels = config.channels, len(config.species), config.degree + 1

    def normal(*shape: int, fan: float = 1.0) -> np.ndarray:
        return (rng.normal(size=shape) / math.sqrt(fan)).astype(dtype)

    found: dict[str, np.ndarray] = {}
    for layer in range(config.layers):
        own = layer_degree(config, layer) + 1
        if layer == 0:
            found["0.radial"] = normal(levels, c, z * config.n_radial, fan=config.n_radial)
        else:
            before = layer_degree(config, layer - 1) + 1
            found[f"{layer}.radial"] = normal(config.n_radial, levels * c, fan=config.n_radial)
            found[f"{layer}.mix"] = normal(levels, c, c, fan=c)
            found[f"{layer}.self"] = normal(before, c, c, fan=c)
            found[f"{layer}.skip"] = normal(min(own, before), c, c, fan=c)
        found[f"{layer}.product"] = 1.0 + normal(z, config.correlation * c * levels, fan=10.0)
        found[f"{layer}.linear"] = normal(own, c, c, fan=c)
        found[f"{layer}.readout"] = normal(z, c, fan=c)
    found["hidden"] = normal(config.hidden, c, fan=c)
    found["hidden.bias"] = np.zeros(config.hidden, dtype=dtype)
    found["out"] = normal(config.hidden, 1, fan=config.hidden)
    if config.charges == "learned":
        start = config.charge_start or dict.fromkeys(config.species, 0.0)
        found["charge"] = normal(z, c, fan=100.0 * c)
        found["charge.start"] = np.array([[start[name]] for name in config.species], dtype=dtype)
    return found


def energies(
    config: AtomisticConfig, parameters: Mapping[str, Any], x: Any, near: Neighborhood, mean_neighbors: float
) -> Any:
    """Return the energy of each configuration, in units of the scale, without the energies of single atoms.

    Parameters
    ----------
    config : AtomisticConfig
    parameters : dict of arrays or variables
    x : (n, k, n_radial + (degree + 1)^2) array, variable or dual
        Of `pair_functions`.
    near : Neighborhood
    mean_neighbors : float
        Sums over neighbors are divided by its square root.

    Returns
    -------
    (configurations,) array, variable or dual
    """
    total, scalars, kinds = _outputs(config, parameters, x, near, mean_neighbors)
    if CHARGE_SLOPES in parameters:
        added = _charges(parameters, scalars, kinds) * parameters[CHARGE_SLOPES]
        total = total + matmul(_owners(near, x.dtype.name)[:, : len(kinds)], added)
    return reshape(total, shape=(near.configurations,))


def charges(
    config: AtomisticConfig, parameters: Mapping[str, Any], x: Any, near: Neighborhood, mean_neighbors: float
) -> Any:
    """Return the charge of each atom with features of the last layer, (n, 1), before the total is set right."""
    _, scalars, kinds = _outputs(config, parameters, x, near, mean_neighbors)
    return _charges(parameters, scalars, kinds)


def _charges(parameters: Mapping[str, Any], scalars: Any, kinds: np.ndarray) -> Any:
    return matmul(kinds, parameters["charge.start"]) + _read(parameters["charge"], scalars, kinds)


def _owners(near: Neighborhood, dtype: str) -> np.ndarray:
    """Return the matrix that sums over the atoms of each configuration that are counted."""
    owner = np.zeros((near.configurations, len(near.owner)), dtype=dtype)
    owner[near.owner[near.owner >= 0], np.flatnonzero(near.owner >= 0)] = 1.0
    return owner


def _outputs(
    config: AtomisticConfig, parameters: Mapping[str, Any], x: Any, near: Neighborhood, mean_neighbors: float
) -> tuple[Any, Any, np.ndarray]:
    """Return energies (configurations, 1), and the invariant features and species of the atoms of the last layer."""
    dtype = x.dtype.name
    radial = select(x, index=np.s_[..., : config.n_radial])
    angular = select(x, index=np.s_[..., config.n_radial :])
    kinds = np.eye(len(config.species), dtype=dtype)[near.species]
    counts = near.counts or (len(near.index),) * config.layers
    owner = _owners(near, dtype)
    geometry = isinstance(x.primal if isinstance(x, Dual) else x, Variable)
    unit = 1 / math.sqrt(mean_neighbors)
    features: Any = None
    total: Any = 0.0
    for layer, rows in enumerate(counts):
        own = _first(radial, rows), _first(angular, rows)
        if layer == 0:
            density = _density(config, parameters["0.radial"], own, kinds, near) * unit
        else:
            sums = _messages(config, parameters, layer, own, features, near, geometry) * unit
            before = _first(features, rows)
            density = _mixed(parameters[f"{layer}.mix"], sums)
            density = density + _widened(_mixed(parameters[f"{layer}.self"], before), density.shape[-1])
        made = _products(config, parameters[f"{layer}.product"], density, kinds[:rows], layer_degree(config, layer))
        made = _mixed(parameters[f"{layer}.linear"], made)
        if layer:
            skip = parameters[f"{layer}.skip"]
            made = made + _mixed(skip, select(before, index=np.s_[..., : skip.shape[0] ** 2]))
        features = made
        scalars = select(features, index=np.s_[..., 0])
        total = total + matmul(owner[:, :rows], _read(parameters[f"{layer}.readout"], scalars, kinds[:rows]))
    hidden = silu(matmul(scalars, transpose(parameters["hidden"], axes=(1, 0))) + parameters["hidden.bias"])
    total = total + matmul(owner[:, : counts[-1]], matmul(hidden, parameters["out"]))
    return total, scalars, kinds[: counts[-1]]


def _first(features: Any, rows: int) -> Any:
    """Return the features of the first atoms."""
    return features if features.shape[0] == rows else select(features, index=slice(rows))


def _read(weight: Any, scalars: Any, kinds: np.ndarray) -> Any:
    """Return (n, 1): the sums of features times a number for each species and channel."""
    return (matmul(kinds, weight) * scalars).sum(axis=1, keepdims=True)


def _density(config: AtomisticConfig, weight: Any, own: tuple[Any, Any], kinds: np.ndarray, near: Neighborhood) -> Any:
    """Return the neighbor densities (n, channels, coefficients) of the first layer: radial functions by species."""
    radial, angular = own
    n, k, n_radial = radial.shape
    of_neighbors = kinds[near.index[:n]]
    slots = reshape(radial, shape=(n, k, 1, n_radial)) * of_neighbors[..., None]
    slots = transpose(reshape(slots, shape=(n, k, n_radial * kinds.shape[1])), axes=(0, 2, 1))
    sums = matmul(slots, angular)
    parts = enumerate(degrees(config.degree))
    return concatenate(*(matmul(weight[k], select(sums, index=np.s_[..., part])) for k, part in parts), axis=2)


def _messages(
    config: AtomisticConfig,
    parameters: Mapping[str, Any],
    layer: int,
    own: tuple[Any, Any],
    features: Any,
    near: Neighborhood,
    geometry: bool,
) -> Any:
    """Return the sums over neighbors of the products of their features and harmonics, (n, channels, coefficients)."""
    m, c, q = features.shape
    flat = reshape(features, shape=(m, c * q))
    sums = aggregate(own[0], parameters[f"{layer}.radial"], flat, own[1], near=near, geometry=geometry)
    table = coupling(config.degree, layer_degree(config, layer - 1), flat.dtype.name)
    return matmul(reshape(sums, shape=(sums.shape[0], c, q * sums.shape[2])), table)


def _mixed(weight: Any, features: Any) -> Any:
    """Return features (n, channels, coefficients) with the channels of each degree mixed by a matrix of its own."""
    parts = degrees(weight.shape[0] - 1)
    return concatenate(*(matmul(weight[k], select(features, index=np.s_[..., p])) for k, p in enumerate(parts)), axis=2)


def _widened(features: Any, coefficients: int) -> Any:
    """Return features with zeros for the degrees that they lack."""
    missing = coefficients - features.shape[2]
    return features if missing == 0 else pad(features, ((0, 0), (0, 0), (0, missing)))


def _products(config: AtomisticConfig, weight: Any, density: Any, kinds: np.ndarray, out_degree: int) -> Any:
    """Return w1 A + (w1 A)(w2 A) + ... as coefficients: products of functions on the sphere, weights by species."""
    n, c, coefficients = density.shape
    table = sphere(config.degree, config.correlation, out_degree, density.dtype.name)
    shape = (weight.shape[0], config.correlation, c, config.degree + 1)
    wide = reshape(take(reshape(weight, shape=shape), degrees_of(config.degree), axis=3), shape=(weight.shape[0], -1))
    of_atoms = reshape(matmul(kinds, wide), shape=(n, config.correlation, c, coefficients))
    product: Any = None
    for factor in reversed(range(config.correlation)):
        values = matmul(density * select(of_atoms, index=np.s_[:, factor]), table.values)
        product = values if product is None else values * (product + 1.0)
    return matmul(product, table.sums)
