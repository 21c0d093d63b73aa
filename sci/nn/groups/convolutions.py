"""Lifting and group convolutions over linear maps of space, with kernels that are functions of continuous places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.errors import DeviceMismatchError, DTypeError, InvalidValueError, ShapeError
from sci.nn.core.tape import value_of
from sci.nn.grids.convolution import convolve
from sci.nn.grids.window import Boundary
from sci.nn.groups.linear_group import GroupSamples, LinearGroup
from sci.nn.ops.arithmetic import multiply
from sci.nn.ops.shaping import reshape, transpose

__all__ = ["group_convolution", "integrate_group", "lifting_convolution"]

Kernel = Callable[..., Any]


@entry
def lifting_convolution(
    x: Any,
    kernel: Kernel,
    elements: Array,
    *,
    taps: int = 5,
    spacing: float = 1.0,
    boundary: Boundary = "zeros",
) -> Any:
    """Lift a field to functions of place and group: (L f)(x, g) = integral f(y) k(g^-1 (y - x)) |det g|^-1 dy.

    For f moved by an affine map a = (A, t) the result is moved, too: L(f a^-1)(x, g) = (L f)(A^-1 (x - t), A^-1 g).

    Parameters
    ----------
    x : (batch, in, *grid) array or variable
        A grid of n axes.
    kernel : callable
        `kernel(points)` of places (p, n) returns (p, out * in), an array or a variable: for each place the matrix that
        takes inputs to outputs, row by row.
    elements : (s, n, n) array
        Of GL+(n), on the same device and of the dtype of `x`.
    taps : int
        Cells along each axis, odd, over which the integral runs.
    spacing : float
        Edge of a cell, in the unit of the places.
    boundary : {"zeros", "periodic"}

    Returns
    -------
    (batch, out, s, *grid) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    The integral is the sum over cells times their volume: of high order where the kernel vanishes at the rim of the
    taps, poor where g^-1 takes it beyond them. 2 out s in taps^n flops a cell.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import LinearGroup, lifting_convolution
    >>> samples = LinearGroup(2).sample(4, spread=0.2)
    >>> bell = lambda points: np.exp(-(points**2).sum(axis=1, keepdims=True))
    >>> lifting_convolution(np.ones((1, 1, 9, 9)), bell, samples.elements, boundary="periodic").shape
    (1, 1, 4, 9, 9)
    """
    n = _checked(value_of(x), elements, taps, spacing, 2)
    xp, count = namespace(elements), len(elements)
    inverse, density = _inverse_and_density(elements, spacing)
    points = xp.matmul(_offsets(n, taps, spacing, elements), inverse.swapaxes(1, 2)).reshape(-1, n)
    channels = value_of(x).shape[1]
    values = _matrices(kernel(points), len(points), channels)
    out = values.shape[1] // channels
    weight = reshape(values, shape=(count, taps**n, out, channels))
    weight = multiply(weight, density[:, None, None, None])
    weight = transpose(weight, axes=(2, 0, 3, 1))
    found = convolve(x, reshape(weight, shape=(out * count, channels, *[taps] * n)), boundary=boundary)
    return reshape(found, shape=(found.shape[0], out, count, *found.shape[2:]))


@entry
def group_convolution(
    x: Any,
    kernel: Kernel,
    samples: GroupSamples,
    elements: Array | None = None,
    *,
    group: LinearGroup | None = None,
    taps: int = 5,
    spacing: float = 1.0,
    boundary: Boundary = "zeros",
) -> Any:
    """Convolve over place and group: (F * k)(x, g) = sum over samples of integral F(y, h) k(g^-1 (y - x), g^-1 h) dy.

    The sum has the weights of the samples, the integral |det g|^-1: together they estimate the integral by the Haar
    measure, which makes the layer equivariant as the number of samples grows, with an error of its power -1/2.

    Parameters
    ----------
    x : (batch, in, s, *grid) array or variable
        Values at the elements of `samples`, such as `lifting_convolution` returns.
    kernel : callable
        `kernel(points, features)` of places (p, n) and `group.features` (p, m) of g^-1 h returns (p, out * in), an
        array or a variable.
    samples : GroupSamples
    elements : (r, n, n) array, optional
        At which the result is wanted; those of the samples unless given.
    group : LinearGroup, optional
        GL+(n) unless given.
    taps, spacing, boundary
        As for `lifting_convolution`.

    Returns
    -------
    (batch, out, r, *grid) array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError

    Notes
    -----
    2 out r in s taps^n flops a cell; the kernel is evaluated at r s taps^n places. A factor that depends on g^-1 h
    alone, such as |det g^-1 h| where others have |det h|^-1 in place of |det g|^-1, belongs to the kernel.

    References
    ----------
    M. Mironenco and P. Forre, ICLR 2024, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import LinearGroup, group_convolution
    >>> samples = LinearGroup(2).sample(4, spread=0.2)
    >>> bell = lambda points, features: np.exp(-(points**2).sum(axis=1) - (features**2).sum(axis=1))[:, None]
    >>> group_convolution(np.ones((1, 1, 4, 9, 9)), bell, samples, np.eye(2)[None]).shape
    (1, 1, 1, 9, 9)
    """
    given = value_of(x)
    at = samples.elements if elements is None else elements
    n = _checked(given, at, taps, spacing, 3)
    _same_kind(given, samples.elements, "samples")
    if given.shape[2] != len(samples) or samples.elements.shape[1] != n:
        raise ShapeError(
            f"x of shape {tuple(given.shape)} and {samples!r}; expected (batch, in, {len(samples)}, *grid), a value "
            f"for each sample, of order {n}"
        )
    chosen = LinearGroup(n) if group is None else group
    xp, count, terms, channels = namespace(at), len(at), len(samples), given.shape[1]
    inverse, density = _inverse_and_density(at, spacing)
    points = xp.matmul(_offsets(n, taps, spacing, at), inverse.swapaxes(1, 2))
    between = chosen.features(xp.matmul(inverse[:, None], samples.elements[None]))
    shape = (count, terms, taps**n)
    places = xp.broadcast_to(points[:, None], (*shape, n)).reshape(-1, n)
    features = xp.broadcast_to(between[:, :, None], (*shape, between.shape[-1])).reshape(-1, between.shape[-1])
    values = _matrices(kernel(places, features), len(places), channels)
    out = values.shape[1] // channels
    scale = density[:, None] * samples.weights
    weight = multiply(reshape(values, shape=(*shape, out, channels)), scale[:, :, None, None, None])
    weight = transpose(weight, axes=(3, 0, 4, 1, 2))
    flat = reshape(x, shape=(given.shape[0], channels * terms, *given.shape[3:]))
    found = convolve(flat, reshape(weight, shape=(out * count, channels * terms, *[taps] * n)), boundary=boundary)
    return reshape(found, shape=(found.shape[0], out, count, *found.shape[2:]))


@entry
def integrate_group(x: Any, samples: GroupSamples) -> Any:
    """Integrate over the group: (batch, channels, s, *grid) to (batch, channels, *grid), sum_i weights_i x_i.

    Parameters
    ----------
    x : (batch, channels, s, *grid) array or variable
    samples : GroupSamples

    Returns
    -------
    (batch, channels, *grid) array or variable
        A field that moves with its input as a field does, as far as x falls off over the group.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import GroupSamples, integrate_group
    >>> integrate_group(np.ones((1, 2, 3, 4)), GroupSamples(np.stack([np.eye(1)] * 3), np.full(3, 0.5)))[0, 0]
    array([1.5, 1.5, 1.5, 1.5])
    """
    shape = value_of(x).shape
    if len(shape) < 3 or shape[2] != len(samples):
        raise ShapeError(f"x of shape {tuple(shape)} and {samples!r}; expected (batch, channels, {len(samples)}, ...)")
    weighted = multiply(x, samples.weights.reshape(-1, *[1] * (len(shape) - 3)))
    return weighted.sum(axis=2)


def _checked(x: Array, elements: Array, taps: int, spacing: float, lead: int) -> int:
    """Return the number of axes of space.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
    """
    n = int(x.ndim) - lead
    if not 1 <= n <= 3 or tuple(elements.shape) != (len(elements), n, n):
        axes = "(batch, in, *grid)" if lead == 2 else "(batch, in, samples, *grid)"
        raise ShapeError(
            f"x of shape {tuple(x.shape)} and elements {tuple(elements.shape)}; expected {axes} with a grid of n = 1 "
            "to 3 axes, and (s, n, n)"
        )
    _same_kind(x, elements, "elements")
    if taps < 1 or taps % 2 == 0 or not 0 < spacing < math.inf:
        raise InvalidValueError(f"taps {taps} and spacing {spacing}; expected an odd number and a positive one")
    return n


def _same_kind(x: Array, elements: Array, name: str) -> None:
    if elements.dtype != x.dtype:
        raise DTypeError(f"x is {x.dtype} and {name} {elements.dtype}; expected one dtype: convert one of them")
    if namespace(x) is not namespace(elements):
        raise DeviceMismatchError(f"x and {name} lie on different devices; move one of them")


def _offsets(n: int, taps: int, spacing: float, like: Array) -> Array:
    """Return the places of the taps about their middle (taps^n, n)."""
    axis = spacing * (np.arange(taps) - taps // 2)
    points = np.stack(np.meshgrid(*[axis] * n, indexing="ij"), axis=-1).reshape(-1, n)
    return to_device(points.astype(like.dtype), namespace(like))


def _inverse_and_density(elements: Array, spacing: float) -> tuple[Array, Array]:
    """Return g^-1, and the volume of a cell over det g.

    Raises
    ------
    InvalidValueError
        If a determinant is not positive.
    """
    xp, n = namespace(elements), elements.shape[1]
    determinants = xp.linalg.det(elements)
    scale = abs(elements).max(axis=(1, 2)) if len(elements) else determinants
    bad = ~(determinants > np.finfo(elements.dtype).eps * scale**n)
    if bool(bad.any()):
        first = int(xp.argmax(bad))
        raise InvalidValueError(
            f"elements[{first}] has determinant {float(determinants[first]):.3g}; expected a positive one, well above "
            "rounding"
        )
    return xp.linalg.inv(elements), (spacing**n / determinants).astype(elements.dtype)


def _matrices(values: Any, count: int, channels: int) -> Any:
    """Return the values of a kernel, checked: a matrix of out x in for each place."""
    shape: Sequence[int] = getattr(value_of(values), "shape", ())
    if len(shape) != 2 or shape[0] != count or shape[1] == 0 or shape[1] % channels:
        raise ShapeError(
            f"the kernel returned shape {tuple(shape)}; expected ({count}, out * {channels}), a matrix for each place"
        )
    return values
