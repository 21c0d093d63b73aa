"""Chebyshev coefficients of a function of three variables from samples: adaptive, or through grid vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy

from sci.backend import Array, Device, as_finite, namespace, namespace_of, to_host
from sci.chebyshev import Interval, chop, nodes, values_to_coefficients
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.tensor.chebtuck.evaluate import Box, evaluate_grid, evaluate_points_reference
from sci.tensor.decompose.hosvd import hosvd
from sci.tensor.formats.cp import CP
from sci.tensor.formats.tucker import Tucker

__all__ = ["adaptive_series", "grid_vectors_to_coefficients", "values_to_series"]

FIRST_DEGREE = 16
PROBES = 100
ATTEMPTS = 8
ROUNDING = 3e-14
"""The smallest tolerance that samples and transforms in float64 support; a smaller one is taken for it."""

SPLINE_BLOCK = 256

Function = Callable[[Array, Array, Array], Array]


def values_to_series(values: Array) -> Array:
    """Return the coefficient tensor of values on the tensor grid of Chebyshev nodes, one transform an axis."""
    for axis in range(3):
        values = values_to_coefficients(values, axis)
    return values


def _sample(f: Function, axes: Sequence[Array]) -> Array:
    """Return f on a tensor grid, (n_1, n_2, n_3); a result that does not vary along an axis is spread over it."""
    x, y, z = axes
    xp = namespace(x)
    values = as_finite(f(x[:, None, None], y[None, :, None], z[None, None, :]), "f(x, y, z)", xp=xp)
    shape = (len(x), len(y), len(z))
    try:
        return xp.ascontiguousarray(xp.broadcast_to(values, shape))
    except ValueError as error:
        raise ShapeError(
            f"f returned shape {tuple(values.shape)} on arrays that broadcast to {shape}; f must work on arrays"
        ) from error


def _refine(f: Function, domain: Box, values: Array, degrees: list[int], axis: int, degree: int) -> Array:
    """Return samples with a higher degree along one axis; when it doubles, the old samples are used again."""
    xp = namespace(values)
    device: Device = "cpu" if xp is np else "cuda"
    old = degrees[axis]
    degrees[axis] = degree
    axes = [nodes(d, interval, device=device) for d, interval in zip(degrees, domain)]
    if degree != 2 * old:
        return _sample(f, axes)
    result = xp.empty(tuple(d + 1 for d in degrees))
    axes[axis] = axes[axis][1::2]
    ahead = (slice(None),) * axis
    result[(*ahead, slice(0, None, 2))] = values
    result[(*ahead, slice(1, None, 2))] = _sample(f, axes)
    return result


def _slice_norms(coefficients: Array, axis: int) -> np.ndarray:
    """Return the norm of every slice across `axis`, (n_axis,) on the host."""
    xp = namespace(coefficients)
    others = tuple(q for q in range(3) if q != axis)
    return to_host(xp.sqrt((coefficients * coefficients).sum(axis=others)))


def _probe_error(f: Function, domain: Box, coefficients: Array) -> float:
    """Return the largest error of a dense series at pseudo-random points, which no aliasing can foresee."""
    xp = namespace(coefficients)
    lower, upper = np.array(domain).T
    unit = np.random.default_rng(271828).random((PROBES, 3))
    points = xp.asarray(lower + unit * (upper - lower))
    exact = as_finite(f(points[:, 0], points[:, 1], points[:, 2]), "f(x, y, z)", xp=xp)
    identities = [xp.eye(n) for n in coefficients.shape]
    return float(xp.abs(exact - evaluate_points_reference(coefficients, identities, domain, points)).max())


def _resolved_samples(
    f: Function, domain: Box, tol: float, max_degree: int, device: Device
) -> tuple[Array, Array, list[int]]:
    """Sample f on nested grids until every axis is resolved; return values, coefficients and degrees."""
    degrees = [min(FIRST_DEGREE, max_degree)] * 3
    values = _sample(f, [nodes(d, interval, device=device) for d, interval in zip(degrees, domain)])
    while True:
        coefficients = values_to_series(values)
        scale = float(namespace(values).abs(values).max())
        short = [axis for axis in range(3) if chop(_slice_norms(coefficients, axis), tol) is None]
        if not short:
            error = _probe_error(f, domain, coefficients)
            if error <= 10.0 * tol * scale:
                return values, coefficients, degrees
            short = [0, 1, 2]
        full = [axis for axis in short if degrees[axis] >= max_degree]
        if full:
            axis = full[0]
            tail = _slice_norms(coefficients, axis)
            raise ConvergenceError(
                f"f is not resolved to tol {tol:g} with degree {max_degree} along axis {axis}: the last coefficients "
                f"are {tail[-3:].max() / tail.max():.1e} of the largest; raise max_degree, loosen tol, take a smaller "
                "domain, or remove noise and what is not smooth"
            )
        for axis in short:
            values = _refine(f, domain, values, degrees, axis, min(2 * degrees[axis], max_degree))


def adaptive_series(f: Function, domain: Box, tol: float, max_degree: int, device: Device) -> Tucker:
    """Return Chebyshev coefficients of f in Tucker format, with an error of at most tol max|f| on the sample grid.

    Raises
    ------
    ConvergenceError
        If `max_degree` does not resolve f.
    """
    if not 0.0 < tol < 1.0:
        raise InvalidValueError(f"tol is {tol}; expected 0 < tol < 1")
    if max_degree < 1:
        raise InvalidValueError(f"max_degree is {max_degree}; expected at least 1")
    tol = max(tol, ROUNDING)
    values, coefficients, degrees = _resolved_samples(f, domain, tol, max_degree, device)
    xp = namespace_of(device)
    axes = [nodes(d, interval, device=device) for d, interval in zip(degrees, domain)]
    scale = float(xp.abs(values).max())
    if scale == 0.0:
        return hosvd(coefficients[:1, :1, :1], 0.0)
    share = min(0.5, tol * scale / float(xp.linalg.norm(coefficients.ravel())))
    for _ in range(ATTEMPTS):
        series = hosvd(_cut(coefficients, share), share)
        error = float(xp.abs(evaluate_grid(series.core, series.factors, domain, axes) - values).max())
        if error <= tol * scale:
            return series
        share *= min(0.5, 0.8 * tol * scale / error)
    raise ConvergenceError(f"the error stays at {error / scale:.1e} of max|f|, above tol {tol:g}; loosen tol")


def _cut(coefficients: Array, share: float) -> Array:
    """Drop the trailing slices whose norm together is at most share / 3 of the whole, along every axis."""
    kept = []
    for axis in range(3):
        squares = np.cumsum(_slice_norms(coefficients, axis)[::-1] ** 2)[::-1]
        kept.append(slice(max(1, int(np.count_nonzero(squares > (share / 3.0) ** 2 * squares[0])))))
    return coefficients[tuple(kept)]


def _spline_matrix(x: np.ndarray, targets: np.ndarray, spline_degree: int) -> np.ndarray:
    """Return the matrix (targets, n) of spline interpolation, in blocks of columns that bound the memory."""
    n = len(x)
    blocks = []
    for start in range(0, n, SPLINE_BLOCK):
        unit = np.zeros((n, min(SPLINE_BLOCK, n - start)))
        unit[np.arange(start, start + unit.shape[1]), np.arange(unit.shape[1])] = 1.0
        blocks.append(scipy.interpolate.make_interp_spline(x, unit, k=spline_degree)(targets))
    return np.concatenate(blocks, axis=1)


def _at_nodes(factor: Array, interval: Interval, degree: int, spline_degree: int) -> Array:
    """Interpolate vectors on the cell-centered grid of an interval at its Chebyshev nodes, by a spline."""
    xp = namespace(factor)
    n = factor.shape[0]
    if n <= spline_degree:
        raise ShapeError(
            f"a factor has shape {tuple(factor.shape)}; a spline of degree {spline_degree} needs more cells"
        )
    a, b = interval
    x = a + (np.arange(n) + 0.5) * ((b - a) / n)
    targets = nodes(degree, interval)
    if xp is np:
        return scipy.interpolate.make_interp_spline(x, factor, k=spline_degree)(targets)
    return xp.asarray(_spline_matrix(x, targets, spline_degree)) @ factor


def grid_vectors_to_coefficients(cp: CP, domain: Box, degree: Sequence[int], spline_degree: int) -> CP:
    """Return the CP tensor of Chebyshev coefficients of one given on a cell-centered grid.

    Each vector, values at a + (i + 1/2) (b - a) / n, goes through a not-a-knot spline to the nodes (the outermost half
    cells by extrapolation) and one transform. On a device the spline is a matrix that was built on the host.

    References
    ----------
    P. Benner, B. N. Khoromskij, V. Khoromskaia, B. Sun, arXiv 2503.01696, Algorithm 3.3, up to the RHOSVD; there
    the spline is cubic.
    """
    if spline_degree not in (1, 3, 5, 7):
        raise InvalidValueError(f"spline_degree is {spline_degree!r}; expected 1, 3, 5 or 7")
    sampled = [_at_nodes(f, interval, d, spline_degree) for f, interval, d in zip(cp.factors, domain, degree)]
    return CP(cp.weights, tuple(values_to_coefficients(v) for v in sampled))
