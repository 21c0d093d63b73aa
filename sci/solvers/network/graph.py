"""The network of links between the unknowns of a Poisson operator, from which coarser networks are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import to_host
from sci.solvers.network.kernels import run
from sci.solvers.poisson.boundary import beyond_face
from sci.solvers.poisson.faces import DIRICHLET
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Network", "network_of", "whole_operator"]


@dataclass(frozen=True, eq=False)
class Network:
    """A network of n unknowns: (A u)_i = sum over links of g (u_i - u_j) + (e_i + s_i) u_i.

    Parameters
    ----------
    start : (n + 1,) int64 array
        Links of unknown i are those from start[i] to start[i + 1]; each stands with both of its ends.
    index : (m,) int32 array
        Where a link leads to.
    link : (m,) float64 array
        Conductance g.
    axis : (m,) int8 array
        0, 1 or 2.
    fixed : (3, n) float64 array
        Dirichlet terms of each axis; e is their sum.
    reaction : (n,) float64 array
    place : (3, n) int32 array
        Coordinates.
    """

    start: np.ndarray
    index: np.ndarray
    link: np.ndarray
    axis: np.ndarray
    fixed: np.ndarray
    reaction: np.ndarray
    place: np.ndarray

    @property
    def size(self) -> int:
        """Unknowns."""
        return int(self.reaction.size)

    @property
    def rest(self) -> np.ndarray:
        """What the diagonal holds beside the links, e + s."""
        return np.asarray(self.fixed.sum(axis=0) + self.reaction)

    @property
    def links_sum(self) -> np.ndarray:
        """Sum (n,) of the links of each unknown."""
        total: np.ndarray = np.zeros(self.size)
        rows = np.flatnonzero(np.diff(self.start))
        if rows.size:
            total[rows] = np.add.reduceat(self.link, self.start[rows])
        return total


def network_of(A: PoissonOperator, unit: float | None = None) -> Network:
    """Return the network of the unknowns of an operator of one process.

    Parameters
    ----------
    A : PoissonOperator
    unit : float, optional
        Of the conductances of an operator that is not constant; its own by default.
    """
    unit = A.unit if unit is None else unit
    layout = A.layout
    number = np.full(layout.padded_shape, -1, dtype=np.int32)
    inside = np.full(A.local_shape, -1, dtype=np.int32)
    mask = to_host(A.mask)
    inside[mask] = np.arange(A.size, dtype=np.int32)
    number[layout.key] = inside
    layout.wrap(number)
    variable = A.stencil.offdiag is not None
    offdiag = to_host(A.stencil.offdiag) / unit if variable else np.zeros((3, 1, 1, 1))
    start = np.zeros(A.size + 1, dtype=np.int64)
    index, link, axis = np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int8)
    shape = layout.padded_shape
    run("grid_links", number, offdiag, start, index, link, axis, *shape, 0, variable=variable)
    m = int(start[-1])
    index, link, axis = np.empty(m, np.int32), np.empty(m), np.empty(m, np.int8)
    run("grid_links", number, offdiag, start, index, link, axis, *shape, 1, variable=variable)
    fixed = np.zeros((3, A.size))
    if A.constant:
        kind = to_host(A.kind)[layout.halo_view]
        for a in range(A.ndim):
            for side in (-1, 1):
                fixed[a + 3 - A.ndim] += (beyond_face(kind, a, side) == DIRICHLET)[mask]
    else:
        for a, _, _, wall in A.faces():
            fixed[a + 3 - A.ndim] += to_host(wall)[mask] / unit
    reaction = np.zeros(A.size) if A.reaction is None else to_host(A.reaction)[mask] / unit
    place = np.zeros((3, A.size), dtype=np.int32)
    place[3 - A.ndim :] = np.nonzero(mask)
    return Network(start, index, link, axis, fixed, reaction, place)


def whole_operator(A: PoissonOperator) -> PoissonOperator:
    """Return the operator of the whole grid on one process, on every rank; collective."""
    given = {"neumann_body": A.neumann_body, "coefficient": A.coefficient, "reaction": A.reaction}
    cells = {name: None if values is None else A.gather(values) for name, values in given.items()}
    factors, mask = A.gathered_factors(), A.gather(A.mask)
    return PoissonOperator(mask, A.spacing, A.boundary, **cells, face_factors=factors, mean=A.mean)
