"""Decompositions and functions in array calls: the reference of the kernels, and the path of orders beyond 32."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace
from sci.linalg.symmetric.functions import SpectralFunction
from sci.linalg.symmetric.matrices import require_nonsingular, require_representable, symmetrized, transposed, units_of

__all__ = ["eigen_reference", "function_reference", "function_vjp_reference", "lyapunov_reference"]


def eigen_reference(matrices: Array) -> tuple[Array, Array]:
    """Return eigenvalues and eigenvectors of symmetric matrices (..., n, n) by LAPACK or cuSOLVER."""
    unit = units_of(matrices, 2)
    values, vectors = namespace(matrices).linalg.eigh(matrices / unit)
    return values * unit[..., 0], vectors


def function_reference(values: Array, vectors: Array, f: SpectralFunction) -> Array:
    """Return U f(x) U'.

    Raises
    ------
    InvalidValueError
        Outside the domain, or where the result overflows.
    """
    f.check_domain(values, gradient=False)
    with np.errstate(all="ignore"):
        result = symmetrized((vectors * f.value(values)[..., None, :]) @ transposed(vectors))
    require_representable(result, f"{f.name} of a matrix", values)
    return result


def function_vjp_reference(values: Array, vectors: Array, dvalue: Array, f: SpectralFunction) -> Array:
    """Return U (K * U' G U) U', with the differences K of eigenvalues in units of their own where f allows.

    Raises
    ------
    InvalidValueError
        Outside the domain, or where the result overflows.
    """
    f.check_domain(values, gradient=True)
    turned = transposed(vectors)
    with np.errstate(all="ignore"):
        inner = turned @ symmetrized(dvalue) @ vectors
        if f.degree is None:
            inner = inner * f.differences(values)
        else:
            unit = units_of(values, 1)
            # Half of the unit's power on either side keeps what stands between in the range of numbers.
            half = unit[..., None] ** ((f.degree - 1) / 2)
            inner = inner * half * f.differences(values / unit) * half
        result = symmetrized(vectors @ inner @ turned)
    require_representable(result, f"the gradient of {f.name}", values)
    return result


def lyapunov_reference(values: Array, vectors: Array, b: Array) -> Array:
    """Return U (U' B U / (x_i + x_j)) U'.

    Raises
    ------
    InvalidValueError
        Where two eigenvalues add up to zero, or the result overflows.
    """
    unit, turned, n = units_of(values, 1), transposed(vectors), values.shape[-1]
    x = values / unit
    sums = x[..., :, None] + x[..., None, :]
    sizes = abs(sums * unit[..., None]).reshape(*x.shape[:-1], n * n)
    require_nonsingular(sizes, "lyapunov", "the smallest sum of two of its eigenvalues", n)
    with np.errstate(all="ignore"):
        result = vectors @ (turned @ b @ vectors / sums / unit[..., None]) @ turned
    require_representable(result, "the solution of lyapunov", values)
    return result
