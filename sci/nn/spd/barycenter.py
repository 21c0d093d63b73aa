"""Bures-Wasserstein barycenters and means over the batches of all ranks, as ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import Comm, abort_on_error, agreed, allreduce_sum, form, size
from sci.errors import ConvergenceError, ShapeError
from sci.linalg import BuresWasserstein
from sci.nn.core.op import op
from sci.nn.spd.layers import require_square, symmetric_part
from sci.nn.spd.transport import MapFactors, map_factors

__all__ = ["batch_mean", "bures_barycenter"]


def _counts(x: Array, comm: Comm, name: str) -> tuple[int, int]:
    """Return this rank's samples and those of all ranks, after the ranks agree on the rest of the shape.

    Raises
    ------
    ShapeError
        On every rank, if no rank has a sample, or ranks have samples of different shapes.
    """
    with agreed(comm, name) as agreement:
        agreement.same(x=form(x, free=[0]))
        agreement.gather(len(x))
    total = int(agreement.table.sum())
    if total == 0:
        raise ShapeError(f"{name} of no samples, shape {tuple(x.shape)}; expected one or more over all ranks")
    return len(x), total


def _over_ranks(x: Array, comm: Comm) -> Array:
    return x if size(comm) == 1 else allreduce_sum(x, comm, checked=True)


def _agreed_gradient(dout: Array, count: int, total: int, comm: Comm, name: str) -> Array:
    """Return the gradient of the loss of all ranks: the mean of theirs, weighted by their samples."""
    if size(comm) == 1:
        return dout
    with agreed(comm, f"the gradient of {name}"):
        scaled = dout * (count / total)
    return allreduce_sum(scaled, comm, checked=True)


def _batch_mean_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    count, total, comm = residuals
    shared = _agreed_gradient(dout, count, total, comm, "batch_mean") / max(count, 1)
    return (namespace(shared).broadcast_to(shared, (count, *shared.shape)),)


@op(vjp=_batch_mean_vjp, collective=True)
def batch_mean(x: Array, *, comm: Comm = None) -> tuple[Array, Any]:
    """Return the mean over the samples of all ranks: `x` (batch, ...).

    Parameters
    ----------
    x : (batch, ...) array
        This rank's samples, one or more over all ranks.
    comm : mpi4py communicator, optional

    Returns
    -------
    array or variable
        The same on all ranks.

    Raises
    ------
    ShapeError

    Notes
    -----
    Collective, both ways. Each rank's loss is the mean over its own samples, and the loss of all the mean weighted by
    their samples: the convention of `sci.nn.train`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn.spd.barycenter import batch_mean
    >>> batch_mean(np.array([[1.0, 2.0], [3.0, 6.0]]))
    array([2., 4.])
    """
    count, total = _counts(x, comm, "batch_mean")
    return _over_ranks(x.sum(axis=0), comm) / total, (count, total, comm)


def _response(factors: MapFactors, sums: Array, x: Array) -> Array:
    """Return the solutions Z of each sample's Lyapunov equation M Z + Z M = x, in the basis of M: U' x U / sums."""
    xp, turned = namespace(x), factors.vectors.swapaxes(-1, -2)
    return xp.matmul(turned, xp.matmul(x, factors.vectors)) / sums


def _solve_fixed_point(factors: MapFactors, sums: Array, b: Array, total: int, comm: Comm) -> Array:
    """Return the symmetric X with mean_i L_i^-1[M_i X M_i] = b, M_i = (G^1/2 Y_i G^1/2)^1/2, L_i[Z] = M_i Z + Z M_i.

    The operator is symmetric and positive definite. Conjugate gradients are preconditioned by its inverse where all
    M_i are their mean G, X = b G^-1 + G^-1 b.

    Raises
    ------
    ConvergenceError
    """
    xp = namespace(b)
    products = factors.values[..., :, None] * factors.values[..., None, :]
    inverse = 1 / factors.root**2
    inverses = inverse[..., :, None] + inverse[..., None, :]

    def operator(x: Array) -> Array:
        inner = _response(factors, sums, x) * products
        own = xp.matmul(factors.vectors, xp.matmul(inner, factors.vectors.swapaxes(-1, -2))).sum(axis=0)
        return symmetric_part(_over_ranks(own, comm) / total)

    def dot(x: Array, y: Array) -> Array:
        return (x * y).sum(axis=(-2, -1), keepdims=True)

    tiny = np.finfo(b.dtype).tiny
    largest = abs(b).max(axis=(-2, -1), keepdims=True)
    unit = xp.where(largest > 0, largest, 1)
    # Only exactly symmetric residuals shrink: the operator does not see what rounding adds to the other part.
    x, r = xp.zeros_like(b), symmetric_part(b / unit)
    z = r * inverses
    p, rz = z, dot(r, z)
    limit = rz * (2 * float(np.finfo(b.dtype).eps)) ** 2
    with abort_on_error(comm):  # an agreement in each step would double its messages
        for _ in range(3 * b.shape[-1] ** 2 + 50):
            if bool((rz <= limit).all()):
                return x * unit
            q = operator(p)
            step = xp.where(rz <= limit, 0, rz / xp.maximum(dot(p, q), tiny))
            x = x + step * p
            r = r - step * q
            z = r * inverses
            before, rz = rz, dot(r, z)
            p = z + rz / xp.maximum(before, tiny) * p
    worst = float((rz / xp.maximum(limit, tiny)).max())
    if worst > 1e12:
        raise ConvergenceError(
            f"the gradient of a barycenter: conjugate gradients stopped {worst**0.5:.1e} times above rounding; "
            "expected matrices of a smaller condition: rectify them by reeig, or compute in float64"
        )
    return x * unit


def _bures_barycenter_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    factors, count, total, comm = residuals
    xp = namespace(dout)
    roots = factors.root[..., :, None] * factors.root[..., None, :]
    sums = factors.sums()
    given = _agreed_gradient(symmetric_part(dout), count, total, comm, "bures_barycenter")
    x = _solve_fixed_point(factors, sums, factors.in_basis(given) * roots, total, comm)
    right = factors.right
    inner = xp.matmul(right, xp.matmul(_response(factors, sums, x), right.swapaxes(-1, -2)))
    return (factors.from_basis(inner) / max(count, 1),)


@op(vjp=_bures_barycenter_vjp, collective=True)
def bures_barycenter(x: Array, *, comm: Comm = None) -> tuple[Array, Any]:
    """Return the Bures-Wasserstein barycenter G of each channel's matrices, over the samples of all ranks.

    The mean of the optimal maps from G to the matrices is the identity: mean_i (G^1/2 X_i G^1/2)^1/2 = G.

    Parameters
    ----------
    x : (batch, channel, n, n) array
        Positive definite matrices; this rank's samples, one or more over all ranks.
    comm : mpi4py communicator, optional

    Returns
    -------
    (channel, n, n) array or variable
        The same on all ranks.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, ConvergenceError

    Notes
    -----
    Collective, both ways. Forward the fixed point of `sci.linalg.BuresWasserstein.barycenter`, iterated to rounding.
    The gradient is that of the implicit function, not of the iterations: the change H of G^-1/2 dG G^-1/2 solves
    mean_i L_i^-1[M_i H M_i] = mean_i L_i^-1[G^1/2 dX_i G^1/2], with M_i = (G^1/2 X_i G^1/2)^1/2 and the Lyapunov
    operators L_i of M_i; preconditioned conjugate gradients solve the adjoint. Convention of the ranks' losses as in
    `sci.nn.train`: each is the mean over its own samples.

    References
    ----------
    Alvarez-Esteban et al., J. Math. Anal. Appl. 441, 744 (2016), for the fixed point.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import bures_barycenter
    >>> bures_barycenter(np.array([1.0, 4.0, 9.0])[:, None, None, None] * np.eye(2)).round(12)
    array([[[4., 0.],
            [0., 4.]]])
    """
    require_square(x, "bures_barycenter", 4)
    count, total = _counts(x, comm, "bures_barycenter")
    center = BuresWasserstein().barycenter(x.swapaxes(0, 1), comm=comm).mean
    return center, (map_factors(x, center), count, total, comm)
