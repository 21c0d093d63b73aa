"""Maps of the Bures-Wasserstein geometry as ops: optimal maps, and powers of the Lyapunov operator that carry vectors.

For positive definite G and Y the optimal map T = G^-1/2 (G^1/2 Y G^1/2)^1/2 G^-1/2 has T G T = Y, and the logarithm of
Y at G is V = L_G[T - I] with L_P[V] = P V + V P. Parallel transport of V from G to the identity, which commutes with G,
is (L_G / 2)^-1/2: it divides the entries in the eigenbasis of G by the root of the mean of two eigenvalues. Together

    N = (L_G / 2)^1/2 [T - I],      exp_I(2 N) = (I + N)^2,      |N|_F = d(G, Y),

and from the identity on to W: exp_W = (I + L) W (I + L) with L = (L_W / 2)^-1/2 [N].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import SymmetricEigen, symmetric_eigen, symmetric_function
from sci.linalg.symmetric.matrices import require_positive
from sci.nn.core.op import op
from sci.nn.spd.layers import require_square, symmetric_part

__all__ = ["MapFactors", "lyapunov_power", "map_factors", "optimal_map"]


@dataclass(frozen=True)
class MapFactors:
    """The optimal maps from G to matrices Y, factored in the eigenbasis of G, where G is diag(root^2).

    (G^1/2 Y G^1/2)^1/2 = U diag(m) U' in that basis.

    Parameters
    ----------
    basis : (channel, n, n)
    root : (channel, n)
    vectors : (batch, channel, n, n)
        U.
    values : (batch, channel, n)
        m.
    """

    basis: Array
    root: Array
    vectors: Array
    values: Array

    @property
    def left(self) -> Array:
        """G^-1/2 U, so that T = left diag(m) left'."""
        return self.vectors / self.root[..., None]

    @property
    def right(self) -> Array:
        """G^1/2 U, the inverse of left'."""
        return self.vectors * self.root[..., None]

    def sums(self) -> Array:
        """m_a + m_b, by which the derivative of the root divides.

        Raises
        ------
        InvalidValueError
            For a matrix Y that is singular to rounding.
        """
        low, high = self.values.min(axis=-1), self.values.max(axis=-1)
        bad = ~(low > np.finfo(self.values.dtype).eps * high)
        if bool(bad.any()):
            raise InvalidValueError(
                f"the gradient of an optimal map to {int(bad.sum())} matrices that are singular to rounding; expected "
                "positive definite ones: add a multiple of the identity, or rectify them by reeig"
            )
        return self.values[..., :, None] + self.values[..., None, :]

    def in_basis(self, x: Array) -> Array:
        """Return x in the eigenbasis of G."""
        return namespace(x).matmul(self.basis.swapaxes(-1, -2), namespace(x).matmul(x, self.basis))

    def from_basis(self, x: Array) -> Array:
        """Return x from the eigenbasis of G."""
        return symmetric_part(namespace(x).matmul(self.basis, namespace(x).matmul(x, self.basis.swapaxes(-1, -2))))


def map_factors(y: Array, center: Array) -> MapFactors:
    """Return the factors of the optimal maps from `center` (channel, n, n) to `y` (batch, channel, n, n).

    Notes
    -----
    m are singular values of G^1/2 Y^1/2: rounding is relative to their largest. The eigenvalues of G^1/2 Y G^1/2 would
    lose half of the digits, 1e-5 instead of 1e-10 in the smallest direction at condition 1e6.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    require_square(y, "the matrices")
    require_square(center, "the center")
    if y.ndim != center.ndim + 1 or y.shape[1:] != center.shape:
        raise ShapeError(
            f"matrices {tuple(y.shape)} and their center {tuple(center.shape)}; expected (batch, channel, n, n) and "
            "(channel, n, n)"
        )
    eigen: SymmetricEigen = symmetric_eigen(center)
    require_positive(eigen.values, "the center", definite=True)
    xp = namespace(y, center)
    root = xp.sqrt(eigen.values)
    half = symmetric_function(y, "sqrt")
    product = root[..., None] * xp.matmul(eigen.vectors.swapaxes(-1, -2), half)
    vectors, values, _ = xp.linalg.svd(product)
    return MapFactors(eigen.vectors, root, vectors, values)


def _optimal_map_vjp(dout: Array, factors: MapFactors) -> tuple[Array, Array]:
    xp = namespace(dout)
    left, right = factors.left, factors.right
    inner = xp.matmul(left.swapaxes(-1, -2), xp.matmul(factors.in_basis(symmetric_part(dout)), left))
    inner = inner / factors.sums()
    of_matrix = xp.matmul(right, xp.matmul(inner, right.swapaxes(-1, -2)))
    inner = inner * factors.values[..., :, None] * factors.values[..., None, :]
    of_center = -xp.matmul(left, xp.matmul(inner, left.swapaxes(-1, -2))).sum(axis=0)
    return factors.from_basis(of_matrix), factors.from_basis(of_center)


@op(vjp=_optimal_map_vjp)
def optimal_map(y: Array, center: Array) -> tuple[Array, MapFactors]:
    """Return the positive definite T with T G T = Y, for each channel's center G.

    Parameters
    ----------
    y : (batch, channel, n, n) array
        Positive definite.
    center : (channel, n, n) array
        G, positive definite.

    Returns
    -------
    (batch, channel, n, n) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    The change of T solves dT G T + T G dT = dY - T dG T, a Lyapunov equation whose divisors are sums of eigenvalues:
    repeated ones do no harm.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn.spd.transport import optimal_map
    >>> optimal_map(np.diag([4.0, 9.0])[None, None], np.diag([1.0, 4.0])[None]).round(12)
    array([[[[2. , 0. ],
             [0. , 1.5]]]])
    """
    factors = map_factors(y, center)
    left = factors.left
    inner = namespace(y).matmul(left * factors.values[..., None, :], left.swapaxes(-1, -2))
    return factors.from_basis(inner), factors


Exponent = Literal["1/2", "-1/2"]


def _difference(exponent: Exponent, a: Array, b: Array) -> Array:
    """Return (f(a) - f(b)) / (a - b) of f(x) = (x / 2)^exponent, given the roots of x / 2, without cancellation."""
    return 0.5 / (a + b) if exponent == "1/2" else -0.5 / (a * b * (a + b))


def _lyapunov_power_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    v, basis, roots, exponent = residuals
    xp = namespace(dout)
    turned = basis.swapaxes(-1, -2)
    douts = xp.matmul(turned, xp.matmul(symmetric_part(dout), basis))
    dv = xp.matmul(basis, xp.matmul(douts * (roots if exponent == "1/2" else 1 / roots), turned))
    # pairs[c, j, i, k] = sum_b dout_ij v_kj; the change of G's entry ik moves entry ij by v_kj times a difference.
    pairs = xp.matmul(douts.transpose(1, 3, 2, 0), v.transpose(1, 3, 0, 2))
    differences = _difference(exponent, roots[..., :, :, None], roots[..., :, None, :])
    dp = (pairs * differences).sum(axis=1)
    return symmetric_part(dv), 2 * symmetric_part(xp.matmul(basis, xp.matmul(dp, turned)))


@op(vjp=_lyapunov_power_vjp)
def lyapunov_power(v: Array, p: Array, *, exponent: Exponent) -> tuple[Array, Any]:
    """Return (L_P / 2)^exponent [V], L_P[V] = P V + V P: parallel transport between P and the identity.

    Parameters
    ----------
    v : (batch, channel, n, n) array
        Symmetric; the symmetric part counts.
    p : (channel, n, n) array
        Positive definite.
    exponent : "1/2" or "-1/2"
        "-1/2" carries tangent vectors of the Bures-Wasserstein metric from P to the identity, "1/2" those at the
        identity to P.

    Returns
    -------
    (batch, channel, n, n) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    In the eigenbasis of P, entry ij is multiplied by ((p_i + p_j) / 2)^exponent. The gradient for P takes divided
    differences of that factor in closed form, right at repeated eigenvalues; memory n^3 a channel.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn.spd.transport import lyapunov_power
    >>> lyapunov_power(np.ones((1, 1, 2, 2)), np.diag([1.0, 7.0])[None], exponent="1/2").round(3)
    array([[[[1.   , 2.   ],
             [2.   , 2.646]]]])
    """
    require_square(v, "v")
    require_square(p, "p")
    if v.ndim != 4 or v.shape[1:] != p.shape:
        raise ShapeError(
            f"v {tuple(v.shape)} and p {tuple(p.shape)}; expected (batch, channel, n, n) and (channel, n, n)"
        )
    eigen = symmetric_eigen(p)
    require_positive(eigen.values, "p", definite=True)
    xp = namespace(v, p)
    basis, turned = eigen.vectors, eigen.vectors.swapaxes(-1, -2)
    roots = xp.sqrt((eigen.values[..., :, None] + eigen.values[..., None, :]) * 0.5)
    inner = xp.matmul(turned, xp.matmul(symmetric_part(v), basis))
    out = xp.matmul(basis, xp.matmul(inner * roots if exponent == "1/2" else inner / roots, turned))
    return symmetric_part(out), (inner, basis, roots, exponent)
