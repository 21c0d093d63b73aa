"""All levels of a network: coarsenings and eliminations down to one that is solved directly."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import cos, pi, prod
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, to_device, to_host
from sci.errors import InvalidValueError
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.multigrid.hierarchy import finest_level
from sci.solvers.multigrid.level import Level
from sci.solvers.network.coarsening import Coarsening, coarsen
from sci.solvers.network.elimination import chains, eliminate
from sci.solvers.network.graph import Network, network_of, whole_operator
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Chains", "Direct", "NetworkHierarchy", "Smoothed", "Top", "chebyshev"]

COARSEST = 400
"""Unknowns of a level that is solved directly."""
CHAINS = 0.25
"""Part of the unknowns in chains from which on these are eliminated."""
FINEST_STEPS, STEPS = (2, 0.5), (4, 0.2)
"""Steps of Jacobi before and after a coarse correction and the lowest root of their polynomial, on the first level and
on others."""
FAR_APART = 1e5
"""Ratio of conductances from which on float32 costs iterations."""
STALLED = 0.95
"""A coarsening that leaves more than this part of the unknowns ends the hierarchy."""


def arrays_of(*matrices: SparseRows) -> tuple[Array, ...]:
    """Return all arrays of matrices."""
    return tuple(a for m in matrices for a in (m.starts, m.columns, m.values))


def chebyshev(steps: int, lowest: float, highest: float = 2.0) -> tuple[float, ...]:
    """Return the damping of each step: the inverse roots of a Chebyshev polynomial on an interval."""
    middle, half = (highest + lowest) / 2, (highest - lowest) / 2
    return tuple(1 / (middle + half * cos(pi * (2 * k + 1) / (2 * steps))) for k in range(steps))


@dataclass(frozen=True, eq=False)
class Top:
    """The finest level on padded arrays, where its cells are smoothed by Gauss-Seidel.

    Parameters
    ----------
    level : Level
    sweeps : int
        Half-sweeps before and after the correction.
    places : (n,) int64 array
        Of the rows of the interpolation in a flattened padded array.
    interpolation, restriction : SparseRows
        The columns of the restriction are places.
    """

    level: Level
    sweeps: int
    places: Array
    interpolation: SparseRows
    restriction: SparseRows


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A level that is smoothed and corrected by a coarser one.

    Parameters
    ----------
    links : SparseRows
        See `Network`.
    rest, inverse : (n,) array
        Terms of the diagonal beside the links, and the inverse of the diagonal.
    interpolation, restriction : SparseRows
        The interpolation and its transpose.
    damping : tuple of float
        Of the steps before the correction; reversed after it.
    """

    links: SparseRows
    rest: np.ndarray
    inverse: np.ndarray
    interpolation: SparseRows
    restriction: SparseRows
    damping: tuple[float, ...]

    @property
    def size(self) -> int:
        """Unknowns."""
        return int(self.rest.size)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays."""
        return (*arrays_of(self.links), self.rest, self.inverse, *arrays_of(self.interpolation, self.restriction))


@dataclass(frozen=True, eq=False)
class Chains:
    """A level whose chains are eliminated; see `Elimination`."""

    kept: np.ndarray
    order: np.ndarray
    near: np.ndarray
    share: np.ndarray

    @property
    def size(self) -> int:
        """Unknowns."""
        return int(self.kept.size + self.order.size)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays."""
        return self.kept, self.order, self.near, self.share


@dataclass(frozen=True, eq=False)
class Direct:
    """The last level: its inverse."""

    inverse: np.ndarray

    @property
    def size(self) -> int:
        """Unknowns."""
        return len(self.inverse)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays."""
        return (self.inverse,)


AnyLevel: TypeAlias = Smoothed | Chains | Direct


class NetworkHierarchy:
    """The levels of a Poisson operator that is taken for a network, finest first.

    Parameters
    ----------
    A : PoissonOperator
    dtype : float32 or float64, optional
        Of the cycle; by default float32 where no conductance is `FAR_APART` from another, and no chain is long.
    sweeps : int
        Half-sweeps of Gauss-Seidel on the finest level before and after a coarse correction.

    Attributes
    ----------
    top : Top or None
        The finest level, if it is smoothed on padded arrays.
    levels : list
        The others.
    places : (n,) array
        Of the unknowns in a flattened padded array.

    Notes
    -----
    Collective. On ranks every one holds all levels but the finest, whose right-hand sides they sum.
    """

    def __init__(self, A: PoissonOperator, dtype: Any = None, sweeps: int = 4) -> None:
        net, own = _whole_network(A)
        self.layout, xp = A.layout, A.xp
        padded = np.zeros(A.layout.padded_shape, dtype=bool)
        padded[A.layout.key] = to_host(A.mask)
        places = np.flatnonzero(padded)
        self.places = to_device(places, xp)
        in_chains = chains(net) >= CHAINS
        if dtype is None:
            dtype = np.float64 if in_chains or _contrast(net) > FAR_APART else np.float32
        self.dtype = np.dtype(dtype)
        self.levels: list[AnyLevel] = []
        self.top: Top | None = None
        odd = any(wraps and n % 2 for wraps, n in zip(A.periodic, A.grid_shape))
        if net.size > COARSEST and not in_chains and not odd:
            step = coarsen(net)
            if step.network.size <= STALLED * net.size:
                rows, columns = self._transfers(step, net.size, own, places)
                transfers = rows.on(xp), columns.on(xp)
                self.top = Top(_reacting_level(A, dtype), sweeps, self.places, *transfers)
                net = step.network
        elif A.comm is not None:
            raise InvalidValueError("a network of chains, or round an odd number of cells, needs one process")
        self._coarser(net)
        self.levels = [_moved(level, xp) for level in self.levels]

    def _coarser(self, net: Network) -> None:
        """Add the levels of a network."""
        anywhere = False
        while net.size > COARSEST:
            if chains(net) >= CHAINS:
                shorter = eliminate(net)
                self.levels.append(Chains(shorter.kept, shorter.order, shorter.near, shorter.share))
                net, anywhere = shorter.network, True
                continue
            level, coarse = self._smoothed(net, anywhere)
            if coarse.size > STALLED * net.size:
                break
            self.levels.append(level)
            net = coarse
        self.levels.append(Direct(direct_inverse(net).astype(self.dtype)))

    def _transfers(
        self, step: Coarsening, n: int, own: np.ndarray | None, places: np.ndarray
    ) -> tuple[SparseRows, SparseRows]:
        """Return the interpolation to this rank's unknowns and its transpose, which reads a padded array."""
        matrix = self._matrix(step, n)
        matrix = matrix if own is None else matrix[own]
        return _rows(matrix), _rows(matrix.T.tocsr(), places.astype(np.int32), prod(self.layout.padded_shape))

    def _matrix(self, step: Coarsening, n: int) -> Any:
        from scipy import sparse

        shape = (n, step.network.size)
        return sparse.csr_matrix((step.value.astype(self.dtype), step.index, step.start), shape=shape)

    def _smoothed(self, net: Network, anywhere: bool) -> tuple[Smoothed, Network]:
        step, dtype = coarsen(net, anywhere), self.dtype
        matrix = self._matrix(step, net.size)
        transfers = _rows(matrix), _rows(matrix.T.tocsr())
        rest = net.rest
        diagonal = net.links_sum + rest
        inverse = np.divide(1.0, diagonal, out=np.zeros(net.size), where=diagonal > 0)
        links = SparseRows(net.start, net.index, net.link.astype(dtype), net.size)
        # By Gershgorin's circles the eigenvalues of D^-1 A are at most 1 from 1, less the part of the other terms.
        least = float((rest * inverse)[diagonal > 0].min(initial=1.0))
        steps, lowest = STEPS if self.levels or self.top else FINEST_STEPS
        damping = chebyshev(steps, max(lowest, least), 2 - least)
        level = Smoothed(links, rest.astype(dtype), inverse.astype(dtype), *transfers, damping)
        return level, step.network

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.levels) + (self.top is not None)

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        arrays = [a for level in self.levels for a in level.arrays]
        if self.top is not None:
            top = self.top
            arrays += [top.places, *arrays_of(top.interpolation, top.restriction)]
        return sum(int(a.nbytes) for a in arrays) + (0 if self.top is None else self.top.level.nbytes)


def _rows(matrix: Any, renamed: np.ndarray | None = None, padded: int = 0) -> SparseRows:
    index = matrix.indices.astype(np.int32)
    index, width = (index, matrix.shape[1]) if renamed is None else (renamed[index], padded)
    return SparseRows(matrix.indptr.astype(np.int64), index, matrix.data, width)


def _moved(level: Any, xp: Any) -> Any:
    """Return a level with its arrays on a device; chains are gone through on the host."""
    if xp is np or isinstance(level, Chains):
        return level
    values = {f.name: getattr(level, f.name) for f in fields(level)}
    for name, value in values.items():
        values[name] = value.on(xp) if isinstance(value, SparseRows) else value
        values[name] = to_device(value, xp) if isinstance(value, np.ndarray) else values[name]
    return type(level)(**values)


def _reacting_level(A: PoissonOperator, dtype: Any) -> Level:
    level = finest_level(A, dtype)
    if A.reaction is None:
        return level
    return replace(level, d=level.d + A.layout.spread(A.reaction / A.unit, dtype))


def _contrast(net: Network) -> float:
    """Return the ratio of the largest to the smallest conductance."""
    return float(net.link.max() / net.link.min()) if net.link.size else 1.0


def _whole_network(A: PoissonOperator) -> tuple[Network, np.ndarray | None]:
    """Return the network of the whole grid and, on ranks, which of its unknowns are this rank's; collective."""
    if A.comm is None:
        return network_of(A), None
    whole = whole_operator(A)
    number = np.full(A.grid_shape, -1)
    number[to_host(whole.mask)] = np.arange(whole.size)
    return network_of(whole, A.unit), number[A.slices][to_host(A.mask)]


def matrix_of(net: Network) -> Any:
    """Return the matrix of a network as a `scipy.sparse.csr_matrix`."""
    from scipy import sparse

    rows = np.repeat(np.arange(net.size), np.diff(net.start))
    off = sparse.coo_matrix((-net.link, (rows, net.index)), shape=(net.size, net.size)).tocsr()
    return off + sparse.diags(net.links_sum + net.rest)


def direct_inverse(net: Network) -> np.ndarray:
    """Return the inverse of a small network, with one unknown of each component without other terms set to zero.

    The matrix is scaled by its diagonal, so that no threshold sees the sizes of the conductances.
    """
    from scipy.linalg import cho_factor, cho_solve
    from scipy.sparse.csgraph import connected_components

    n = net.size
    if n == 0:
        return np.zeros((0, 0))
    matrix = matrix_of(net).toarray()
    count, label = connected_components(net_pattern(net), directed=False)
    open_ = np.bincount(label, weights=net.rest > 0, minlength=count) > 0
    first = np.unique(label, return_index=True)[1]
    kept = np.ones(n, dtype=bool)
    kept[first[~open_]] = False
    result = np.zeros((n, n))
    if kept.any():
        inner = matrix[np.ix_(kept, kept)]
        scale = 1 / np.sqrt(np.diag(inner))
        factor = cho_factor(inner * np.outer(scale, scale))
        result[np.ix_(kept, kept)] = np.outer(scale, scale) * cho_solve(factor, np.eye(len(inner)))
    return result


def net_pattern(net: Network) -> Any:
    """Return the graph of a network as a `scipy.sparse.csr_matrix`."""
    from scipy import sparse

    return sparse.csr_matrix((np.ones(net.index.size), net.index, net.start), shape=(net.size, net.size))
