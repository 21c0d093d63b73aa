"""The places at which errors are measured: near particles, far from them, between, and at the particles themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sci.backend import Array, namespace, to_device, to_host
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["Sample", "Scene", "neighbor_distances", "particle_sample", "sample_places"]

SEED = 20250301
NEIGHBOR_SHARE = (0.25, 1.0)
"""Distances of the near places from a particle, in units of its distance to its nearest neighbor."""
USUAL = 1.0
"""Distance in angstrom that stands for that of a neighbor at the very place of a particle, as a shell may be."""
CLUSTER = 16
"""Neighbors that are drawn together where not all particles are compared."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Where the charges of a potential lie, as far as its errors are concerned.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
        Particles around which places are chosen; n may be 0.
    neighbors : (k, 3) float64
        All charges, or those that may be the nearest ones of the particles: images of a periodic cell are among them.
    domain : ((a1, b1), (a2, b2), (a3, b3)), optional
        All places lie in this box.
    cell : (3, 3) float64, optional
        Without a box, places far from particles are uniform in this cell.
    """

    positions: Array
    charges: Array
    neighbors: Array
    domain: tuple[tuple[float, float], ...] | None = None
    cell: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Scene({len(self.charges)} particles, {len(self.neighbors)} neighbors, domain={self.domain})"

    @property
    def size(self) -> float:
        """Length of the diagonal of box or cell, angstrom."""
        if self.domain is not None:
            return float(np.linalg.norm(np.diff(np.array(self.domain), axis=1)))
        assert self.cell is not None
        return float(np.linalg.norm(self.cell.sum(axis=0)))

    @property
    def volume(self) -> float:
        """Volume of box or cell, cubic angstrom."""
        if self.domain is not None:
            return float(np.prod(np.diff(np.array(self.domain), axis=1)))
        assert self.cell is not None
        return abs(float(np.linalg.det(self.cell)))

    def uniform(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return `count` uniform places."""
        if self.domain is not None:
            low, high = np.array(self.domain).T
            return np.asarray(low + (high - low) * rng.random((count, 3)))
        assert self.cell is not None
        return np.asarray(rng.random((count, 3)) @ self.cell)

    def clip(self, places: np.ndarray) -> np.ndarray:
        """Return places, moved into the box if there is one."""
        return places if self.domain is None else np.clip(places, *np.array(self.domain).T)


@dataclass(frozen=True, eq=False)
class Sample:
    """Places of one group: the first `compared` have their errors measured, all say how large the values are."""

    name: str
    points: Array
    compared: int

    def __repr__(self) -> str:
        return f"Sample({self.name!r}, {self.compared} of {len(self.points)} places)"


def sample_places(scene: Scene, compared: int, values: int) -> list[Sample]:
    """Return places near the particles, between near and far, far from them, and on the faces of the box.

    Parameters
    ----------
    scene : Scene
    compared, values : int
        Places of each group whose errors are measured, and whose values are: fields and potentials of charges have
        heavy tails, so their mean squares need many more places than those of the errors.

    Returns
    -------
    list of Sample
        On the device of the positions. The seed is fixed.
    """
    xp, rng = namespace(scene.positions), np.random.default_rng(SEED)
    groups = {}
    if len(scene.charges):
        chosen = rng.integers(len(scene.charges), size=compared)
        neighbor = np.minimum(_distances(scene, chosen), scene.size / 4)
        turns = np.resize(np.arange(compared), values)  # every particle is the center of several places
        centers, neighbor = to_host(scene.positions)[chosen][turns], neighbor[turns]
        steps = rng.normal(size=(2, values, 3))
        steps /= np.linalg.norm(steps, axis=2, keepdims=True)
        near = neighbor * rng.uniform(*NEIGHBOR_SHARE, size=values)
        between = neighbor * (scene.size / 2 / neighbor) ** rng.random(values)
        groups["near"] = centers + steps[0] * near[:, None]
        groups["between"] = centers + steps[1] * between[:, None]
    groups["far"] = scene.uniform(rng, values)
    if scene.domain is not None:
        groups["faces"] = _on_faces(scene.domain, scene.uniform(rng, values), rng)
    return [Sample(name, to_device(scene.clip(points), xp), compared) for name, points in groups.items()]


def _on_faces(domain: tuple[tuple[float, float], ...], places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = np.array(domain).T
    axes, sides = rng.integers(3, size=len(places)), rng.integers(2, size=len(places))
    places[np.arange(len(places)), axes] = np.where(sides == 0, low[axes], high[axes])
    return places


def _distances(scene: Scene, chosen: np.ndarray) -> np.ndarray:
    """Return the distance from each chosen particle to its nearest neighbor; infinite for a lone one."""
    distinct, turns = np.unique(chosen, return_inverse=True)
    tree = cKDTree(to_host(scene.neighbors), balanced_tree=False)
    found: np.ndarray = tree.query(to_host(scene.positions)[distinct], k=2)[0][:, 1]
    return np.where(found > 0, found, USUAL)[turns]


def neighbor_distances(positions: Array, count: int) -> np.ndarray:
    """Return the distance to the nearest neighbor of `count` particles; infinite for a lone one. The seed is fixed."""
    chosen = np.random.default_rng(SEED).integers(len(positions), size=count)
    return _distances(Scene(positions, positions[:, 0], positions), chosen)


def particle_sample(positions: Array, charges: Array, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose particles to compare: all of them, or those with the largest charges and clusters of neighbors.

    Returns
    -------
    chosen : (s,) int
    weights : (s,) float64
        How many particles each stands for.
    clusters : (s,) int
        The cluster that each was drawn with, whose errors may cancel as those of the ends of a dipole do.
    """
    sizes, n = np.abs(to_host(charges)), len(charges)
    if n <= count:
        return np.arange(n), np.ones(n), np.zeros(n, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    largest, others = order[: count // 4], np.sort(order[count // 4 :])
    boxes = _boxes(to_host(positions)[others])
    labels = np.unique(boxes)
    picked = np.random.default_rng(SEED).permutation(labels)
    members = np.bincount(boxes)[picked]
    taken = picked[: max(1, int(np.searchsorted(np.cumsum(members), count - len(largest), side="right")))]
    inside = np.isin(boxes, taken)
    drawn = others[inside]
    weights = np.concatenate([np.ones(len(largest)), np.full(len(drawn), len(others) / len(drawn))])
    return np.concatenate([largest, drawn]), weights, np.concatenate([np.zeros(len(largest), int), boxes[inside]])


def _boxes(positions: np.ndarray) -> np.ndarray:
    """Return the number of the box of each particle, with about `CLUSTER` particles a box."""
    low, high = positions.min(axis=0) - 1e-6, positions.max(axis=0) + 1e-6
    width = max(float(np.prod(high - low) * CLUSTER / len(positions)) ** (1 / 3), float((high - low).max()) / 1024)
    n1, n2, n3 = (max(1, int(length / width)) for length in high - low)
    c1, c2, c3 = BoxGrid(tuple(zip(low.tolist(), high.tolist())), (n1, n2, n3)).cells(positions)
    return np.asarray((c1 * n2 + c2) * n3 + c3)
