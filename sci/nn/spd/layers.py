"""Layers on symmetric positive definite matrices: BiMap, ReEig, LogEig, and the parameters they need.

Weights that lie on a manifold are functions of free arrays: a semi-orthogonal matrix is the polar factor of one, a
positive definite matrix the exponential of one. So every optimizer, schedule, checkpoint and all-reduce works on them
unchanged, the constraint holds to rounding after every step, and no retraction has to be chosen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import ShapeError
from sci.linalg import symmetric_eigen
from sci.linalg.symmetric.functions import FunctionName
from sci.nn.core.op import op
from sci.nn.ops.arithmetic import kind_of, unbroadcast
from sci.nn.ops.checks import broadcast, require_single_or_double

__all__ = ["bimap", "congruence", "logeig", "matrix_function", "positive_definite", "reeig", "semi_orthogonal"]


def symmetric_part(x: Array) -> Array:
    """Return the mean of each matrix and its transpose."""
    return (x + x.swapaxes(-1, -2)) * 0.5


def require_square(x: Array, name: str, ndim: int = 2) -> None:
    """Raise DTypeError or ShapeError unless `x` is (..., n, n) of `ndim` axes or more, float32 or float64."""
    require_single_or_double(x, name)
    if x.ndim < ndim or x.shape[-1] != x.shape[-2] or x.shape[-1] == 0:
        raise ShapeError(
            f"{name} of shape {tuple(x.shape)}; expected square matrices on the last of {ndim} axes or more"
        )


def _matrix_function_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    eigen, name, exponent, threshold = residuals
    return (eigen.function_vjp(dout, name, exponent, threshold),)


@op(vjp=_matrix_function_vjp)
def matrix_function(
    x: Array, *, name: FunctionName, exponent: float | None = None, threshold: float | None = None
) -> tuple[Array, Any]:
    """Return f(X) = U f(eigenvalues) U' of symmetric matrices; the gradient is right at repeated eigenvalues.

    Parameters
    ----------
    x : (..., n, n) array
        Symmetric to rounding.
    name : "sqrt", "inverse_sqrt", "log", "exp", "inverse", "power" or "rectify"
    exponent : float, optional
        Of "power".
    threshold : float, optional
        Of "rectify".

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        As `sci.linalg.symmetric_function`: matrices that are not symmetric, or outside the domain, are named.

    Notes
    -----
    One eigenvalue decomposition serves value and gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import matrix_function
    >>> matrix_function(np.diag([1.0, 4.0]), name="sqrt")
    array([[1., 0.],
           [0., 2.]])
    """
    require_square(x, "matrix_function")
    eigen = symmetric_eigen(x)
    return eigen.function(name, exponent, threshold), (eigen, name, exponent, threshold)


@op(vjp=_matrix_function_vjp)
def reeig(x: Array, *, threshold: float = 1e-4) -> tuple[Array, Any]:
    """Return U max(eigenvalues, threshold) U': the nonlinearity ReEig.

    Parameters
    ----------
    x : (..., n, n) array
        Symmetric to rounding.
    threshold : float
        Smallest eigenvalue of the results.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    References
    ----------
    Huang and Van Gool, AAAI 2017 (arXiv 1608.04233), equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import reeig
    >>> reeig(np.diag([2.0, 1e-9]), threshold=0.5)
    array([[2. , 0. ],
           [0. , 0.5]])
    """
    require_square(x, "reeig")
    eigen = symmetric_eigen(x)
    return eigen.function("rectify", threshold=threshold), (eigen, "rectify", None, threshold)


def _triangle(n: int, like: Array) -> tuple[Array, Array, Array]:
    """Return rows, columns and factors of the upper triangle: 1/2 on the diagonal, 1/sqrt 2 above."""
    rows, columns = np.triu_indices(n)
    factors = np.where(rows == columns, 0.5, math.sqrt(0.5)).astype(like.dtype)
    xp = namespace(like)
    return to_device(rows, xp), to_device(columns, xp), to_device(factors, xp)


def _logeig_vjp(dout: Array, eigen: Any) -> tuple[Array]:
    rows, columns, factors = _triangle(eigen.values.shape[-1], dout)
    full = namespace(dout).zeros(eigen.vectors.shape, dout.dtype)
    full[..., rows, columns] += dout * factors
    full[..., columns, rows] += dout * factors
    return (eigen.function_vjp(full, "log"),)


@op(vjp=_logeig_vjp)
def logeig(x: Array) -> tuple[Array, Any]:
    """Return the logarithm of positive definite matrices as vectors: the layer LogEig.

    The entries of the upper triangle, row by row, those above the diagonal times sqrt 2, so that the inner product of
    two vectors is that of the matrices.

    Parameters
    ----------
    x : (..., n, n) array
        Symmetric positive definite.

    Returns
    -------
    (..., n (n + 1) / 2) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    References
    ----------
    Huang and Van Gool, AAAI 2017 (arXiv 1608.04233), equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import logeig
    >>> logeig(np.diag(np.exp([1.0, -2.0]))).round(12)
    array([ 1.,  0., -2.])
    """
    require_square(x, "logeig")
    eigen = symmetric_eigen(x)
    log = eigen.function("log")
    rows, columns, factors = _triangle(x.shape[-1], log)
    return (log[..., rows, columns] + log[..., columns, rows]) * factors, eigen


def _bimap_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    x, weight = residuals
    xp = namespace(dout)
    inner = xp.matmul(symmetric_part(dout)[:, :, None], weight)
    dx = xp.matmul(weight.swapaxes(-1, -2), inner).sum(axis=1)
    return dx, xp.matmul(inner, (x + x.swapaxes(-1, -2))[:, None]).sum(axis=0)


@op(vjp=_bimap_vjp)
def bimap(x: Array, weight: Array) -> tuple[Array, Any]:
    """Return the bilinear maps Y[b, o] = sum_i W[o, i] X[b, i] W[o, i]': the layer BiMap.

    Positive definite matrices stay so where the rows of each W[o, i] are independent, as those of `semi_orthogonal`.

    Parameters
    ----------
    x : (batch, in, n, n) array
        Symmetric; the symmetric part counts.
    weight : (out, in, m, n) array

    Returns
    -------
    (batch, out, m, m) array or variable
        Exactly symmetric.

    Raises
    ------
    ShapeError, DTypeError

    Notes
    -----
    2 batch out in m n (m + n) flops.

    References
    ----------
    Huang and Van Gool, AAAI 2017 (arXiv 1608.04233), equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import bimap
    >>> bimap(np.diag([1.0, 2.0, 4.0])[None, None], np.eye(3)[None, None, 1:])
    array([[[[2., 0.],
             [0., 4.]]]])
    """
    require_square(x, "bimap", 4)
    require_single_or_double(weight, "weight")
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != x.shape[1] or weight.shape[3] != x.shape[3]:
        raise ShapeError(
            f"bimap of x {tuple(x.shape)} and weight {tuple(weight.shape)}; expected (batch, in, n, n) and (out, in, "
            "m, n)"
        )
    xp = namespace(x, weight)
    out = xp.matmul(xp.matmul(weight, x[:, None]), weight.swapaxes(-1, -2)).sum(axis=2)
    return symmetric_part(out), (x, weight)


def _congruence_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    x, a = residuals
    xp = namespace(dout)
    inner = xp.matmul(symmetric_part(dout), a)
    dx, da = xp.matmul(a.swapaxes(-1, -2), inner), xp.matmul(inner, x + x.swapaxes(-1, -2))
    return unbroadcast(dx, kind_of(x)), unbroadcast(da, kind_of(a))


@op(vjp=_congruence_vjp)
def congruence(x: Array, a: Array) -> tuple[Array, Any]:
    """Return the symmetric part of A X A', the leading axes broadcast.

    Parameters
    ----------
    x, a : (..., n, n) arrays

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn.spd.layers import congruence
    >>> congruence(np.eye(2), np.array([[1.0, 1.0], [0.0, 1.0]]))
    array([[2., 1.],
           [1., 1.]])
    """
    require_square(x, "congruence")
    require_square(a, "congruence")
    product = broadcast("congruence", namespace(x, a).matmul, a, x)
    return symmetric_part(broadcast("congruence", namespace(x, a).matmul, product, a.swapaxes(-1, -2))), (x, a)


def _semi_orthogonal_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    free, eigen, root = residuals
    xp = namespace(dout)
    dgram = eigen.function_vjp(xp.matmul(dout, free.swapaxes(-1, -2)), "inverse_sqrt")
    return (xp.matmul(root, dout) + 2 * xp.matmul(dgram, free),)


@op(vjp=_semi_orthogonal_vjp)
def semi_orthogonal(free: Array) -> tuple[Array, Any]:
    """Return the polar factor W = (A A')^(-1/2) A, whose rows are orthonormal: a point of the Stiefel manifold.

    Parameters
    ----------
    free : (..., m, n) array
        A, of rank m <= n; any real numbers, so that an optimizer moves it freely.

    Returns
    -------
    (..., m, n) array or variable
        The matrix with orthonormal rows that is nearest to A.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError where the rows are dependent to rounding.

    Notes
    -----
    The error of W W' = I is about the squared condition of A times the unit of the last place. W does not change where
    A is scaled, so A never shrinks under gradients; start from orthonormal rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import semi_orthogonal
    >>> semi_orthogonal(np.array([[3.0, 0.0, 4.0]]))
    array([[0.6, 0. , 0.8]])
    """
    require_single_or_double(free, "semi_orthogonal")
    if free.ndim < 2 or free.shape[-2] > free.shape[-1]:
        raise ShapeError(
            f"semi_orthogonal of shape {tuple(free.shape)}; expected (..., m, n) with m <= n, rows that can be "
            "orthonormal"
        )
    xp = namespace(free)
    eigen = symmetric_eigen(symmetric_part(xp.matmul(free, free.swapaxes(-1, -2))))
    root = eigen.function("inverse_sqrt")
    return xp.matmul(root, free), (free, eigen, root)


def _positive_definite_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    eigen, exponent = residuals
    return (exponent * eigen.function_vjp(dout, "exp"),)


@op(vjp=_positive_definite_vjp)
def positive_definite(free: Array, *, exponent: float = 1.0) -> tuple[Array, Any]:
    """Return P^exponent for P = exp((S + S') / 2): a positive definite matrix of a free one.

    Parameters
    ----------
    free : (..., n, n) array
        S, any real numbers; its symmetric part counts. Zeros are the identity.
    exponent : float
        1/2 and -1/2 give the roots of P without another decomposition of it.

    Returns
    -------
    (..., n, n) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import positive_definite
    >>> positive_definite(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    require_square(free, "positive_definite")
    eigen = symmetric_eigen(exponent * symmetric_part(free))
    return eigen.function("exp"), (eigen, exponent)
