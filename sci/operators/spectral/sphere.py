"""The spherical convolution: one matrix over the channels for each degree, the same for all its orders."""

from __future__ import annotations

from typing import Any

from sci.backend import Array
from sci.nn import op
from sci.operators.spectral.weights import WeightFormat
from sci.spherical import SphereGrid
from sci.spherical.transform import analysis, analysis_vjp, synthesis, synthesis_vjp

__all__ = ["spherical_convolution"]


def _convolution_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `spherical_convolution`."""
    mixing, form, grid, orders, names = residuals
    batch, degrees = dout.shape[0], mixing[2][0]
    dspectrum = synthesis_vjp(dout, grid, degrees, orders)
    dmixed, gradients = form.mix_vjp(dspectrum.reshape(degrees, orders * batch, -1), mixing)
    dx = analysis_vjp(dmixed.reshape(degrees, orders, batch, -1), grid)
    return (dx, dout.sum(axis=(2, 3)).sum(axis=0), *(gradients[name] for name in names))


@op(vjp=_convolution_vjp)
def spherical_convolution(
    x: Array,
    bias: Array,
    *weights: Array,
    names: tuple[str, ...],
    form: WeightFormat,
    layer: int = 0,
    kind: str,
    orders: int,
) -> tuple[Array, Any]:
    """Return y[b, o] = bias[o] + the field of Y[b, o, l, m] = sum_i X[b, i, l, m] W[i, o, l], X the harmonics of x.

    Parameters
    ----------
    x : (batch, in, n_lat, n_lon) float array
    bias : (out,) array
    *weights, names, form, layer
        As in `spectral_convolution`; `form.modes` is the number of degrees.
    kind : "gauss-legendre" or "equiangular"
        Circles of the grid.
    orders : int
        Orders 0 ... orders - 1 are kept, as far as the grid and the degrees have them.

    Notes
    -----
    Degrees above those that the grid gives exactly (`SphereGrid.exact_degrees`) see what its sum does not integrate.
    """
    grid = SphereGrid(x.shape[2], x.shape[3], kind)  # type: ignore[arg-type]
    degrees = min(form.modes[0], grid.n_lat)
    orders = min(orders, degrees, grid.n_lon // 2 + 1)
    spectrum = analysis(x, grid, degrees, orders).reshape(degrees, orders * len(x), -1)
    mixed, residuals = form.mix(spectrum, dict(zip(names, weights)), layer)
    y = synthesis(mixed.reshape(degrees, orders, len(x), -1), grid)
    return y + bias[:, None, None], (residuals, form, grid, orders, names)
