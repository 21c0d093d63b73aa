"""All levels of a network: coarsenings and eliminations down to one that is solved directly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, to_device, to_host
from sci.linalg.sparse.rows import SparseRows, chebyshev_weights
from sci.solvers.multigrid.hierarchy import finest_level
from sci.solvers.multigrid.level import Level
from sci.solvers.network.coarsening import Coarsening, coarsen
from sci.solvers.network.elimination import chains, eliminate
from sci.solvers.network.graph import Network, network_of, whole_operator
from sci.solvers.network.numbers import PLAIN, NetworkNumbers
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Chains", "Direct", "Factored", "NetworkHierarchy", "Smoothed", "Top"]

COARSEST = 400
"""Unknowns of a level that is solved directly."""
CHAINS = 0.25
"""Part of the unknowns in chains from which on these are eliminated."""
FINEST_STEPS, STEPS = (2, 0.5), (4, 0.2)
"""Steps of Jacobi before and after a coarse correction and the lowest root of their polynomial, on the first level and
on others."""
FAR_APART = 1e5
"""Ratio of conductances, or entries of the diagonal, from which on float32 costs iterations."""
LARGEST_DENSE = 2000
STALLED = 0.95
"""A coarsening that leaves more than this part of the unknowns ends the hierarchy."""


def arrays_of(*matrices: SparseRows) -> tuple[Array, ...]:
    """Return all arrays of matrices."""
    return tuple(a for m in matrices for a in (m.starts, m.columns, m.values))


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


@dataclass(frozen=True, eq=False)
class Factored:
    """A last level that could not be coarsened and is too large for a dense inverse: its sparse factors, on the host.

    Parameters
    ----------
    size : int
    kept : (k,) int64 array
        Unknowns without one of each component that has no other terms.
    scale : (k,) array
        Of the matrix from both sides.
    factors : scipy.sparse.linalg.SuperLU
    """

    size: int
    kept: np.ndarray
    scale: np.ndarray
    factors: Any

    @classmethod
    def of(cls, net: Network) -> Factored:
        """Return the factors of a network."""
        from scipy.sparse import diags
        from scipy.sparse.linalg import splu

        kept = np.flatnonzero(_grounded(net))
        inner = matrix_of(net)[kept][:, kept]
        scale = 1 / np.sqrt(inner.diagonal())
        scaled = (diags(scale) @ inner @ diags(scale)).tocsc()
        options = {"SymmetricMode": True}
        return cls(net.size, kept, scale, splu(scaled, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options))

    def solve(self, f: np.ndarray) -> np.ndarray:
        """Return the solution (size,) for a right-hand side, both in double precision."""
        u = np.zeros(self.size)
        u[self.kept] = self.scale * self.factors.solve(self.scale * f[self.kept])
        return u

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays but those of the factors."""
        return self.kept, self.scale


AnyLevel: TypeAlias = Smoothed | Chains | Direct | Factored


class NetworkHierarchy:
    """The levels of a Poisson operator that is taken for a network, finest first.

    Parameters
    ----------
    A : PoissonOperator
    dtype : float32 or float64, optional
        Of the cycle; by default float32 where no conductance is `FAR_APART` from another, and no chain is long.
    sweeps : int
        Half-sweeps of Gauss-Seidel on the finest level before and after a coarse correction.
    numbers : NetworkNumbers
        Of each coarsening.

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

    def __init__(self, A: PoissonOperator, dtype: Any = None, sweeps: int = 4, numbers: NetworkNumbers = PLAIN) -> None:
        net, own = _whole_network(A)
        self._numbers = numbers
        self.layout, xp = A.layout, A.xp
        padded = np.zeros(A.layout.padded_shape, dtype=bool)
        padded[A.layout.key] = to_host(A.mask)
        places = np.flatnonzero(padded)
        self.places = to_device(places, xp)
        self.levels: list[AnyLevel] = []
        first: tuple[SparseRows, SparseRows] | None = None
        apart, odd = _contrast(net) > FAR_APART, any(w and n % 2 for w, n in zip(A.periodic, A.grid_shape))
        # On ranks the finest level is always one of padded arrays, whatever its size and its chains.
        if A.comm is not None or (net.size > COARSEST and chains(net) < CHAINS and not odd):
            step = coarsen(net, numbers=numbers)
            if A.comm is not None or step.network.size <= STALLED * net.size:
                first, net = self._transfers(step, net.size, own, places), step.network
        self._coarser(net, FINEST_STEPS if first is None else STEPS)
        if dtype is None:
            long = any(isinstance(level, Chains) for level in self.levels)
            dtype = np.float64 if apart or long else np.float32
        self.dtype = np.dtype(dtype)
        self.levels = [_moved(level, self.dtype, xp) for level in self.levels]
        self.top: Top | None = None
        if first is not None:
            transfers = [m.with_values(m.values.astype(dtype)).on(xp) for m in first]
            self.top = Top(_reacting_level(A, dtype), sweeps, self.places, *transfers)

    def _coarser(self, net: Network, steps: tuple[int, float]) -> None:
        """Add the levels of a network, in double precision, the first one with its own steps of Jacobi."""
        anywhere = False
        while net.size > COARSEST:
            if chains(net) >= CHAINS:
                shorter = eliminate(net)
                self.levels.append(Chains(shorter.kept, shorter.order, shorter.near, shorter.share))
                net, anywhere = shorter.network, True
                continue
            level, coarse = self._smoothed(net, anywhere, STEPS if self.levels else steps)
            if coarse.size > STALLED * net.size:
                break
            self.levels.append(level)
            net = coarse
        self.levels.append(Direct(direct_inverse(net)) if net.size <= LARGEST_DENSE else Factored.of(net))

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
        return sparse.csr_matrix((step.value, step.index, step.start), shape=shape)

    def _smoothed(self, net: Network, anywhere: bool, steps: tuple[int, float]) -> tuple[Smoothed, Network]:
        step = coarsen(net, anywhere, self._numbers)
        matrix = self._matrix(step, net.size)
        transfers = _rows(matrix), _rows(matrix.T.tocsr())
        rest = net.rest
        diagonal = net.links_sum + rest
        inverse = np.divide(1.0, diagonal, out=np.zeros(net.size), where=diagonal > 0)
        links = SparseRows(net.start, net.index, net.link, net.size)
        # By Gershgorin's circles the eigenvalues of D^-1 A are at most 1 from 1, less the part of the other terms.
        least = float((rest * inverse)[diagonal > 0].min(initial=1.0))
        damping = chebyshev_weights(max(steps[1] * self._numbers.root, least), 2 - least, steps[0])
        level = Smoothed(links, rest, inverse, *transfers, damping)
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


def _moved(level: AnyLevel, dtype: Any, xp: Any) -> AnyLevel:
    """Return a level in a precision, on a device; what runs on the host stays as it is."""
    if isinstance(level, Chains | Factored):
        return level
    if isinstance(level, Direct):
        return Direct(to_device(level.inverse.astype(dtype), xp))
    matrices = (level.links, level.interpolation, level.restriction)
    links, interpolation, restriction = (m.with_values(m.values.astype(dtype)).on(xp) for m in matrices)
    rest, inverse = (to_device(a.astype(dtype), xp) for a in (level.rest, level.inverse))
    return Smoothed(links, rest, inverse, interpolation, restriction, level.damping)


def _reacting_level(A: PoissonOperator, dtype: Any) -> Level:
    level = finest_level(A, dtype)
    if A.reaction is None:
        return level
    return replace(level, d=level.d + A.layout.spread(A.reaction / A.unit, dtype))


def _contrast(net: Network) -> float:
    """Return the largest ratio of two conductances, or of two entries of the diagonal."""
    diagonal = net.links_sum + net.rest
    parts = [values[values > 0] for values in (net.link, diagonal)]
    with np.errstate(over="ignore"):
        return max(float(part.max(initial=1e-300) / part.min(initial=1e300)) for part in parts)


def _whole_network(A: PoissonOperator) -> tuple[Network, np.ndarray | None]:
    """Return the network of the whole grid and, on ranks, which of its unknowns are this rank's; collective."""
    if A.blocks is None:
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

    The unknowns are eliminated as resistors of a network, each with its links and its terms to ground: sums and
    products of positive numbers alone, so that every entry is exact to rounding, however far the conductances are
    apart. Cholesky's factorization subtracts, and finds negative pivots from a ratio of 1e16 on.

    References
    ----------
    Grassmann, Taksar and Heyman, Oper. Res. 33, 1107 (1985).
    """
    from scipy.linalg import solve_triangular

    n, kept = net.size, _grounded(net)
    if not kept.any():
        return np.zeros((n, n))
    links = np.zeros((n, n))
    # Two unknowns may have a link on each axis.
    np.add.at(links, (np.repeat(np.arange(n), np.diff(net.start)), net.index), net.link)
    result, inside = np.zeros((n, n)), np.ix_(kept, kept)
    ground = net.rest[kept] + links[kept][:, ~kept].sum(axis=1)
    links, shares, diagonal = links[inside], np.eye(int(kept.sum())), np.zeros(int(kept.sum()))
    for i in range(len(diagonal)):
        near = i + 1 + np.flatnonzero(links[i, i + 1 :])
        diagonal[i] = links[i, near].sum() + ground[i]
        share = links[i, near] / diagonal[i]
        shares[near, i] = -share
        ground[near] += share * ground[i]
        links[np.ix_(near, near)] += share[:, None] * links[i, near]
    roots = solve_triangular(shares, np.eye(len(diagonal)), lower=True, unit_diagonal=True)
    roots /= np.sqrt(diagonal)[:, None]
    result[inside] = roots.T @ roots
    return result


def _grounded(net: Network) -> np.ndarray:
    """Return booleans (n,), false in one unknown of each component whose diagonal holds links alone."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n = net.size
    graph = sparse.csr_matrix((np.ones(net.index.size), net.index, net.start), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    open_ = np.bincount(label, weights=net.rest > 0, minlength=count) > 0
    kept = np.ones(n, dtype=bool)
    kept[np.unique(label, return_index=True)[1][~open_]] = False
    return kept
