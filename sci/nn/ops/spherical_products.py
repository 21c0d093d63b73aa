"""Products of equivariant features as ops: Gaunt's, those of Clebsch and Gordan, and weights of degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import DTypeError, ShapeError
from sci.nn.core.op import op
from sci.nn.ops.arithmetic import unbroadcast
from sci.nn.ops.checks import require_single_or_double
from sci.spherical import scale_degrees as scaled_degrees
from sci.spherical.coupling import Parity
from sci.spherical.gaunt import ProductMethod, product_of
from sci.spherical.harmonics import degrees_of
from sci.spherical.paths import product_vjp, weights_of
from sci.spherical.sums import coupled_sum, features, require_coupled
from sci.spherical.wigner import degree_of

__all__ = ["clebsch_gordan_product", "gaunt_product", "scale_degrees"]


def _features(x: Array, y: Array, degree: int, name: str) -> tuple[Array, Array, tuple[int, ...], Any]:
    """Return both features as (batch, coefficients, channels), the shape of the result, and the three degrees."""
    for array in (x, y):
        if getattr(array, "ndim", 0) < 2:
            raise ShapeError(f"{name} of features that have no channels; expected (..., (L + 1)^2, channels)")
        require_single_or_double(array, name)
    require_coupled(degree)
    (a, b), lead, channels = features(("x", x), ("y", y))
    return a, b, (*lead, (degree + 1) ** 2, channels), (degree_of(x, "x"), degree_of(y, "y"), degree)


def _reduced(dout: Array, shapes: Sequence[tuple[int, ...]], *gradients: Array) -> tuple[Array, ...]:
    """Return the gradients of features of these shapes, which were broadcast to the leading axes of `dout`."""
    wide = (g.reshape(*dout.shape[:-2], *g.shape[1:]) for g in gradients)
    return tuple(unbroadcast(g, (shape, g.dtype)) for g, shape in zip(wide, shapes))


def _gaunt_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    a, b, shapes, (l1, l2, _), method = residuals
    dz = dout.reshape(len(a), *dout.shape[-2:])
    return _reduced(dout, shapes, product_of(dz, b, l1, method), product_of(a, dz, l2, method))


@op(vjp=_gaunt_vjp, jvp="multilinear")
def gaunt_product(x: Array, y: Array, *, degree: int, method: ProductMethod = "auto") -> tuple[Array, Any]:
    """Return the coefficients of a product of functions on the sphere, see `sci.spherical.gaunt_product`.

    Parameters
    ----------
    x, y : (..., (L + 1)^2, channels) arrays
        Each with its own L; leading axes and channels that are 1 are broadcast.
    degree : int
        Highest degree of the result.
    method : "auto", "sparse", "quadrature", "fft" or "dense"

    Returns
    -------
    array or variable
        (..., (degree + 1)^2, channels).

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import gaunt_product, value_and_gradients
    >>> x = np.array([[1.0], [0.0], [2.0], [0.0]])
    >>> value, gradient = value_and_gradients(lambda x: gaunt_product(x, x, degree=0).sum() * np.sqrt(4 * np.pi), x)
    >>> float(value.round(12)), gradient.ravel().round(12)
    (5.0, array([2., 0., 4., 0.]))
    """
    a, b, shape, degrees = _features(x, y, degree, "gaunt_product")
    return product_of(a, b, degree, method).reshape(shape), (a, b, (x.shape, y.shape), degrees, method)


def _clebsch_gordan_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    a, b, given, shapes, of_weights, degrees, parity = residuals
    dx, dy, dweights = product_vjp(dout.reshape(len(a), *dout.shape[-2:]), a, b, given, degrees, parity)
    return *_reduced(dout, shapes, dx, dy), None if dweights is None else dweights.reshape(of_weights)


@op(vjp=_clebsch_gordan_vjp, jvp="multilinear")
def clebsch_gordan_product(
    x: Array, y: Array, weights: Array | None = None, *, degree: int, parity: Parity = "even"
) -> tuple[Array, Any]:
    """Return the product of two features over all paths of degrees, see `sci.spherical.clebsch_gordan_product`.

    Parameters
    ----------
    x, y : (..., (L + 1)^2, channels) arrays
        Each with its own L; leading axes and channels that are 1 are broadcast.
    weights : (paths,) or (paths, channels) array, optional
        In the order of `sci.spherical.coupling_paths`.
    degree : int
        Highest degree of the result.
    parity : "even" or "odd"
        Paths that keep parity, or those that change it.

    Returns
    -------
    array or variable
        (..., (degree + 1)^2, channels).

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import clebsch_gordan_product
    >>> x, y = np.array([[0, 0, 0, 1.0], [0, 1.0, 0, 0]])[..., None]  # e_x and e_y: the order is y, z, x
    >>> (clebsch_gordan_product(x, y, degree=1, parity="odd")[1:, 0] * np.sqrt(2)).round(12) + 0
    array([0., 1., 0.])
    """
    a, b, shape, degrees = _features(x, y, degree, "clebsch_gordan_product")
    given = None if weights is None else weights_of(weights, a, degrees, parity)
    out = coupled_sum(a, b, degrees, parity, "z", given).reshape(shape)
    of_weights = None if weights is None else weights.shape
    return out, (a, b, given, (x.shape, y.shape), of_weights, degrees, parity)


def _scale_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    x, weights = residuals
    xp, n = namespace(dout), len(weights)
    places = to_device(np.equal.outer(np.arange(n), degrees_of(n - 1)).astype(x.dtype), xp)
    of_channels = xp.matmul(places, (dout * x).reshape(math.prod(x.shape[:-2]), *x.shape[-2:]).sum(axis=0))
    dweights = of_channels if weights.ndim == 2 else of_channels.sum(axis=1)
    return scaled_degrees(dout, weights), dweights.astype(weights.dtype, copy=False)


@op(vjp=_scale_vjp, jvp="multilinear")
def scale_degrees(x: Array, weights: Array) -> tuple[Array, Any]:
    """Return features times one number a degree, see `sci.spherical.scale_degrees`.

    Parameters
    ----------
    x : (..., (L + 1)^2, channels) array
    weights : (L + 1,) or (L + 1, channels) array
        Of the dtype of `x`.

    Returns
    -------
    array or variable
        Of the shape of `x`.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import scale_degrees
    >>> scale_degrees(np.ones((4, 1)), np.array([1.0, 3.0])).ravel()
    array([1., 3., 3., 3.])
    """
    for array in (x, weights):
        require_single_or_double(array, "scale_degrees")
    if x.dtype != weights.dtype:
        raise DTypeError(f"scale_degrees of {x.dtype} by weights of {weights.dtype}; expected one dtype")
    return scaled_degrees(x, weights), (x, weights)
