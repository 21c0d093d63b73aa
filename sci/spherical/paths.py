"""Products of equivariant features over all paths of degrees, with a weight each: those of Clebsch and Gordan."""

from __future__ import annotations

from typing import Any

from sci.arguments import Real, entry
from sci.backend import Array, as_finite, namespace
from sci.errors import DTypeError, ShapeError
from sci.spherical.coupling import Parity, coupling_paths
from sci.spherical.sums import coupled_sum, features, path_sums, require_coupled
from sci.spherical.wigner import degree_of

__all__ = ["clebsch_gordan_product", "product_vjp", "weights_of"]

_BLOCK = 2**22
"""Sums of paths that are made at once: 32 MiB."""


@entry
def clebsch_gordan_product(
    x: Real, y: Real, degree: int, *, parity: Parity = "even", weights: Real | None = None
) -> Array:
    """Return z_c = sum over paths of w sum over ab of C_abc x_a y_b, with the Clebsch-Gordan coefficients C.

    Parameters
    ----------
    x : (..., (L1 + 1)^2, channels) array
        Features of degrees 0 to L1, of which order m of degree l stands at place l^2 + l + m; L1 up to 32.
    y : (..., (L2 + 1)^2, channels) array
        Of the same dtype. Leading axes and channels that are 1 are broadcast, which makes a copy.
    degree : int
        Highest degree of the result, 0 to 32.
    parity : "even" or "odd"
        Paths of an even or of an odd l1 + l2 + l3, of `coupling_paths`. With x and y both features of positions, or
        both pseudotensors, even paths make features of positions and odd paths pseudotensors; with one of each, even
        paths make pseudotensors.
    weights : (paths,) or (paths, channels) array, optional
        In the order of `coupling_paths`; all 1 unless given.

    Returns
    -------
    (..., (degree + 1)^2, channels) array
        float32 for features of float32, otherwise float64.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    A sum over the coefficients that are not zero: 1,158 on even and 894 on odd paths at degree 4. A Gaunt product is
    the one on even paths whose weights are G / C.

    References
    ----------
    Thomas et al., Tensor field networks, arXiv:1802.08219; Geiger and Smidt, e3nn, arXiv:2207.09453, whose
    coefficients are the same up to a factor a path.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import clebsch_gordan_product
    >>> x, y = np.array([[0, 0, 0, 2.0], [0, 3.0, 0, 0]])[..., None]  # the vectors 2 e_x and 3 e_y: (y, z, x)
    >>> (clebsch_gordan_product(x, y, 1, parity="odd")[1:, 0] * np.sqrt(2)).round(12) + 0
    array([0., 6., 0.])
    """
    require_coupled(degree)
    (a, b), lead, channels = features(("x", x), ("y", y))
    degrees = (degree_of(x, "x"), degree_of(y, "y"), degree)
    given = None if weights is None else weights_of(weights, a, degrees, parity)
    return coupled_sum(a, b, degrees, parity, "z", given).reshape(*lead, (degree + 1) ** 2, channels)


def weights_of(weights: Array, x: Array, degrees: tuple[int, int, int], parity: Parity) -> Array:
    """Return weights as (paths, 1) or (paths, channels), or raise an error."""
    paths, channels = len(coupling_paths(*degrees, parity)), x.shape[-1]
    shape = tuple(getattr(weights, "shape", ()))
    if shape not in ((paths,), (paths, channels)):
        raise ShapeError(
            f"weights of shape {shape}; expected {(paths,)} or {(paths, channels)}: one for each of the {paths} paths "
            f"of coupling_paths{(*degrees, parity)}, and for each channel if they differ"
        )
    if weights.dtype != x.dtype:
        raise DTypeError(f"weights of dtype {weights.dtype} for features of {x.dtype}; expected one dtype")
    namespace(weights, x)
    return as_finite(weights, "weights", dtype=x.dtype).reshape(paths, channels if len(shape) == 2 else 1)


def product_vjp(
    dz: Array, x: Array, y: Array, weights: Array | None, degrees: tuple[int, int, int], parity: Parity
) -> tuple[Array, Array, Any]:
    """Return the gradients by x, y and weights of features (batch, coefficients, channels), unchecked.

    Weights are (paths, 1) or (paths, channels), or None.
    """
    xp = namespace(dz, x, y)
    dx = coupled_sum(dz, y, degrees, parity, "x", weights)
    dy = coupled_sum(x, dz, degrees, parity, "y", weights)
    if weights is None:
        return dx, dy, None
    paths, channels = len(weights), x.shape[2]
    dweights = xp.zeros((paths, channels), x.dtype)
    step = max(1, _BLOCK // max(1, paths * channels))
    for first in range(0, len(x), step):
        part = slice(first, first + step)
        dweights += path_sums(x[part], y[part], dz[part], degrees, parity, paths).sum(axis=0)
    if weights.shape[1] != channels:
        dweights = dweights.sum(axis=1, keepdims=True)
    return dx, dy, dweights
