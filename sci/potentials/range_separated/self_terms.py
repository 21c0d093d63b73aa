"""What the long range holds of a charge at the charge's own place, exactly as the tensor represents it."""

from __future__ import annotations

from typing import TypeAlias

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
from sci.tensor.boxes.grid import BoxGrid, local_coordinates, on_device, run_places

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
    places = local_coordinates(positions, grid)
    box_degree, moment_grid = moment_layout(float(gaussians.exponents[-1]), domain, eps, count)
    reach, counts = box_reach(box_degree, eps), moment_grid.counts
    expanded = [to_host(axis_coefficients(f, grid, a, degree)) for a, f in enumerate(factors)]
    hosts = [to_host(f) for f in factors]
    products = (_DeviceProducts if on_device("self_products", positions) else _Products)(places, grid, expanded)
    result = xp.zeros((n, 4))
    for members in octaves(gaussians.exponents):
        top = float(gaussians.exponents[members[-1]])
        counts = box_counts(top, domain, reach, counts)
        source_grid, degrees = BoxGrid(domain, counts), long_range_degrees(top, domain, eps)
        projected = []
        for a in range(3):
            nodes, edges = chebyshev.nodes(degrees[a], domain[a]), source_grid.edges(a)
            matrices = [
                chebyshev.values_to_coefficients(
                    banded(axis_matrix(float(gaussians.exponents[k]), nodes, edges, box_degree), eps), axis=0
                )
                for k in members
            ]
            projected.append(np.stack([hosts[a][: degrees[a] + 1].T @ m for m in matrices]))
        sources = local_coordinates(positions, source_grid)
        products.add_to(result, sources, box_degree, projected, gaussians.weights[members])
    return result


Located: TypeAlias = tuple[Array, Array]
"""Boxes of charges along each axis, and coordinates there: (3, n) arrays, or lists of three."""


class _Products:
    """The sums over the Gaussians of an octave of products of three bilinear forms.

    `expanded` (boxes (degree + 1), r) and `projected` (K, r, boxes (p + 1)) are joined for each pair of a box of the
    evaluation, of which `grid` has `places`, and a box of the moments that holds charges, in `sources`.
    """

    def __init__(self, places: Located, grid: BoxGrid, expanded: list[np.ndarray]) -> None:
        self.places, self.expanded, self.grid = places, expanded, grid
        edges = [to_device(grid.edges(a), namespace(places[1][0])) for a in range(3)]
        self.coordinates = [
            e[box] + 0.5 * (x + 1) * (e[box + 1] - e[box]) for e, box, x in zip(edges, *(list(p) for p in places))
        ]

    def add_to(
        self, result: Array, sources: Located, box_degree: int, projected: list[np.ndarray], weights: np.ndarray
    ) -> None:
        """Add value and gradient, (n, 4)."""
        sides = []
        for a in range(3):
            n_source = projected[a].shape[2] // (box_degree + 1)
            edges = self.grid.edges(a), np.linspace(*self.grid.domain[a], n_source + 1)
            boxes = self.places[0][a], sources[0][a]
            sides.append(_bilinear(self.expanded[a], projected[a], *boxes, self.coordinates[a], *edges))
        (x, dx), (y, dy), (z, dz) = sides
        w = to_device(weights, namespace(result))
        for column, product in enumerate((x * y * z, dx * y * z, x * dy * z, x * y * dz)):
            result[:, column] += product @ w


class _DeviceProducts:
    """The same by one kernel an octave."""

    def __init__(self, places: Located, grid: BoxGrid, expanded: list[np.ndarray]) -> None:
        xp = namespace(places[1])
        self.boxes, self.expanded, degree = to_host(places[0]), expanded, len(expanded[0]) // grid.counts[0] - 1
        slope = to_device(np.ascontiguousarray(chebyshev.differentiation_matrix(degree).T), xp)
        self.table = chebyshev.vandermonde(places[1].reshape(-1), degree).T
        self.slopes, self.scales = slope @ self.table[:-1], to_device(2 * grid.geometry[3:], xp)

    def add_to(
        self, result: Array, sources: Located, box_degree: int, projected: list[np.ndarray], weights: np.ndarray
    ) -> None:
        """Add value and gradient, (n, 4)."""
        xp, n, terms, width = namespace(result), len(result), len(self.table), box_degree + 1
        joins: list[np.ndarray] = []
        pairs, source_boxes = np.empty((3, n), dtype=np.int64), to_host(sources[0])
        for a in range(3):
            n_source = projected[a].shape[2] // width
            found, turns = np.unique(self.boxes[a] * n_source + source_boxes[a], return_inverse=True)
            pairs[a] = turns.reshape(-1) + len(joins)
            for box, source in zip(*(side.tolist() for side in np.divmod(found, n_source))):
                left = self.expanded[a][box * terms : (box + 1) * terms]
                joins.append(left @ projected[a][:, :, source * width : (source + 1) * width])
        polynomials = chebyshev.vandermonde(sources[1].reshape(-1), box_degree).T
        joined, pair, w = (to_device(v, xp) for v in (np.stack(joins), pairs.reshape(-1), weights))
        arrays = (joined, pair, self.table, self.slopes, polynomials, self.scales, w, result)
        run_places("self_products", n, *arrays, n, len(weights), terms, width, 3 * n)


def _bilinear(
    expanded: np.ndarray,
    projected: np.ndarray,
    boxes: Array,
    source_boxes: Array,
    coordinates: Array,
    edges: np.ndarray,
    source_edges: np.ndarray,
) -> tuple[Array, Array]:
    """Return s_k and its slope by the place of evaluation at all charges along one axis, (n, K) each.

    Where a box of the evaluation and one of the moments meet, both arguments of the form are one coordinate, and its
    value is a polynomial of it whose degree is the sum: it is taken at Chebyshev nodes, and its series at the charges.
    """
    xp, n_source, gaussians = namespace(coordinates), len(source_edges) - 1, len(projected)
    pairs = boxes * n_source + source_boxes
    order = xp.argsort(pairs)
    found, starts = np.unique(to_host(pairs[order]), return_index=True)
    box, source = np.divmod(found, n_source)
    low, high = np.maximum(edges[box], source_edges[source]), np.minimum(edges[box + 1], source_edges[source + 1])
    apart = high - low < 1e-6 * (edges[1] - edges[0])  # charges on an edge, by rounding on two sides of it
    low, high = np.where(apart, edges[box], low), np.where(apart, edges[box + 1], high)
    series = _series(expanded, projected, (box, edges), (source, source_edges), (low, high))
    tables = to_device(np.ascontiguousarray(series.transpose(0, 2, 1)), xp)
    counts = np.diff(np.append(starts, len(order)))
    middles, widths = (to_device(np.repeat(v, counts), xp) for v in (0.5 * (low + high), 0.5 * (high - low)))
    polynomials = chebyshev.vandermonde((coordinates[order] - middles) / widths, series.shape[2] - 1)
    values = xp.empty((len(order), 2 * gaussians))
    for k, (start, stop) in enumerate(zip(starts.tolist(), [*starts[1:].tolist(), len(order)])):
        values[start:stop] = polynomials[start:stop] @ tables[k]
    result = xp.empty_like(values)
    result[order] = values
    return result[:, :gaussians], result[:, gaussians:]


Boxes: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Numbers of boxes along an axis, and the edges of all."""


def _series(
    expanded: np.ndarray, projected: np.ndarray, box: Boxes, source: Boxes, interval: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the Chebyshev series (I, 2 K, degree + p + 1) of s_k, then of its slopes, where pairs of boxes meet."""
    terms, width = len(expanded) // (len(box[1]) - 1), projected.shape[2] // (len(source[1]) - 1)
    low, high = (end[:, None] for end in interval)
    places = 0.5 * (low + high) + 0.5 * (high - low) * chebyshev.nodes(terms + width - 2)
    tables = []
    for (number, edges), count in ((box, terms), (source, width)):
        start, stop = edges[number][:, None], edges[number + 1][:, None]
        local = (2 * places - start - stop) / (stop - start)
        tables.append(chebyshev.vandermonde(local.reshape(-1), count - 1).reshape(*places.shape, count))
    left = expanded.reshape(-1, terms, expanded.shape[1])[box[0]]
    steep = np.zeros_like(left)
    matrix = chebyshev.differentiation_matrix(terms - 1)
    steep[:, : len(matrix)] = matrix @ left * (2 / np.diff(box[1])[box[0]])[:, None, None]
    right = projected.reshape(*projected.shape[:2], -1, width)[:, :, source[0]].transpose(2, 0, 1, 3)
    sides = tables[0][:, None] @ np.stack([left, steep], axis=1)  # (I, 2, nodes, r)
    values = ((sides[:, :, None] @ right[:, None]) * tables[1][:, None, None]).sum(axis=4)
    found: np.ndarray = chebyshev.values_to_coefficients(values, axis=3).reshape(len(places), 2 * len(projected), -1)
    return found
