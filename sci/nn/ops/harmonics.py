"""Real spherical harmonics as an op, with rules for derivatives of any order."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import ShapeError
from sci.nn.core.op import op
from sci.nn.core.tape import value_of
from sci.nn.ops.arithmetic import divide, multiply
from sci.nn.ops.checks import require_single_or_double
from sci.nn.ops.pointwise.elementwise import sqrt
from sci.nn.ops.products import linear
from sci.nn.ops.reductions import sum as sum_of_entries
from sci.spherical.harmonics import checked_harmonics, degrees_of, harmonics_vjp, ladder_matrices, rows_of

__all__ = ["spherical_harmonics"]


def _vjp(dout: Array, residuals: Any) -> tuple[Array]:
    flat, shape, degree, solid = residuals
    return (harmonics_vjp(flat, dout.reshape(len(flat), (degree + 1) ** 2), degree, solid).reshape(shape),)


def _jvp(out: Any, args: tuple[Any, ...], tangents: tuple[Any, ...], *, degree: int, solid: bool = False) -> Any:
    """Return the derivative along a direction: that of r^l Y_lm is a combination of those of degree l - 1."""
    (v,), (t,) = args, tangents
    value = value_of(v)
    xp, dtype = namespace(value), value.dtype
    if not solid:
        # Y does not change with the unit of the vector: one in which no square leaves the dtype.
        unit = 1 / xp.abs(value).max(axis=-1, keepdims=True)
        v, t = multiply(v, unit), multiply(t, unit)
        square = sum_of_entries(multiply(v, v), axis=-1, keepdims=True)
        length = sqrt(square)
    total = None
    for k, matrix in enumerate(ladder_matrices(degree)):
        along = linear(t, to_device(np.eye(3, dtype=dtype)[k : k + 1], xp))
        if not solid:
            along = divide(along, length)
        term = multiply(along, linear(out, to_device(matrix.astype(dtype), xp)))
        total = term if total is None else total + term
    if solid:
        return total
    radial = divide(sum_of_entries(multiply(v, t), axis=-1, keepdims=True), square)
    return total - multiply(radial, multiply(out, to_device(degrees_of(degree).astype(dtype), xp)))


@op(vjp=_vjp, value=lambda vectors, *, degree, solid=False: _value(vectors, degree, solid)[0], jvp=_jvp)
def spherical_harmonics(vectors: Array, *, degree: int, solid: bool = False) -> tuple[Array, Any]:
    """Return the real spherical harmonics of the directions of vectors, see `sci.spherical.spherical_harmonics`.

    Parameters
    ----------
    vectors : (..., 3) array
        float32 or float64, of any length but 0 unless `solid`.
    degree : int
        Highest degree, 0 to 64.
    solid : bool
        Return r^l Y_lm, polynomials of the components, which are smooth at 0.

    Returns
    -------
    array or variable
        (..., (degree + 1)^2), Y_lm at place l^2 + l + m.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    The gradient of a loss by the vectors is one kernel, which makes no array of the gradients of harmonics.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import spherical_harmonics, value_and_gradients
    >>> v = np.array([[0.0, 0.0, 2.0]])
    >>> value, gradient = value_and_gradients(lambda v: spherical_harmonics(v, degree=1).sum(), v)
    >>> (gradient / np.sqrt(3 / (4 * np.pi))).round(6) + 0
    array([[0.5, 0.5, 0. ]])
    """
    out, flat = _value(vectors, degree, solid)
    return out, (flat, vectors.shape, degree, solid)


def _value(vectors: Array, degree: int, solid: bool) -> tuple[Array, Array]:
    if getattr(vectors, "ndim", 0) == 0:
        raise ShapeError("vectors are a number; expected an array (..., 3): x, y and z on the last axis")
    require_single_or_double(vectors, "spherical_harmonics")
    flat, lead = rows_of(vectors, degree)
    return checked_harmonics(flat, degree, solid)[0].reshape(*lead, (degree + 1) ** 2), flat
