"""Products of functions on the sphere, coefficient by coefficient: Gaunt products, by four methods."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Literal

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, as_finite, device_number, namespace, to_device
from sci.errors import ShapeError
from sci.kernels import get_kernel, use_compiled
from sci.spherical.columns import fourier_product, quadrature_size, sampled_product
from sci.spherical.coupling import gaunt_matrix, selected_count
from sci.spherical.harmonics import degrees_of
from sci.spherical.sums import coupled_sum, features, require_coupled
from sci.spherical.wigner import degree_of

__all__ = ["ProductMethod", "gaunt_product", "method_of", "product_of", "scale_degrees"]

ProductMethod = Literal["auto", "sparse", "quadrature", "fft", "dense"]
_ENTRY = {8: 2.2, 4: 3.0}
"""What an entry of the sparse sum costs by the bytes of a number, in multiply-adds of a product of matrices of BLAS.

Measured by `benchmarks/spherical.py` on one core with vectors of 512 bits.
"""
_COLUMNS = 2**19
"""Numbers that a method other than "sparse" makes at once: 4 MiB, which stays in cache."""


@entry
def gaunt_product(x: Real, y: Real, degree: int, *, method: ProductMethod = "auto") -> Array:
    """Return the coefficients of the product of two functions on the sphere, up to a degree.

    z_c = sum over ab of G_abc x_a y_b with the Gaunt coefficients G_abc = int Y_a Y_b Y_c, for each channel.

    Parameters
    ----------
    x : (..., (L1 + 1)^2, channels) array
        Coefficients of harmonics, Y_lm at place l^2 + l + m; L1 up to 32.
    y : (..., (L2 + 1)^2, channels) array
        Of the same dtype. Leading axes and channels that are 1 are broadcast, which makes a copy.
    degree : int
        Highest degree of the result, 0 to 32; L1 + L2 loses nothing.
    method : "auto", "sparse", "quadrature", "fft" or "dense"
        Sum over the coefficients that are not zero; values at points of a grid, multiplied, and integrated; convolution
        of Fourier coefficients by FFT; sum over all coefficients. "auto" takes the faster one of the first two.

    Returns
    -------
    (..., (degree + 1)^2, channels) array
        float32 for features of float32, otherwise float64.

    Raises
    ------
    ShapeError
        For a number of coefficients that is no square, among others.
    InvalidValueError, DTypeError

    Notes
    -----
    All methods are exact to rounding. Coefficients that are not zero: 1,158 at degree 4 and 23,621 at degree 8, of
    15,625 and 531,441; quadrature takes 6,825 and 78,975 multiply-adds, FFT O(L^3) but on complex numbers.

    What it cannot make: the product of functions is symmetric and keeps parity, so that it is 0 on all paths of an odd
    l1 + l2 + l3. There is no cross product and no pseudotensor among Gaunt products of harmonics of positions, and no
    quantity that tells a molecule from its mirror image; `clebsch_gordan_product` makes them.

    References
    ----------
    Xin, Zhou, An, Yan, Xu, Hu and Yu, Fast and accurate spherical harmonics products, ACM Trans. Graph. 40 (2021): the
    product by FFT. Luo, Chen and Krishnapriyan, ICLR 2024, arXiv:2401.10216: the same in equivariant networks.
    The sparse sum, faster up to degree 8 and more, is in neither.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import gaunt_product, spherical_harmonics
    >>> x, y = np.random.default_rng(0).normal(size=(2, 16, 1))
    >>> at = spherical_harmonics(np.array([[1.0, 2.0, 2.0]]), 6)
    >>> bool(np.allclose(at @ gaunt_product(x, y, 6), (at[:, :16] @ x) * (at[:, :16] @ y)))
    True
    """
    require_coupled(degree)
    (a, b), lead, channels = features(("x", x), ("y", y))
    return product_of(a, b, degree, method).reshape(*lead, (degree + 1) ** 2, channels)


@entry
def scale_degrees(x: Real, weights: Real) -> Array:
    """Return features times one number a degree: the weights that commute with rotations.

    Parameters
    ----------
    x : (..., (L + 1)^2, channels) array
    weights : (L + 1,) or (L + 1, channels) array

    Returns
    -------
    array
        Of the shape of `x`.

    Raises
    ------
    ShapeError, InvalidValueError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.spherical import scale_degrees
    >>> scale_degrees(np.ones((4, 1)), np.array([1.0, 3.0])).ravel()
    array([1., 3., 3., 3.])
    """
    xp, degree = namespace(x, weights), degree_of(x, "x")
    shape = tuple(weights.shape)
    if shape not in ((degree + 1,), (degree + 1, x.shape[-1])):
        raise ShapeError(
            f"weights of shape {shape} for degrees 0 to {degree} and {x.shape[-1]} channels; expected "
            f"{(degree + 1,)} or {(degree + 1, x.shape[-1])}"
        )
    values, factors = as_finite(x, "x", dtype=x.dtype), as_finite(weights, "weights", dtype=weights.dtype)
    return values * factors.reshape(degree + 1, factors.size // (degree + 1))[xp.asarray(degrees_of(degree))]


def product_of(x: Array, y: Array, degree: int, method: ProductMethod) -> Array:
    """Return `gaunt_product` of features (batch, coefficients, channels), unchecked.

    The gradient by x of a loss with the gradient dz is product_of(dz, y, degree of x): G is symmetric.
    """
    degrees = (degree_of(x, "x"), degree_of(y, "y"), degree)
    chosen = method_of(degrees, x) if method == "auto" else method
    if chosen == "sparse":
        return coupled_sum(x, y, degrees, "gaunt", "z")
    xp, (batch, _, channels) = namespace(x, y), x.shape
    left, right = (xp.ascontiguousarray(f.swapaxes(0, 1)).reshape(f.shape[1], batch * channels) for f in (x, y))
    out = xp.empty(((degree + 1) ** 2, left.shape[1]), x.dtype)
    make = {"quadrature": sampled_product, "fft": fourier_product, "dense": _dense_product}[chosen]
    height = len(left) * len(right) if chosen == "dense" else quadrature_size(degrees) * (32 if chosen == "fft" else 3)
    step = max(1, _COLUMNS // height)
    for first in range(0, left.shape[1], step):
        part = slice(first, first + step)
        out[:, part] = make(left[:, part], right[:, part], degrees)
    return xp.ascontiguousarray(out.reshape((degree + 1) ** 2, batch, channels).swapaxes(0, 1))


def method_of(degrees: tuple[int, int, int], like: Array) -> Literal["sparse", "quadrature"]:
    """Return the faster method for degrees of x, y and z: by multiply-adds, and what those of the two cost."""
    if not use_compiled(get_kernel("spherical/gaunt.cu", "coupled_sum", like.dtype), like):
        return "quadrature"
    entries = selected_count(*degrees)
    by_points = quadrature_size(degrees) * sum((degree + 1) ** 2 for degree in degrees)
    return "sparse" if _ENTRY[like.dtype.itemsize] * entries <= by_points else "quadrature"


def _dense_product(x: Array, y: Array, degrees: tuple[int, int, int]) -> Array:
    """Return the product of columns of coefficients by the sum over all of them."""
    xp = namespace(x, y)
    tensor = _tensor(degrees, np.dtype(x.dtype).name, xp, device_number(x))
    return xp.matmul(tensor, (x[:, None] * y[None]).reshape(len(x) * len(y), x.shape[1]))


@functools.lru_cache(maxsize=8)
def _tensor(degrees: tuple[int, int, int], dtype: str, xp: ModuleType, device: int) -> Array:
    """Return the Gaunt coefficients as a matrix from pairs to results."""
    return to_device(gaunt_matrix(*degrees).astype(dtype), xp)
