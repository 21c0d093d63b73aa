"""A whole FNO block as one op.

Between two Fourier transforms everything in a block is pointwise in space: intermediate results stay in registers or in
the cache, and are computed again in the derivative. Kept are the field before the first GELU, the slope of the second,
and the truncated spectrum.
"""

from __future__ import annotations

from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.nn import op
from sci.nn.core.coded import decoded
from sci.operators.fno.pointwise import BlockSpec, pointwise, pointwise_vjp
from sci.operators.spectral.convolution import mixed_rows, spectral_convolution, spectral_gradients

__all__ = ["BlockSpec", "block"]


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:2], -1)


def _block_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `block`."""
    x, v, slope, spectral, p, spec = residuals
    dv, dx, sums = pointwise_vjp(_flat(dout), _flat(x), v, slope, p, spec)
    whole, dbias, *dweights = spectral_gradients(dv.reshape(dout.shape), spectral, dx.reshape(x.shape))
    sums.update({"bias": dbias, **dict(zip(spec.weights, dweights))})
    return (whole, *(sums[name] for name in spec.names))


def _block_value(x: Array, *arrays: Array, spec: BlockSpec) -> Array:
    return _block(x, arrays, spec, keep=False)[0]


def _block_coded(x: Array, *arrays: Any, spec: BlockSpec) -> Array:
    """Return the value for arrays of which some are codes: spectral weights are multiplied as they are."""
    kept = [a if name in spec.weights else decoded(a) for name, a in zip(spec.names, arrays)]
    return _block(decoded(x), tuple(kept), spec, keep=False)[0]


@op(vjp=_block_vjp, value=_block_value, coded=_block_coded)
def block(x: Array, *arrays: Array, spec: BlockSpec) -> tuple[Array, Any]:
    """Return gelu(MLP(gelu(v)) + gate x), v = K x + bias + A x, K the spectral convolution.

    Parameters
    ----------
    x : (batch, channel, *grid) array
    *arrays
        In the order of `spec.names`.
    spec : BlockSpec

    Notes
    -----
    Of the size of the field, v and the slope of the last GELU are kept, and the input.
    """
    return _block(x, arrays, spec, keep=True)


def _block(x: Array, arrays: tuple[Array, ...], spec: BlockSpec, keep: bool) -> tuple[Array, Any]:
    """Return the output of a block, and its residuals if `keep`."""
    p = dict(zip(spec.names, arrays))
    weights = [p[name] for name in spec.weights]
    options: dict[str, Any] = {"names": spec.weights, "form": spec.form, "layer": spec.layer}
    if is_device_array(x) and x.ndim > 3:
        # The kernel of the pointwise half makes the inverse transform along the last axis too.
        rows, spectral = mixed_rows(x, p["bias"], *weights, **options)
        v = namespace(x).empty(x.shape, x.dtype)
    else:
        rows, (v, spectral) = None, spectral_convolution.forward(x, p["bias"], *weights, **options)
    before = _flat(v)
    out, slope = pointwise(_flat(x), before, p, spec, keep, rows)
    return out.reshape(v.shape), (x, before, slope, spectral, p, spec) if keep else None
