"""What the long range holds of a charge at the charge's own place, exactly as the tensor represents it."""

from __future__ import annotations

import numpy as np

from sci import chebyshev
from sci.backend import Array, namespace, to_device, to_host
from sci.potentials.radial.kernels import GaussianSum
from sci.potentials.range_separated.assemble import (
    axis_matrix,
    banded,
    box_counts,
    box_reach,
    long_range_degrees,
    moment_layout,
    octaves,
)
from sci.tensor.boxes.expansion import axis_coefficients
from sci.tensor.boxes.grid import BoxGrid, local_coordinates

__all__ = ["long_range_self_terms"]


def long_range_self_terms(
    positions: Array,
    gaussians: GaussianSum,
    factors: tuple[Array, ...],
    domain: tuple[tuple[float, float], ...],
    eps: float,
    count: int,
    grid: BoxGrid,
    degree: int,
) -> Array:
    r"""Return value and gradient, at its own place, of what a unit charge adds to the long range.

    The coefficients of one charge are \sum_k w_k c_k(y_1) o c_k(y_2) o c_k(y_3); the tensor holds their projections
    V V^T c_k, and its evaluation expands them on boxes. All of it is linear and separable, so the value is
    \sum_k w_k s_k(y_1) s_k(y_2) s_k(y_3), with s_k bilinear in the Chebyshev polynomials of two boxes, and 1 but for
    the errors of the expansion.

    Parameters
    ----------
    positions : (n, 3) float64
        Places of charges, angstrom.
    gaussians : GaussianSum
    factors : three (degree_l + 1, r_l) arrays
        Those of the long range, with orthonormal columns.
    domain : ((a1, b1), (a2, b2), (a3, b3))
    eps : float
        Error of each one-dimensional expansion that the coefficients were made with.
    count : int
        Number of all charges, on which the boxes of their moments depend.
    grid, degree : BoxGrid, int
        Boxes and degree of the expansion that is evaluated.

    Returns
    -------
    (n, 4) float64
        1/angstrom and 1/angstrom^2.

    Notes
    -----
    6 (degree + 1) (p + 1) flops a charge and Gaussian, p the degree of the moments: a few microseconds a charge.
    """
    xp, n = namespace(positions), len(positions)
    inside, local = local_coordinates(positions, grid)
    box_degree, moment_grid = moment_layout(float(gaussians.exponents[-1]), domain, eps, count)
    reach, counts = box_reach(box_degree, eps), moment_grid.counts
    slope = to_device(chebyshev.differentiation_matrix(degree), xp)
    tables = [chebyshev.vandermonde(x, degree) for x in local]
    slopes = [2 * grid.geometry[3 + a] * (v[:, :-1] @ slope) for a, v in enumerate(tables)]
    expanded = [to_host(axis_coefficients(f, grid, a, degree)) for a, f in enumerate(factors)]
    hosts = [to_host(f) for f in factors]
    result = xp.zeros((n, 4))
    for members in octaves(gaussians.exponents):
        top = float(gaussians.exponents[members[-1]])
        counts = box_counts(top, domain, reach, counts)
        source_grid, degrees = BoxGrid(domain, counts), long_range_degrees(top, domain, eps)
        source_cells, source_local = local_coordinates(positions, source_grid)
        sides: list[tuple[Array, Array]] = []
        for a in range(3):
            nodes, edges = chebyshev.nodes(degrees[a], domain[a]), source_grid.edges(a)
            matrices = [
                chebyshev.values_to_coefficients(
                    banded(axis_matrix(float(gaussians.exponents[k]), nodes, edges, box_degree), eps), axis=0
                )
                for k in members
            ]
            projected = np.stack([hosts[a][: degrees[a] + 1].T @ m for m in matrices])
            polynomials = chebyshev.vandermonde(source_local[a], box_degree)
            sides.append(
                _bilinear(expanded[a], projected, inside[a], source_cells[a], tables[a], slopes[a], polynomials)
            )
        (x, dx), (y, dy), (z, dz) = sides
        w = to_device(gaussians.weights[members], xp)
        for column, product in enumerate((x * y * z, dx * y * z, x * dy * z, x * y * dz)):
            result[:, column] += product @ w
    return result


def _bilinear(
    expanded: np.ndarray,
    projected: np.ndarray,
    boxes: Array,
    source_boxes: Array,
    table: Array,
    slopes: Array,
    polynomials: Array,
) -> tuple[Array, Array]:
    """Return s_k and its slope at all charges along one axis, (n, K) each.

    `expanded` (boxes (degree + 1), r) and `projected` (K, r, boxes (p + 1)) are joined for each pair of a box of the
    evaluation and a box of the moments that holds charges.
    """
    xp = namespace(table)
    terms, width = table.shape[1], polynomials.shape[1]
    value, slope = (xp.empty((len(table), len(projected))) for _ in range(2))
    n_source = projected.shape[2] // width
    pairs = boxes * n_source + source_boxes
    order = xp.argsort(pairs)
    found, starts = np.unique(to_host(pairs[order]), return_index=True)
    for pair, start, stop in zip(found.tolist(), starts.tolist(), [*starts[1:].tolist(), len(table)]):
        box, source = divmod(pair, n_source)
        rows = order[start:stop]
        join = expanded[box * terms : (box + 1) * terms] @ projected[:, :, source * width : (source + 1) * width]
        matrix = to_device(np.ascontiguousarray(join.reshape(-1, width).T), xp)
        parts = (polynomials[rows] @ matrix).reshape(len(rows), len(projected), terms)
        value[rows] = xp.matmul(parts, table[rows][:, :, None])[:, :, 0]
        slope[rows] = xp.matmul(parts, slopes[rows][:, :, None])[:, :, 0]
    return value, slope
