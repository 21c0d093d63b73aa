"""Perceptrons over the channels of a field, the lifting and the projection of an operator, as an op."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled
from sci.nn import op
from sci.nn.ops.products import outer_sum
from sci.operators.fno.pointwise import HOST_POINTS
from sci.operators.fno.tiles import TILE_POINTS, perceptron_tile, perceptron_tile_vjp, tiles
from sci.tensor.contraction.outer_sums import outer_sums

__all__ = ["channel_mlp", "mlp_backward_reference", "mlp_forward_reference"]


def _channel_mlp_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `channel_mlp`."""
    x, w0, b0, w1, b1 = residuals
    xp = namespace(dout)
    source, grad = (xp.ascontiguousarray(a.reshape(*a.shape[:2], -1)) for a in (x, dout))
    kernel = _compiled("mlp_backward", x, w0, w1)
    sums = [xp.zeros_like(p) for p in (w0, b0, w1, b1)] if kernel is None or not is_device_array(x) else []
    if kernel is None:
        return (mlp_backward_reference(source, grad, (w0, b0, w1), sums).reshape(x.shape), *sums)
    size = _size(w0, w1)
    dx, weights = xp.empty(source.shape, x.dtype), [xp.ascontiguousarray(a) for a in (w0, b0, w1)]
    together = len(x) if is_device_array(x) else max(1, TILE_POINTS // source.shape[2])
    for start in range(0, len(x), together):
        part = slice(start, start + together)
        shape = (len(source[part]), size[1], source.shape[2])
        value, dhidden = xp.empty(shape, x.dtype), xp.empty(shape, x.dtype)
        launch(
            *(kernel, _grid(source[part]), source[part], grad[part], *weights, dx[part]),
            *(value, dhidden, shape[0], shape[2], source.shape[1], grad.shape[1]),
        )
        if is_device_array(x):
            sums = outer_sums(((dhidden, source), (grad, value)))
            break
        sums[0] += outer_sum(dhidden, source[part])
        sums[1] += dhidden.sum(axis=2).sum(axis=0)
        sums[2] += outer_sum(grad[part], value)
        sums[3] += grad[part].sum(axis=2).sum(axis=0)
    return (dx.reshape(x.shape), *sums)


@op(vjp=_channel_mlp_vjp)
def channel_mlp(x: Array, w0: Array, b0: Array, w1: Array, b1: Array) -> tuple[Array, Any]:
    """Return w1 gelu(w0 x + b0) + b1 over the channels of `x` (batch, channel, *grid).

    Parameters
    ----------
    x : (batch, in, *grid) array
    w0, b0 : (hidden, in), (hidden,) arrays
    w1, b1 : (out, hidden), (out,) arrays

    Notes
    -----
    Kept for the derivative: `x` alone; the hidden layer is made again.
    """
    xp = namespace(x, w0)
    source = x.reshape(*x.shape[:2], -1)
    kernel = _compiled("mlp_forward", x, w0, w1)
    if kernel is None:
        out = mlp_forward_reference(source, w0, b0, w1, b1)
    else:
        out = xp.empty((x.shape[0], w1.shape[0], source.shape[2]), x.dtype)
        launch(
            *(kernel, _grid(source), xp.ascontiguousarray(source), out),
            *map(xp.ascontiguousarray, (w0, b0, w1, b1)),
            *(out.shape[0], out.shape[2], source.shape[1], out.shape[1]),
        )
    return out.reshape(x.shape[0], w1.shape[0], *x.shape[2:]), (x, w0, b0, w1, b1)


def mlp_forward_reference(x: Array, w0: Array, b0: Array, w1: Array, b1: Array) -> Array:
    """Reference of the kernel `mlp_forward`, for any number of channels, in array calls over tiles."""
    out = namespace(x, w0).empty((x.shape[0], w1.shape[0], x.shape[2]), x.dtype)
    for tile in tiles(x):
        out[tile] = perceptron_tile(x[tile], w0, b0, w1, b1)
    return out


def mlp_backward_reference(x: Array, dout: Array, weights: tuple[Array, Array, Array], sums: list[Array]) -> Array:
    """Reference of the kernel `mlp_backward` and the products after it, in array calls over tiles."""
    dx = namespace(x).empty(x.shape, x.dtype)
    for tile in tiles(x):
        dx[tile] = perceptron_tile_vjp(x[tile], dout[tile], weights, sums)
    return dx


def _size(w0: Array, w1: Array) -> tuple[int, int, int]:
    """Return the channels of a kernel: in, hidden and out, those at the ends at least 4."""
    return max(4, w0.shape[1]), w0.shape[0], max(4, w1.shape[0])


def _compiled(name: str, x: Array, w0: Array, w1: Array) -> Kernel | None:
    """Return the kernel of this perceptron's size, or None if array calls do its work."""
    if x.dtype not in ("float32", "float64"):
        return None
    kernel = get_kernel("nn/fno_block.cu", name, x.dtype, *_size(w0, w1))
    return kernel if kernel.is_declared and use_compiled(kernel, x) else None


def _grid(x: Array) -> int:
    points = block_size(x) if is_device_array(x) else HOST_POINTS
    return int(x.shape[0]) * -(-int(x.shape[2]) // points)
