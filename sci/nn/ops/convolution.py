"""Convolution with 3 x 3 x 3 taps, average pooling and nearest up-sampling on grids, as ops."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.errors import ShapeError
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.nn.core.op import op

__all__ = [
    "average_pool",
    "convolve",
    "upsample_nearest",
]


def _padded(x: Array, low: int, block: int) -> Array:
    """Return x (b, c, n0, n1, n2) with `low` zeros around it, the last axis up to whole blocks."""
    xp, (b, c, n0, n1, n2) = namespace(x), x.shape
    whole = -(-n2 // block) * block
    padded = xp.zeros((b, c, n0 + 2 * low, n1 + 2 * low, whole + 2 * low), x.dtype)
    padded[:, :, low : low + n0, low : low + n1, low : low + n2] = x
    return padded


def _convolved(x: Array, weight: Array, bias: Array) -> Array:
    xp, (batch, inputs, n0, n1, n2), outputs = namespace(x, weight), x.shape, weight.shape[0]
    kernel = get_kernel("nn/convolution.cu", "convolve", x.dtype)
    if not use_compiled(kernel, x):
        return convolve_reference(x, weight, bias)
    padded = _padded(x, 1, block_size(x))
    out = xp.empty((batch, outputs, n0, n1, n2), x.dtype)
    taps = xp.ascontiguousarray(weight.reshape(outputs, inputs, 27))
    sizes = (batch, inputs, outputs, n0, n1, n2, padded.shape[-1])
    launch(kernel, batch * -(-outputs // 4) * n0, padded, taps, xp.ascontiguousarray(bias), out, *sizes)
    return out


def _moved(padded: Array, tap: int, shape: tuple[int, ...]) -> Array:
    i, j, k = tap // 9, tap // 3 % 3, tap % 3
    n0, n1, n2 = shape[-3:]
    return padded[:, :, i : i + n0, j : j + n1, k : k + n2]


def convolve_reference(x: Array, weight: Array, bias: Array) -> Array:
    """Reference of the kernel `convolve`, as 27 matrix products."""
    xp, padded = namespace(x), _padded(x, 1, 1)
    taps = weight.reshape(*weight.shape[:2], 27)
    total = xp.broadcast_to(bias[:, None, None, None], (x.shape[0], weight.shape[0], *x.shape[2:]))
    for tap in range(27):
        total = total + xp.einsum("oc,bcijk->boijk", taps[:, :, tap], _moved(padded, tap, x.shape))
    return total


def _convolve_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array]:
    """Return the gradients for x, weight and bias."""
    x, weight = residuals
    xp = namespace(x, dout)
    back = weight[:, :, ::-1, ::-1, ::-1].transpose(1, 0, 2, 3, 4)
    dx = _convolved(dout, back, xp.zeros(x.shape[1], x.dtype))
    return dx, _weight_gradient(x, dout).reshape(weight.shape), dout.sum(axis=(0, 2, 3, 4))


@op(vjp=_convolve_vjp)
def convolve(x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
    """Convolve grids with 3 x 3 x 3 taps and zeros around them.

        out[b, o, i, j, k] = bias[o] + sum over c, l, m, n of weight[o, c, l, m, n] x[b, c, i+l-1, j+m-1, k+n-1]

    Parameters
    ----------
    x : (batch, inputs, n0, n1, n2) float32 or float64 array
    weight : (outputs, inputs, 3, 3, 3) array
    bias : (outputs,) array

    Returns
    -------
    out : (batch, outputs, n0, n1, n2) array
    residuals

    Raises
    ------
    ShapeError

    Notes
    -----
    54 inputs outputs flops a cell. The input is copied once, with zeros around it.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import convolve
    >>> convolve(np.ones((1, 2, 4, 4, 4)), np.ones((3, 2, 3, 3, 3)), np.zeros(3)).shape
    (1, 3, 4, 4, 4)
    """
    if x.ndim != 5 or weight.shape[1:] != (x.shape[1], 3, 3, 3) or bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"x has shape {tuple(x.shape)}, weight {tuple(weight.shape)}, bias {tuple(bias.shape)}; expected (batch, "
            "inputs, n0, n1, n2), (outputs, inputs, 3, 3, 3) and (outputs,)"
        )
    return _convolved(x, weight, bias), (x, weight)


def _weight_gradient(x: Array, dout: Array) -> Array:
    """Return the gradient of the weights, (outputs, inputs, 27)."""
    xp, (batch, inputs, n0, n1, _), outputs = namespace(x), x.shape, dout.shape[1]
    kernel = get_kernel("nn/convolution.cu", "convolve_weights", x.dtype)
    if not use_compiled(kernel, x):
        return convolve_weights_reference(x, dout)
    block = block_size(x)
    padded, given = _padded(x, 1, block), _padded(dout, 0, block)
    partial = xp.empty((outputs, inputs, 27, block), x.dtype)
    sizes = (batch, inputs, outputs, n0, n1, padded.shape[-1], block)
    launch(kernel, outputs * inputs * 9, padded, given, partial, *sizes)
    return partial.sum(axis=-1)


def convolve_weights_reference(x: Array, dout: Array) -> Array:
    """Reference of the kernel `convolve_weights`, as 27 matrix products."""
    xp, padded = namespace(x), _padded(x, 1, 1)
    return xp.stack([xp.einsum("boijk,bcijk->oc", dout, _moved(padded, tap, x.shape)) for tap in range(27)], axis=-1)


def _average_pool_vjp(dout: Array, shape: tuple[int, ...]) -> tuple[Array]:
    """Return the gradient for x: an eighth of each mean's in its cells."""
    return (upsample_nearest(dout * dout.dtype.type(0.125)),)


@op(vjp=_average_pool_vjp)
def average_pool(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the means over 2 x 2 x 2 cells of (batch, channels, n0, n1, n2), all lengths even.

    Parameters
    ----------
    x : (batch, channels, n0, n1, n2) array
        All grid lengths even.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import average_pool
    >>> average_pool(np.ones((1, 2, 4, 4, 4))).shape
    (1, 2, 2, 2, 2)
    """
    if x.ndim != 5 or any(n % 2 for n in x.shape[2:]):
        raise ShapeError(f"x has shape {tuple(x.shape)}; expected (batch, channels, n0, n1, n2) with even lengths")
    b, c, n0, n1, n2 = x.shape
    return x.reshape(b, c, n0 // 2, 2, n1 // 2, 2, n2 // 2, 2).mean(axis=(3, 5, 7)), x.shape


def _upsample_nearest_vjp(dout: Array, _: None) -> tuple[Array]:
    """Return the gradient for x: the sum over its 2 x 2 x 2 cells."""
    mean = average_pool(dout)
    return (mean * dout.dtype.type(8),)


@op(vjp=_upsample_nearest_vjp)
def upsample_nearest(x: Array) -> tuple[Array, None]:
    """Repeat each cell of (batch, channels, n0, n1, n2) in 2 x 2 x 2 cells.

    Parameters
    ----------
    x : (batch, channels, n0, n1, n2) array
        The coarse cells.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import upsample_nearest
    >>> upsample_nearest(np.ones((1, 2, 2, 2, 2))).shape
    (1, 2, 4, 4, 4)
    """
    if x.ndim != 5:
        raise ShapeError(f"upsample_nearest of shape {tuple(x.shape)}; expected (batch, channels, n0, n1, n2)")
    return x.repeat(2, axis=2).repeat(2, axis=3).repeat(2, axis=4), None
