"""The ray integral of an absorbing and shining medium, with its derivative, by an associative scan."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import associative_scan
from sci.nn import op

__all__ = ["composite"]


def _product(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    return (a[0] * b[0],)


def _sum(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    return (a[0] + b[0],)


def _scanned(combine: Any, x: Array, reverse: bool = False) -> Array:
    """Return the prefixes (or suffixes) of rows x (rays, steps) along the steps."""
    return associative_scan(combine, (x.T,), reverse=reverse)[0].T


def _composite_vjp(douts: Any, residuals: Any) -> tuple[Array, Array]:
    density, values, lengths, weights, after, full = residuals
    dout, dopacity = douts
    xp = namespace(density)
    dout = xp.zeros((len(density), values.shape[2]), values.dtype) if dout is None else dout
    dot = xp.matmul(values, dout[:, :, None])[..., 0]
    shone = weights * dot
    behind = _scanned(_sum, shone, reverse=True) - shone
    ddensity = after * dot - behind
    if dopacity is not None:
        ddensity = ddensity + dopacity[:, None] * after[:, -1:]
    if full:
        # The last step lets nothing through, whatever its density.
        ddensity[:, -1] = 0
    return lengths * ddensity, weights[:, :, None] * dout[:, None, :]


@op(vjp=_composite_vjp)
def composite(density: Array, values: Array, *, lengths: Array, opaque_end: bool = False) -> tuple[Any, Any]:
    """Return sum_i w_i f_i and the opacity sum_i w_i of rays.

    w_i = T_i (1 - exp(-l_i s_i)) with the transmittance before it T_i = prod_{j<i} exp(-l_j s_j).

    Parameters
    ----------
    density : (rays, steps) array
        s_i, from 0.
    values : (rays, steps, features) array
        f_i.
    lengths : (rays, steps) array
        l_i of the steps, from 0; not differentiated.
    opaque_end : bool
        Let the last step absorb what is left, as if it were endless: the weights of a ray then sum to 1.

    Returns
    -------
    (rays, features), (rays,) arrays or variables

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    With g the gradient of the result: dL/ds_i = l_i (T_{i+1} g.f_i - sum_{j>i} w_j g.f_j). Products along a ray and the
    sums behind each step are associative scans of log2(steps) rounds.

    References
    ----------
    Max, IEEE Trans. Vis. Comput. Graph. 1, 99 (1995); Mildenhall et al., arXiv:2003.08934, eq. 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import composite
    >>> lengths = np.full((1, 10), 0.2)
    >>> _, opacity = composite(np.full((1, 10), 1.5), np.ones((1, 10, 1)), lengths=lengths)
    >>> float(np.round(opacity[0] - (1 - np.exp(-1.5 * 2)), 15))
    0.0
    """
    if density.ndim != 2 or values.ndim != 3 or values.shape[:2] != density.shape or lengths.shape != density.shape:
        raise ShapeError(
            f"density {tuple(density.shape)}, values {tuple(values.shape)}, lengths {tuple(lengths.shape)}; expected "
            "(rays, steps), (rays, steps, features) and (rays, steps)"
        )
    if density.shape[1] == 0:
        raise ShapeError(f"density has shape {tuple(density.shape)}; expected at least one step")
    if not (bool((density >= 0).all()) and bool((lengths >= 0).all())):
        raise InvalidValueError("a density or a length is negative or NaN; expected both from 0, like softplus(x)")
    xp = namespace(density, values)
    depth = density * lengths
    passed = xp.exp(-depth)
    absorbed = -xp.expm1(-depth)
    if opaque_end:
        passed[:, -1], absorbed[:, -1] = 0, 1
    after = _scanned(_product, passed)
    weights = absorbed.copy()
    weights[:, 1:] *= after[:, :-1]
    total = xp.matmul(weights[:, None, :], values)[:, 0]
    opacity = 1 - after[:, -1]
    return (total, opacity), (density, values, lengths, weights, after, opaque_end)
