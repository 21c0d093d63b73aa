"""The Bures-Wasserstein metric on symmetric positive definite matrices, generalized by a matrix and by a power."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, ArrayLike, as_finite, is_device_array, namespace
from sci.distributed import Comm, agreed, form, size
from sci.errors import InvalidValueError, ShapeError
from sci.linalg.bures_wasserstein.barycenter import Barycenter, as_weights, normalized, solved_barycenters
from sci.linalg.bures_wasserstein.displacement import displacement, in_basis, norm, sums_of
from sci.linalg.bures_wasserstein.images import Images, Point
from sci.linalg.bures_wasserstein.transport import TransportedVectors, transported
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.matrices import (
    as_symmetric,
    first_index,
    named,
    require_positive,
    symmetrized,
    transposed,
)

__all__ = ["BuresWasserstein"]

_PART = (1 << 24, 1 << 28)
"""Bytes of matrices that barycenters are computed of at a time, on the host and on a device."""


@entry
@dataclass(frozen=True, eq=False, repr=False)
class BuresWasserstein:
    """The Bures-Wasserstein geometry of symmetric positive definite matrices P.

    d(P, Q)^2 = tr P + tr Q - 2 tr (P^(1/2) Q P^(1/2))^(1/2): the 2-Wasserstein distance of normal distributions with
    covariances P and Q, and the least |Y - Z|_F over factors P = Y Y', Q = Z Z'. A geodesic is a straight line of such
    factors. With a metric M (generalized) and a power p (deformed) all is done with M^(-1/2) P^p M^(-1/2), and lengths
    are divided by |p|.

    Parameters
    ----------
    metric : (n, n), optional
        M, symmetric positive definite; the identity unless given.
    power : float
        p, not 0. Towards 0 the geometry becomes that of logarithms.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Matrices have shape (..., n, n), float32 or float64 (other numbers become float64), on the host or a device; leading
    axes of several arguments broadcast. Every method refuses NaN, matrices that are not symmetric, and such as are not
    positive definite beyond rounding (smallest eigenvalue above n eps of the largest), by their index. Results do not
    depend on the unit of the matrices.

    The relative error of a distance is a few eps times the square root of the condition, and at most a few eps times
    the condition, which is what eigenvalues with errors of eps times the largest leave. That holds for close matrices
    too, whose distance by the formula of traces has an error of the square root of eps.

    References
    ----------
    Bhatia, Jain and Lim, Expo. Math. 37, 165 (2019). Malago, Montrucchio and Pistone, Inf. Geom. 1, 137 (2018): log,
    exp, transport. Han, Mishra, Jawanpuria and Gao, Inf. Geom. 2023: the generalized metric. Alvarez-Esteban et al.,
    J. Math. Anal. Appl. 441, 744 (2016): the fixed point of barycenters.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import BuresWasserstein
    >>> geometry = BuresWasserstein()
    >>> p, q = np.diag([1.0, 4.0]), np.diag([9.0, 4.0])
    >>> round(float(geometry.distance(p, q)), 12), geometry.geodesic(p, q, 0.5)
    (2.0, array([[4., 0.],
           [0., 4.]]))
    """

    metric: ArrayLike | None = None
    power: float = 1.0
    _images: Images = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_images", Images(self.metric, self.power))

    def __repr__(self) -> str:
        metric = "" if self.metric is None else f"metric of order {self._images.order}"
        power = "" if self.power == 1 else f"power={self.power:g}"
        return f"BuresWasserstein({', '.join(part for part in (metric, power) if part)})"

    def distance(self, p: ArrayLike, q: ArrayLike) -> Array:
        """Return d(P, Q), in the square root of the unit of the matrices to the power.

        Parameters
        ----------
        p, q : (..., n, n)

        Returns
        -------
        (...)

        Notes
        -----
        Equal matrices have distance 0, and close ones keep all digits that Q - P has.
        """
        start, end, difference = self._images.pair(p, q)
        move = displacement(start.eigen, end.eigen, difference)
        root = namespace(move).sqrt(start.eigen.values)
        return norm(move * root[..., None, :]) / abs(self.power)

    def log(self, p: ArrayLike, q: ArrayLike) -> Array:
        """Return the tangent vector at P of the geodesic that reaches Q at time 1: (PQ)^(1/2) + (QP)^(1/2) - 2 P.

        Parameters
        ----------
        p, q : (..., n, n)

        Returns
        -------
        (..., n, n)
            Exactly symmetric.
        """
        start, end, difference = self._images.pair(p, q)
        move = displacement(start.eigen, end.eigen, difference)
        return self._images.pulled(start, _from_basis(start.eigen, move * sums_of(start.eigen)))

    def exp(self, p: ArrayLike, v: ArrayLike) -> Array:
        """Return the matrix that the geodesic from P with velocity V reaches at time 1: (I + L) P (I + L), PL + LP = V.

        Parameters
        ----------
        p : (..., n, n)
        v : (..., n, n)
            Symmetric.

        Returns
        -------
        (..., n, n)

        Raises
        ------
        InvalidValueError
            Also where I + L is not positive definite: beyond that the curve is no geodesic, and other vectors lead to
            the same matrix.
        """
        start, (v,) = self._images.at(p, v=v)
        move = in_basis(start.eigen, self._images.pushed(start, v)) / sums_of(start.eigen)
        _require_inside(move, 1.0, "exp", "v")
        return self._moved(start, move, 1.0, "exp")

    def geodesic(self, p: ArrayLike, q: ArrayLike, t: ArrayLike) -> Array:
        """Return the point at time t of the geodesic from P (t = 0) to Q (t = 1).

        Parameters
        ----------
        p, q : (..., n, n)
        t : float or array
            Broadcast with the leading axes. Times outside of [0, 1] extend the geodesic.

        Returns
        -------
        (..., n, n)

        Raises
        ------
        InvalidValueError
            Also where the extended geodesic has left the positive definite matrices.
        """
        start, end, difference = self._images.pair(p, q)
        xp, dtype = namespace(start.image), start.image.dtype
        time = as_finite(t, "t", dtype=dtype, xp=xp) if getattr(t, "ndim", np.ndim(t)) else _as_time(t)
        move = displacement(start.eigen, end.eigen, difference)
        if isinstance(time, float):
            outside, factor = not 0 <= time <= 1, time
        else:
            outside, factor = bool(((time < 0) | (time > 1)).any()), time[..., None, None]
        if outside:
            _require_inside(move, time, "geodesic", "t")
        return self._moved(start, move, factor, "geodesic")

    def inner(self, p: ArrayLike, v: ArrayLike, w: ArrayLike) -> Array:
        """Return the inner product of tangent vectors at P: tr(L_V W) / 2 with P L_V + L_V P = V.

        Parameters
        ----------
        p : (..., n, n)
        v, w : (..., n, n)
            Symmetric.

        Returns
        -------
        (...)
            The squared length of `log(p, q)` is the squared distance.
        """
        start, (v, w) = self._images.at(p, v=v, w=w)
        left, right = (in_basis(start.eigen, self._images.pushed(start, vector)) for vector in (v, w))
        return (left / sums_of(start.eigen) * right).sum(axis=(-2, -1)) / (2 * self.power**2)

    @collective_entry
    def barycenter(
        self,
        matrices: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        tol: float | None = None,
        maxiter: int = 500,
        comm: Comm = None,
    ) -> Barycenter:
        """Find the matrices with the least weighted mean squared distance to the k matrices of each set.

        Parameters
        ----------
        matrices : (..., k, n, n)
            Sets of matrices; this rank's part of each, which may be none.
        weights : (k,) or (..., k), optional
            Of this rank's matrices, not negative; only their ratios count. Equal unless given.
        tol : float, optional
            Residual at which a set ends, relative to the distance of the mean from zero: 8 eps unless given. A set
            also ends at 2 eps times the square root of the largest condition of its matrices, their own rounding, or
            where it no longer falls by half within 32 times that.
        maxiter : int
        comm : mpi4py communicator, optional

        Returns
        -------
        Barycenter
            The same on all ranks: means with residual, error and iterations of each set.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        ConvergenceError
            If a set does not reach its residual.

        Notes
        -----
        Collective over `comm`; 10 to 40 sums over ranks of a mean's size an iteration.

        The sum of squared distances is convex in the mean G. Newton's method along G + H G + G H, with a step to the
        mean of the factors nearest to that of G (the fixed point of Alvarez-Esteban et al.) where the sum does not
        fall: 4 to 7 iterations up to condition 1000, where the fixed point takes 15 to 60. A kernel takes matrices up
        to order 3, one set a thread; larger ones are array calls with conjugate gradients inside of each step. Sets are
        taken by 16 MB (256 MB on a device), so that overlapping windows of a field, views that NumPy makes without a
        copy, never lie in memory all at once.

        Examples
        --------
        >>> import numpy as np
        >>> from sci.linalg import BuresWasserstein
        >>> BuresWasserstein().barycenter([np.diag([1.0, 4.0]), np.diag([9.0, 4.0])], [3.0, 1.0]).mean
        array([[2.25, 0.  ],
               [0.  , 4.  ]])
        """
        parts = _parts(matrices) if size(comm) == 1 else []
        if len(parts) < 2:
            return self._barycenters(matrices, weights, tol, maxiter, comm, "matrices")
        given: Any = weights if weights is None or hasattr(weights, "shape") else np.asarray(weights)
        shared = given is None or given.ndim < 2
        if not shared and given.shape != matrices.shape[:-2]:
            raise ShapeError(f"weights have shape {given.shape}; expected {matrices.shape[:-2]}")
        found = []
        for part in parts:
            name, own = f"matrices[{part.start}:{part.stop}]", given if shared else given[part]
            found.append(self._barycenters(matrices[part], own, tol, maxiter, comm, name))
        xp, names = namespace(found[0].mean), ("mean", "residual", "error", "iterations")
        return Barycenter(*(xp.concatenate([getattr(one, name) for one in found]) for name in names))

    def variance(self, matrices: ArrayLike, weights: ArrayLike | None = None, mean: ArrayLike | None = None) -> Array:
        """Return the weighted mean of the squared distances of each set from its mean.

        Parameters
        ----------
        matrices : (..., k, n, n)
        weights : (k,) or (..., k), optional
            As for `barycenter`.
        mean : (..., n, n), optional
            The barycenter unless given.

        Returns
        -------
        (...)
            In the unit of the matrices to the power.
        """
        if mean is None:
            mean = self.barycenter(matrices, weights).mean
        sets, center = as_symmetric(matrices, "matrices"), as_symmetric(mean, "mean")
        if sets.ndim < 3 or sets.shape[-3] == 0:
            raise ShapeError(f"matrices have shape {tuple(sets.shape)}; expected (..., k, n, n) with k at least 1")
        distances = self.distance(center[..., None, :, :], sets)
        given = normalized(as_weights(weights, sets), None).reshape(sets.shape[:-2])
        return (given * distances * distances).sum(axis=-1)

    def transport(self, p: ArrayLike, q: ArrayLike, v: ArrayLike, *, tol: float | None = None) -> TransportedVectors:
        """Transport tangent vectors at P along the geodesic to Q, parallel to themselves.

        Parameters
        ----------
        p, q : (..., n, n)
        v : (..., n, n)
            Symmetric.
        tol : float, optional
            Error of the scheme over the length of the vector: 1e-11 (1e-5 in float32) unless given.

        Returns
        -------
        TransportedVectors
            Vectors at Q, and the error of each.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        ConvergenceError
            If the error does not fall to `tol`.

        Notes
        -----
        Where P and Q commute, as where one is a multiple of the identity, the closed form: in their common basis v_ij
        is multiplied by ((q_i + q_j) / (p_i + p_j))^(1/2). Else the equation of parallel transport, integrated by
        midpoints with steps that grow away from nearly singular ends, extrapolated in the step (Gragg, Bulirsch and
        Stoer): 32 to 128 steps of six products of matrices.
        """
        start, end, difference = self._images.pair(p, q)
        _, (v,) = self._images.at(p, v=v)
        dtype = start.image.dtype
        if tol is None:
            tol = 1e-5 if dtype == np.float32 else 1e-11
        if not tol > 0:
            raise InvalidValueError(f"tol is {tol}; expected a positive number")
        pushed = self._images.pushed(start, v)
        ends = start.image, end.image
        batch = np.broadcast_shapes(*(a.shape for a in (*ends, pushed)))
        first, second = (_flat_eigen(point.eigen, batch) for point in (start, end))
        p_flat, q_flat, d_flat, v_flat = (_flat(a, batch) for a in (*ends, difference, pushed))
        found = transported(first, second, (p_flat, q_flat), d_flat, v_flat, tol)
        vectors = self._images.pulled(end, found.vectors.reshape(batch))
        return TransportedVectors(vectors, found.error.reshape(batch[:-2]))

    def _barycenters(
        self,
        matrices: ArrayLike,
        weights: ArrayLike | None,
        tol: float | None,
        maxiter: int,
        comm: Comm,
        name: str,
    ) -> Barycenter:
        """Return the barycenters of sets that fit into memory."""
        with agreed(comm, "barycenter") as agreement:
            sets = as_symmetric(matrices, name)
            if sets.ndim < 3:
                raise ShapeError(f"{name} have shape {tuple(sets.shape)}; expected (..., k, n, n)")
            *batch, k, n, _ = sets.shape
            given = as_weights(weights, sets)
            if tol is not None and not 0 < tol < 1:
                raise InvalidValueError(f"tol is {tol}; expected a relative residual between 0 and 1")
            if maxiter < 1:
                raise InvalidValueError(f"maxiter is {maxiter}; expected at least 1")
            images = sets if self._images.plain else self._images.point(sets, name).image
            if size(comm) > 1 and images.size:
                require_positive(symmetric_eigen(images).values, name, definite=True)
            agreement.same(matrices=form(sets, free=[sets.ndim - 3]), tol=tol, maxiter=maxiter)
            agreement.same(metric=self.metric, power=self.power, weights=weights is None)
            agreement.gather(k)
        if not agreement.table.any():
            raise ShapeError(f"{name} have shape {tuple(sets.shape)}; expected (..., k, n, n) with k at least 1")
        count = int(np.prod(batch))
        found = solved_barycenters(
            *(images.reshape(count, k, n, n), normalized(given, comm), tol, maxiter, tuple(batch)),
            comm=comm,
            name=name,
        )
        if self._images.plain:
            return found
        return Barycenter(self._images.back(found.mean, "barycenter"), found.residual, found.error, found.iterations)

    def _moved(self, start: Point, move: Array, t: Array | float, what: str) -> Array:
        """Return the matrix of the image (I + t L) P (I + t L)."""
        xp = namespace(move)
        root = xp.sqrt(start.eigen.values)[..., None, :]
        factor = start.eigen.vectors @ (xp.eye(move.shape[-1], dtype=move.dtype) * root + t * (move * root))
        return self._images.back(symmetrized(factor @ transposed(factor)), what)


def _parts(matrices: ArrayLike) -> list[slice]:
    """Return slices of the first axis of an array of sets, so that windows of a field are never copied all at once."""
    shape = tuple(getattr(matrices, "shape", ()))
    if len(shape) < 4 or 0 in shape:
        return []
    rows = max(1, _PART[is_device_array(matrices)] * shape[0] // (prod(shape) * matrices.dtype.itemsize))
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)]


def _as_time(t: ArrayLike) -> float:
    """Return one time.

    Raises
    ------
    InvalidValueError
    """
    time = float(t)
    if not isfinite(time):
        raise InvalidValueError(f"t is {time}; expected a finite number")
    return time


def _from_basis(eigen: SymmetricEigen, inner: Array) -> Array:
    return symmetrized(eigen.vectors @ inner @ transposed(eigen.vectors))


def _flat(matrices: Array, shape: tuple[int, ...]) -> Array:
    xp, n = namespace(matrices), shape[-1]
    return xp.broadcast_to(matrices, shape).reshape(-1, n, n)


def _flat_eigen(eigen: SymmetricEigen, shape: tuple[int, ...]) -> SymmetricEigen:
    values = namespace(eigen.values).broadcast_to(eigen.values, shape[:-1]).reshape(-1, shape[-1])
    return SymmetricEigen(values, _flat(eigen.vectors, shape))


def _require_inside(move: Array, t: Array | float, what: str, name: str) -> None:
    """Refuse t L for which I + t L is not positive definite.

    Raises
    ------
    InvalidValueError
    """
    xp = namespace(move)
    ends = symmetric_eigen(move).values
    low = 1 + xp.minimum(ends[..., 0] * t, ends[..., -1] * t)
    bad = ~(low > ends.shape[-1] * float(np.finfo(move.dtype).eps))
    if bool(bad.any()):
        where = first_index(bad)
        least = float(low[where])
        raise InvalidValueError(
            f"{what}: {name} leads {named(where)} out of the domain in which geodesics are unique: the smallest "
            f"eigenvalue of I + L is {least:.6g}; expected above 0: "
            + (f"shorten v by a factor below {1 / (1 - least):.3g}" if name == "v" else "choose t nearer to [0, 1]")
        )
