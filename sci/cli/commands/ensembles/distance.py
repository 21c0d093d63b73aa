"""`sci ensemble distance A B`: how far two sets of points are apart, by optimal transport."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from sci.cli.commands.ensembles.points import Points, read_inputs
from sci.cli.common import chosen_namespace
from sci.cli.estimates.ensembles import distance_needs
from sci.cli.estimates.needs import goes_on
from sci.cli.outcome import Failure, computing, tell
from sci.distributed import agreed, allgather_rows, allreduce_sum, rank_of, size, split
from sci.ensembles import Divergence, exact_transport, sinkhorn_divergence

__all__ = ["run"]

ALIKE, PAIRS = 1000, 40_000
"""Points a side, of sets of one size, and pairs of others, up to which the cost is computed exactly."""


def run(a: argparse.Namespace) -> None:
    """Measure and report."""
    chosen_namespace(a, on_device=False)
    start = time.perf_counter()
    first, second = read_inputs(a, [a.input, a.other])
    dtype = np.result_type(first.x, second.x)
    x, y = first.x.astype(dtype, copy=False), second.x.astype(dtype, copy=False)
    scale, apart = _scale(x, y, first.total, second.total, a.comm)
    if scale == 0:
        raise Failure(f"all points of {a.input} and {a.other} lie at one place; there is no scale for --reg")
    if not _fits(a, first, second, x, y, scale):
        return
    with computing():
        found = _divergence(a, x, y, scale)
        halves = [_halves(a, points, scale) for points in (first, second)]
        exact = _exact(a, x, y, first.total, second.total)
    with agreed(a.comm, "the report"):
        if rank_of(a.comm) > 0:
            return
        report: dict[str, Any] = {
            "inputs": [str(a.input), str(a.other)],
            "what": [first.what, second.what],
            **first.about,
            "points": [first.total, second.total],
            "scale": scale,
            "reg": a.reg * scale,
            "divergence": found.value,
            "distance": max(found.value, 0.0) ** 0.5,
            "rmsd": (max(found.value, 0.0) / first.atoms) ** 0.5 if first.atoms else None,
            "marginal_error": found.error,
            "halves": [None if h is None else max(h.value, 0.0) ** 0.5 for h in halves],
            "distance_of_means": apart**0.5,
            "exact_distance": None if exact is None else exact**0.5,
            "seconds": time.perf_counter() - start,
        }
        tell(a, report, _table(report))


def _scale(x: np.ndarray, y: np.ndarray, n: int, m: int, comm: Any) -> tuple[float, float]:
    """Return the mean squared distance of two points, each of either set alike, and that of the two means."""
    sums = [allreduce_sum(z.sum(axis=0, dtype=float), comm) / count for z, count in ((x, n), (y, m))]
    middle = (sums[0] + sums[1]) / 2
    spread = [((z - middle).astype(float) ** 2).sum() / count for z, count in ((x, n), (y, m))]
    total = float(allreduce_sum(np.array([sum(spread)]), comm)[0])
    return total, float(((sums[0] - sums[1]) ** 2).sum())


def _divergence(a: argparse.Namespace, x: np.ndarray, y: np.ndarray, scale: float) -> Divergence:
    return sinkhorn_divergence(x, y, a.reg * scale, tol=a.tol, maxiter=a.maxiter, comm=a.comm)


def _halves(a: argparse.Namespace, points: Points, scale: float) -> Divergence | None:
    """Return the divergence of the first half of a set from the second: what the sampling alone makes."""
    middle = points.total // 2
    if middle == 0:
        return None
    own = split(points.total, a.comm)
    cut = int(np.clip(middle - own.start, 0, len(points.x)))
    return _divergence(a, points.x[:cut], points.x[cut:], scale)


def _exact(a: argparse.Namespace, x: np.ndarray, y: np.ndarray, n: int, m: int) -> float | None:
    """Return the least cost of transport of small sets, and None for others."""
    if not (n == m <= ALIKE or n * m <= PAIRS):
        return None
    whole = [allgather_rows(z, a.comm).astype(float) for z in (x, y)]
    cost = ((whole[0][:, None, :] - whole[1][None, :, :]) ** 2).sum(axis=2) if n * m * whole[0].shape[1] < 1e7 else None
    if cost is None:
        cost = np.stack([((row - whole[1]) ** 2).sum(axis=1) for row in whole[0]])
    with agreed(a.comm, "the exact cost"):
        return exact_transport(cost)[0]


def _fits(a: argparse.Namespace, first: Points, second: Points, x: np.ndarray, y: np.ndarray, scale: float) -> bool:
    """Return True if the transport fits into memory and is to be computed."""
    n, m, d = first.total, second.total, x.shape[1]
    settings = {"reg": a.reg * scale, "tol": a.tol, "maxiter": a.maxiter}
    return goes_on(
        a,
        lambda: distance_needs(x, y, n, m, settings, size(a.comm)),
        bound=8.0 * (n + m) * d * x.dtype.itemsize / size(a.comm) + 400.0 * (n + m) + 24.0 * ALIKE**2,
        disk=0.0,
        outputs=[],
        remedy="take every STEP-th point by --range ::STEP, or more ranks",
        about={"points": [n, m], "coordinates": d},
    )


def _table(r: dict[str, Any]) -> list[tuple[str, str]]:
    apart = f"{r['distance']:.6g}, root of the divergence {r['divergence']:.6g}"
    if r["rmsd"] is not None:
        apart += f"; an RMSD of {r['rmsd']:.4g} angstrom"
    halves = [f"{h:.4g}" if h is not None else "none" for h in r["halves"]]
    rows = [
        ("first", f"{r['points'][0]} {r['what'][0]}"),
        ("second", f"{r['points'][1]} {r['what'][1]}"),
        ("distance", apart),
        ("of halves", f"{halves[0]} and {halves[1]}: what sampling and drift make within each set"),
        ("of means", f"{r['distance_of_means']:.6g}"),
    ]
    if r["exact_distance"] is not None:
        rows.append(("exact", f"{r['exact_distance']:.6g}, the transport without regularization, with its bias"))
    rows += [
        (
            "blurred below",
            f"{r['reg'] ** 0.5:.4g}, the root of {r['reg']:.4g}: --reg times the mean square distance {r['scale']:.4g}",
        ),
        ("marginals", f"off by {r['marginal_error']:.1e}"),
        ("seconds", f"{r['seconds']:.2f}"),
    ]
    return rows
