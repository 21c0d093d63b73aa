"""Cases of the kernels that evaluate Chebyshev-Tucker functions at scattered points."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sci.chebyshev import vandermonde
from sci.tensor.chebtuck.evaluate import _Compiled, evaluate_points_reference, gradient_points_reference

Pair = tuple[np.ndarray, np.ndarray]
DOMAIN = ((-3.0, 5.0), (0.0, 6.0), (-1.0, 1.5))
SIZES = (1, 15, 16, 17, 129, 2100)


def _points(rng: np.random.Generator, n: int, dtype: str) -> np.ndarray:
    """n points, among them corners of the domain."""
    low, high = np.array(DOMAIN).T
    points = low + (high - low) * rng.random((n, 3))
    points[: n // 8] = high
    points[: n // 16] = low
    return points.astype(dtype)


def _functions(rng: np.random.Generator, dtype: str) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Ranks of one; ranks that fill no panel; degrees of 0 and 1; different ones on each axis."""
    for ranks, terms in (((1, 1, 1), (1, 2, 3)), ((2, 1, 5), (9, 3, 7)), ((7, 9, 4), (12, 20, 5))):
        core = rng.normal(size=ranks).astype(dtype) / len(ranks)
        # Coefficients that decay, as they do: without it single precision would show the rounding of T_k alone.
        decay = [0.3 ** np.arange(m)[:, None] for m in terms]
        yield core, [(rng.normal(size=(m, r)) * d).astype(dtype) for m, r, d in zip(terms, ranks, decay)]


def basis(rng: np.random.Generator, dtype: str, rows: int) -> Iterator[Pair]:
    """The table of an axis against a matrix product."""
    compiled = _Compiled(np.dtype(dtype), rows)
    geometry = np.array([[a, b - a] for a, b in DOMAIN]).ravel().astype(dtype)
    for _, factors in _functions(rng, dtype):
        for axis, factor in enumerate(factors):
            for n in SIZES:
                points = _points(rng, n, dtype)
                panels = compiled._panels(factor)
                *tables, polynomials = compiled._workspace([panels] * 3, n, np)
                compiled._tabulate(points, geometry, panels, axis, polynomials, tables[axis])
                table, exact = tables[axis], vandermonde(points[:, axis], len(factor) - 1, DOMAIN[axis]) @ factor
                yield table.transpose(0, 2, 1).reshape(-1, table.shape[1])[:n, : factor.shape[1]], exact


def points(rng: np.random.Generator, dtype: str, rows: int, slopes: int) -> Iterator[Pair]:
    """Value, or value and slopes along two axes, in each order of the axes."""
    compiled = _Compiled(np.dtype(dtype), rows)
    for core, factors in _functions(rng, dtype):
        for n in SIZES:
            where = _points(rng, n, dtype)
            given = (core, factors, DOMAIN, where)
            value, gradient = evaluate_points_reference(*given), gradient_points_reference(*given)
            for axes in ((0, 1, 2), (2, 0, 1)):
                out = np.full((n, 3 if slopes else 1), np.nan, dtype)
                compiled.run(core, factors, DOMAIN, where, [(axes, out)])
                exact = [value, gradient[:, axes[0]], gradient[:, axes[1]]]
                yield out, np.stack(exact[: out.shape[1]], axis=1)


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {"chebtuck_basis": basis, "chebtuck_points": points}
