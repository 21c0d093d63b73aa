"""Cluster moves of Swendsen and Wang for Ising and Potts models, in a field too."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from sci.backend.philox import philox
from sci.errors import InvalidValueError
from sci.generative.spins.lattice import LatticeModel

__all__ = ["require_ferromagnet", "swendsen_wang"]


def require_ferromagnet(model: LatticeModel) -> None:
    """Raise InvalidValueError for a coupling below 0, whose clusters would grow from bonds that are not satisfied."""
    if model.coupling < 0:
        raise InvalidValueError(
            f"{model!r} is an antiferromagnet; expected a coupling of 0 or more for cluster moves, or "
            "method='heat_bath'"
        )


def swendsen_wang(
    model: LatticeModel, states: np.ndarray, betas: np.ndarray, number: int, *, first: int, seed: int
) -> None:
    """Change states (replicas, *shape) in place by one cluster move: every site may change.

    A bond between like states is active with probability 1 - exp(-beta gap), gap the energy between like and unlike
    states. Each cluster of active bonds then takes a state of weight exp(beta h sites [of the field's state]): given
    the bonds, that is its exact distribution.

    Parameters
    ----------
    model : IsingModel or PottsModel
        Of a coupling of 0 or more.
    states : (replicas, *shape) int8
    betas : (replicas,) float64
    number : int
        Of the move.
    first : int
        Number of the first replica among those of all ranks.
    seed : int

    References
    ----------
    R. H. Swendsen and J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987).
    """
    replicas, sites, axes = len(states), model.n_sites, len(model.shape)
    if not replicas:
        return
    who = np.arange(first, first + replicas)[:, None]
    words = philox(np.arange(sites)[None, :], who, number, "bonds", seed)
    values = model.values
    gap = model.coupling * float(model.alike(values[0], values[0]) - 1.0 * model.alike(values[0], values[1]))
    active = -np.expm1(-betas * gap)[:, None]
    numbers = np.arange(replicas * sites).reshape(states.shape)
    ends = []
    for axis in range(axes):
        same = (states == np.roll(states, -1, axis=axis + 1)).reshape(replicas, sites)
        chosen = same & ((words[axis] + 0.5) * 2.0**-32 < active)
        ends.append(
            (numbers.reshape(replicas, sites)[chosen], np.roll(numbers, -1, axis + 1).reshape(replicas, sites)[chosen])
        )
    left, right = (np.concatenate(e) for e in zip(*ends))
    graph = sparse.coo_array((np.ones(len(left), np.int8), (left, right)), shape=(numbers.size, numbers.size))
    labels = connected_components(graph, directed=False)[1]
    states[...] = _drawn(model, labels, betas, number, first=first, seed=seed)[labels].reshape(states.shape)


def _drawn(
    model: LatticeModel, labels: np.ndarray, betas: np.ndarray, number: int, *, first: int, seed: int
) -> np.ndarray:
    """Return the state of each cluster, drawn by the word of its first site."""
    _, leader, counts = np.unique(labels, return_index=True, return_counts=True)
    replica, site = np.divmod(leader, model.n_sites)
    words = philox(site, first + replica, number, "clusters", seed)[0]
    u = (words.astype(float) + 0.5) * 2.0**-32
    logs = (betas[replica] * counts * model.field)[:, None] * model.lifted(model.values)
    weights = np.cumsum(np.exp(logs - logs.max(axis=1, keepdims=True)), axis=1)
    return np.asarray(model.values[(u[:, None] * weights[:, -1:] >= weights).sum(axis=1)])
