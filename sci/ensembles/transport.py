"""Optimal transport between weighted points: Sinkhorn's iteration without a matrix of costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from sci.arguments import Real, collective_entry
from sci.backend import Array, as_finite, namespace, to_host
from sci.distributed import Comm, agreed, allreduce_max, allreduce_sum
from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg import PackedPoints, log_sum_exp, weighted_sum

__all__ = ["Divergence", "Transport", "sinkhorn", "sinkhorn_divergence"]

_TRIAL = 20
"""Plain steps from whose contraction the over-relaxation is chosen."""


@dataclass(frozen=True)
class Transport:
    """Regularized transport between two sets of weighted points.

    Parameters
    ----------
    value : float
        sum_i a_i f_i + sum_j b_j g_j (balanced): the cost of transport plus `reg` times the entropy of the plan
        relative to the product of the weights, in the unit of the squared distance.
    f, g : (n,), (m,) arrays
        Potentials of this rank's points: the derivatives of the value by the weights, up to a constant.
    barycenters : (n, d) array
        Where each x goes on average, sum_j P_ij y_j / sum_j P_ij.
    mass : (n,) array
        sum_j P_ij, the weight of each x in the plan; the weights themselves but for the stated error if balanced.
    error : float
        Sum of the absolute errors of the marginals of the plan (balanced), or of the fixed point (unbalanced).
    iterations : int
        Updates of the potentials that were made.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import Transport
    >>> Transport(0.5, np.zeros(3), np.zeros(4), np.zeros((3, 2)), np.ones(3) / 3, 1e-9, 12).iterations
    12
    """

    value: float
    f: Array
    g: Array
    barycenters: Array
    mass: Array
    error: float
    iterations: int

    def __repr__(self) -> str:
        return (
            f"Transport(value {self.value:.6g}, {len(self.f)} to {len(self.g)} points, marginals to {self.error:.1e} "
            f"after {self.iterations} iterations)"
        )


@dataclass(frozen=True)
class _Side:
    """Points with the logarithms of their weights, and the points of the other side."""

    x: PackedPoints
    log_weights: Array
    total: float


@collective_entry
def sinkhorn(
    x: Array | PackedPoints,
    y: Array | PackedPoints,
    reg: float,
    *,
    a: Real | None = None,
    b: Real | None = None,
    unbalanced: float | None = None,
    tol: float = 1e-6,
    maxiter: int = 5000,
    comm: Comm = None,
) -> Transport:
    """Transport weights a of points x to weights b of y at least sum_ij P_ij |x_i - y_j|^2 + reg KL(P, a b).

    Parameters
    ----------
    x, y : (n, d), (m, d) float32 or float64, or PackedPoints
    reg : float
        Regularization in the unit of the squared distance: the square of the length below which detail is blurred.
    a, b : (n,), (m,), optional
        Weights, not negative; equal ones that add up to 1 unless given. Balanced transport needs equal sums.
    unbalanced : float, optional
        Cost of creating and removing weight, rho (KL(P 1, a) + KL(P' 1, b)), in the unit of the squared distance;
        sums may differ then.
    tol : float
        Largest `error`, relative to the sum of the weights.
    maxiter : int
        Updates of the potentials at most.
    comm : mpi4py communicator, optional
        Each rank holds points of its own.

    Returns
    -------
    Transport

    Raises
    ------
    ConvergenceError
        If `maxiter` iterations do not reach `tol`.
    InvalidValueError, ShapeError, DTypeError
        On every rank.

    Notes
    -----
    Two reductions over all pairs an iteration, about 2 d + 25 flops a pair, n + m numbers. The iteration runs on
    logarithms, so that no regularization is too small to be represented; it starts with a large one that halves, and is
    over-relaxed once its contraction is known. Iterations grow as 1 / reg in the worst case. Collective over `comm`.

    References
    ----------
    Cuturi, NIPS 2013; Chizat et al., Math. Comput. 87, 2563 (2018), unbalanced; Schmitzer, SIAM J. Sci. Comput. 41,
    A1443 (2019), scaling; Lehmann et al., Optim. Lett. 16, 2209 (2022), over-relaxation.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import sinkhorn
    >>> x = np.array([[0.0], [1.0]])
    >>> found = sinkhorn(x, x + 3.0, 1e-3)
    >>> round(found.value, 3), found.barycenters.ravel().round(6)
    (9.001, array([3., 4.]))
    """
    left, right = _checked("sinkhorn", x, y, a, b, reg, unbalanced, tol, maxiter, comm)
    return _solve(left, right, reg, unbalanced, tol, maxiter, comm)


def _checked(
    operation: str,
    x: Array | PackedPoints,
    y: Array | PackedPoints,
    a: Array | None,
    b: Array | None,
    reg: float,
    unbalanced: float | None,
    tol: float,
    maxiter: int,
    comm: Comm,
) -> tuple[_Side, _Side]:
    """Check the arguments on all ranks and return the two sides."""
    with agreed(comm, operation) as agreement:
        agreement.same(reg=reg, unbalanced=unbalanced, tol=tol, maxiter=maxiter)
        if not (0 < reg < np.inf and 0 < tol < 1 and maxiter > 0):
            raise InvalidValueError(f"reg {reg}, tol {tol}, maxiter {maxiter}; expected positive numbers, tol below 1")
        if unbalanced is not None and not 0 < unbalanced < np.inf:
            raise InvalidValueError(f"unbalanced is {unbalanced}; expected a positive number, or None for balanced")
        packed = [p if isinstance(p, PackedPoints) else PackedPoints(p) for p in (x, y)]
        weights = [_weights(w, name, p) for w, name, p in zip((a, b), "ab", packed)]
        agreement.gather(*(len(p) for p in packed))
    counts = agreement.table.sum(axis=0)
    sums = []
    for k, given in enumerate((a, b)):
        if given is None:
            weights[k] /= max(1, counts[k])
        sums.append(float(allreduce_sum(np.array([float(weights[k].sum(dtype=np.float64))]), comm)[0]))
    if min(sums) <= 0:
        raise InvalidValueError(f"the weights of x and y add up to {sums[0]:g} and {sums[1]:g}; expected positive sums")
    if unbalanced is None and abs(sums[0] - sums[1]) > 1e-6 * sums[0]:
        raise InvalidValueError(
            f"the weights of x add up to {sums[0]:.8g} and those of y to {sums[1]:.8g}; expected equal sums, or "
            "unbalanced="
        )
    with np.errstate(divide="ignore"):
        left, right = (_Side(p, namespace(w).log(w), s) for p, w, s in zip(packed, weights, sums))
    return left, right


def _weights(given: Array | None, name: str, points: PackedPoints) -> Array:
    """Return weights of the points, in their dtype; ones unless given."""
    xp, n, dtype = namespace(points.array), len(points), points.array.dtype
    if given is None:
        return xp.ones(n, dtype)
    found = as_finite(given, name, shape=(n,), dtype=dtype, xp=xp)
    if n and float(found.min()) < 0:
        raise InvalidValueError(f"{name} holds a negative weight, {float(found.min()):g}; expected weights from 0")
    return found + xp.zeros(1, dtype)


def _solve(left: _Side, right: _Side, reg: float, rho: float | None, tol: float, maxiter: int, comm: Comm) -> Transport:
    """Iterate, and sum up the plan."""
    xp = namespace(left.x.array)
    f, g = xp.zeros(len(left.x), left.x.array.dtype), xp.zeros(len(right.x), left.x.array.dtype)
    update = partial(_updated, rho=rho, comm=comm)
    eps, done = max(reg, _diameter(left, right, comm)), 0
    while eps > reg and done < maxiter:
        f = update(left, right, g, eps)
        g = update(right, left, f, eps)
        eps, done = max(reg, eps / 2), done + 1
    error, omega, before = np.inf, 1.0, [np.inf, np.inf]
    while error > tol and done < maxiter:
        next_f = update(left, right, g, reg)
        rows = _residual(left, f, next_f, reg, comm)
        f = f + omega * (next_f - f)
        next_g = update(right, left, f, reg)
        columns = _residual(right, g, next_g, reg, comm)
        g = g + omega * (next_g - g)
        error, done = columns if omega == 1 else rows + columns, done + 1
        omega, before = _relaxed(omega, error, before, done), [before[1], error]
    f = update(left, right, g, reg)
    error = _residual(right, g, update(right, left, f, reg), reg, comm)
    if error > 2 * tol:
        raise ConvergenceError(
            f"sinkhorn: the marginals are off by {error:.1e} after {done} iterations; expected {tol:g}: raise maxiter "
            f"(now {maxiter}), reg (now {reg:g}), or tol"
        )
    return _summed(left, right, f, g, reg, rho, error, done, comm)


def _updated(of: _Side, other: _Side, potential: Array, eps: float, *, rho: float | None, comm: Comm) -> Array:
    """Return the potential of one side that fits that of the other: half a step of the iteration."""
    soft = log_sum_exp(of.x, other.x.array, other.log_weights + potential / eps, 1 / eps, comm=comm)
    return -(eps if rho is None else eps * rho / (rho + eps)) * soft


def _to_itself(side: _Side, reg: float, rho: float | None, tol: float, maxiter: int, comm: Comm) -> Transport:
    """Transport a set to itself: both potentials are one, and the mean of it and its update converges in few steps."""
    f = namespace(side.x.array).zeros(len(side.x), side.x.array.dtype)
    error = np.inf
    for done in range(1, maxiter + 1):
        following = _updated(side, side, f, reg, rho=rho, comm=comm)
        error = _residual(side, f, following, reg, comm)
        if error <= tol:
            return _summed(side, side, f, f, reg, rho, error, done, comm)
        f = (f + following) / 2
    raise ConvergenceError(
        f"sinkhorn_divergence: the marginals of a set transported to itself are off by {error:.1e} after {maxiter} "
        f"iterations; expected {tol:g}: raise maxiter, reg (now {reg:g}), or tol"
    )


def _relaxed(omega: float, error: float, before: list[float], step: int) -> float:
    """Return the next over-relaxation: from the contraction of plain steps, and one again where the error grows."""
    if omega > 1:
        return omega if error < 10 * min(before) else 1.0
    if step % _TRIAL or not 0 < error < before[1] < np.inf:
        return 1.0
    contraction = error / before[1]
    return float(2 / (1 + np.sqrt(1 - min(contraction, 1 - 1e-6))))


def _diameter(left: _Side, right: _Side, comm: Comm) -> float:
    """Return the squared diagonal of the box around all points."""
    d = left.x.array.shape[1]
    corners = np.full((2, d), -np.inf)
    for side in (left, right):
        points = to_host(side.x.array).astype(float)
        if len(points):
            corners = np.maximum(corners, [points.max(axis=0), -points.min(axis=0)])
    corners = allreduce_max(corners, comm)
    return float((corners.sum(axis=0) ** 2).sum())


def _residual(side: _Side, now: Array, following: Array, reg: float, comm: Comm) -> float:
    """Return sum_i w_i |exp((f_i - T f_i) / reg) - 1| over the sum of weights: the error of a marginal of the plan."""
    xp = namespace(now)
    weights = xp.exp(side.log_weights.astype(float))
    with np.errstate(over="ignore", invalid="ignore"):
        off = weights * xp.abs(xp.expm1((now - following).astype(float) / reg))
    local = float(xp.where(weights > 0, off, 0).sum())
    return float(allreduce_sum(np.array([local]), comm)[0]) / side.total


def _summed(
    left: _Side,
    right: _Side,
    f: Array,
    g: Array,
    reg: float,
    rho: float | None,
    error: float,
    iterations: int,
    comm: Comm,
) -> Transport:
    """Return value, means and masses of the plan P_ij = a_i b_j exp((f_i + g_j - |x_i - y_j|^2) / reg)."""
    xp, dtype = namespace(f), f.dtype
    y, heights = right.x.array, right.log_weights + g / reg
    middle = xp.asarray(_mean(right, comm), dtype)  # differences to it keep the digits of a cloud far from the origin
    columns = xp.concatenate([y - middle, xp.ones((len(y), 1), dtype)], axis=1)
    soft = log_sum_exp(left.x, y, heights, 1 / reg, comm=comm)
    sums = weighted_sum(left.x, y, columns, heights, 1 / reg, soft, comm=comm)
    mass = xp.exp(left.log_weights + f / reg + soft)
    value = _dual(left, f, rho, comm) + _dual(right, g, rho, comm)
    if rho is not None:
        # The dual of the unbalanced problem also counts the mass of the plan.
        total = float(allreduce_sum(np.array([float(mass.sum(dtype=np.float64))]), comm)[0])
        value += reg * (left.total * right.total - total)
    return Transport(value, f, g, middle + sums[:, :-1] / sums[:, -1:], mass, error, iterations)


def _mean(side: _Side, comm: Comm) -> np.ndarray:
    points = to_host(side.x.array).astype(float)
    sums = allreduce_sum(np.append(points.sum(axis=0), len(points)), comm)
    return np.asarray(sums[:-1] / max(1.0, sums[-1]))


def _dual(side: _Side, potential: Array, rho: float | None, comm: Comm) -> float:
    """Return sum_i w_i f_i, or of the conjugate of rho KL for unbalanced transport."""
    xp = namespace(potential)
    values, weights = potential.astype(float), xp.exp(side.log_weights.astype(float))
    if rho is not None:
        values = -rho * xp.expm1(-values / rho)
    return float(allreduce_sum(np.array([float(xp.where(weights > 0, weights * values, 0).sum())]), comm)[0])


@dataclass(frozen=True)
class Divergence:
    """Debiased transport cost between two sets of weighted points.

    Parameters
    ----------
    value : float
        S(x, y) = T(x, y) - T(x, x) / 2 - T(y, y) / 2, in the unit of the squared distance; zero only for equal sets.
    by_points : (n, d) array
        Its gradient with respect to this rank's x.
    by_weights : (n,) array
        Its derivative by the weights of x; if balanced, up to a constant, as the sum of the weights is given.
    error : float
        Largest error of the marginals of the three plans.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import Divergence
    >>> Divergence(0.25, np.zeros((4, 2)), np.zeros(4), 1e-6).value
    0.25
    """

    value: float
    by_points: Array
    by_weights: Array
    error: float

    def __repr__(self) -> str:
        return f"Divergence(value {self.value:.6g} for {len(self.by_weights)} points, marginals to {self.error:.1e})"


@collective_entry
def sinkhorn_divergence(
    x: Array | PackedPoints,
    y: Array | PackedPoints,
    reg: float,
    *,
    a: Real | None = None,
    b: Real | None = None,
    unbalanced: float | None = None,
    tol: float = 1e-6,
    maxiter: int = 5000,
    comm: Comm = None,
) -> Divergence:
    """Measure how far two sets of weighted points are apart: S = T(x, y) - T(x, x) / 2 - T(y, y) / 2.

    Arguments, errors and costs are those of `sinkhorn`, three times.

    Parameters
    ----------
    x, y : (n, d), (m, d) float32 or float64, or PackedPoints
    reg : float
        In the unit of the squared distance.
    a, b : (n,), (m,), optional
        Weights; equal ones unless given.
    unbalanced : float, optional
    tol : float
    maxiter : int
    comm : mpi4py communicator, optional

    Returns
    -------
    Divergence

    Raises
    ------
    ConvergenceError, InvalidValueError, ShapeError, DTypeError
        On every rank.

    Notes
    -----
    Without the terms that are subtracted, a set is not closest to itself but to a shrunken copy. For small `reg` the
    value tends to the squared Wasserstein distance W_2^2, for large ones to the squared distance of the means.

    References
    ----------
    Feydy et al., AISTATS 2019; Sejourne et al., arXiv:1910.12958 (unbalanced).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import sinkhorn_divergence
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> round(sinkhorn_divergence(x, x + [3.0, 4.0], 1.0).value, 4)
    25.0
    """
    left, right = _checked("sinkhorn_divergence", x, y, a, b, reg, unbalanced, tol, maxiter, comm)
    settings = (reg, unbalanced, tol, maxiter, comm)
    cross, own, other = _solve(left, right, *settings), _to_itself(left, *settings), _to_itself(right, *settings)
    value = cross.value - 0.5 * (own.value + other.value)
    if unbalanced is not None:
        value += 0.5 * reg * (left.total - right.total) ** 2
    # Both arguments of T(x, x) move with x, so that its half counts in full; the plan is symmetric.
    points = left.x.array
    by_points = 2 * (
        cross.mass[:, None] * (points - cross.barycenters) - own.mass[:, None] * (points - own.barycenters)
    )
    by_weights = _slope(cross.f, reg, unbalanced) - _slope(0.5 * (own.f + own.g), reg, unbalanced)
    return Divergence(value, by_points, by_weights, max(cross.error, own.error, other.error))


def _slope(potential: Array, reg: float, rho: float | None) -> Array:
    """Return the derivative of the value by the weights, up to a constant that a divergence does not have."""
    return potential if rho is None else -(rho + reg) * namespace(potential).expm1(-potential / rho)
