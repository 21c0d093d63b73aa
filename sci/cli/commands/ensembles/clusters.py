"""`sci ensemble cluster INPUT -k K -o OUT.h5` and `sci ensemble select INPUT --fraction F -o OUT.h5`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.cli.commands.ensembles.frames import is_trajectory
from sci.cli.commands.ensembles.points import Points, principal_places, read_inputs
from sci.cli.common import chosen_namespace
from sci.cli.estimates.ensembles import clusters_needs
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.outcome import require_writable, tell
from sci.cli.sharing import rows_to_first
from sci.distributed import agreed, size
from sci.ensembles import Clusters, Selection, k_means, select
from sci.errors import InvalidValueError
from sci.io import Quantity, copy_frames, save

__all__ = ["choose", "cluster"]


def cluster(a: argparse.Namespace) -> None:
    """Find clusters, and write and report them."""
    start = time.perf_counter()
    points = _begun(a)
    if not _fits(a, points, a.clusters):
        return
    found, places = _clusters(a, points, a.clusters)
    with agreed(a.comm, "the clusters"):
        if found is None:
            return
        numbers = found.representatives()
        nearest = np.unique(numbers[numbers >= 0])
        _write(a, points, found, places, nearest, labels=found.labels)
        report = _common(a, points, found)
        counts = np.bincount(found.labels, minlength=a.clusters)
        report |= {
            "sizes": [int(counts.min()), float(np.median(counts)), int(counts.max())],
            "seconds": time.perf_counter() - start,
        }
        tell(a, report, _table(a, report, [("sizes", "{} to {}, {:g} in the middle".format(*_ends(report["sizes"])))]))


def choose(a: argparse.Namespace) -> None:
    """Choose points by their scores, and write and report them."""
    start = time.perf_counter()
    points = _begun(a)
    k = a.clusters if a.clusters is not None else max(1, round(points.total**0.5))
    if not _fits(a, points, k):
        return
    found, places = _clusters(a, points, k)
    with agreed(a.comm, "the selection"):
        if found is None:
            return
        chosen = select(np.sqrt(found.squared.astype(float)), a.fraction, a.mode)
        _write(a, points, chosen, places, chosen.indices, chosen=chosen.indices)
        report = _common(a, points, found) | {
            "chosen": len(chosen.indices),
            "mode": a.mode,
            "threshold": chosen.threshold,
            "largest_score": float(chosen.scores.max()),
            "seconds": time.perf_counter() - start,
        }
        bound = "from" if a.mode == "hard" else "to"
        share = f"{report['chosen']} of {points.total}, {a.mode}: scores {bound} {chosen.threshold:.6g}"
        tell(a, report, _table(a, report, [("chosen", f"{share}, the largest of all {report['largest_score']:.6g}")]))


def _ends(sizes: Sequence[Any]) -> tuple[Any, Any, Any]:
    low, middle, high = sizes
    return low, high, middle


def _begun(a: argparse.Namespace) -> Points:
    """Check options and outputs, and read the points."""
    chosen_namespace(a, on_device=False)
    outputs = [path for path in (a.output, a.frames, a.plot) if path]
    inputs = [path for path in (a.input, a.topology, a.reference) if path]
    require_writable(outputs, inputs, overwrite=a.overwrite, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    if a.frames and not is_trajectory(a.input, a.topology):
        raise InvalidValueError(f"--frames {a.frames}: {a.input} holds points and no frames")
    if a.frames and a.frames.suffix.lower() not in (".xyz", ".extxyz"):
        raise InvalidValueError(f"--frames {a.frames}: frames are written as extended XYZ; expected a name in .xyz")
    (points,) = read_inputs(a, [a.input])
    return points


def _fits(a: argparse.Namespace, points: Points, k: int) -> bool:
    """Return True if the clusters fit into memory and disk and are to be found."""
    if k > points.total:
        raise InvalidValueError(f"--clusters {k}: {a.input} has {points.total} points; choose fewer clusters")
    n, d, each = points.total, points.x.shape[1], points.x.dtype.itemsize
    return goes_on(
        a,
        lambda: clusters_needs(points.x, n, k, a.starts, a.maxiter, size(a.comm)),
        bound=3.0 * n * d * each / size(a.comm) + 60.0 * n + 40.0 * k * d,
        disk=file_bytes(32.0 * n + k * d * each, 12),
        outputs=[a.output, a.frames, a.plot],
        remedy="take every STEP-th point by --range ::STEP, fewer --clusters, or more ranks",
        about={"points": n, "coordinates": d, "clusters": k},
    )


def _clusters(a: argparse.Namespace, points: Points, k: int) -> tuple[Clusters | None, np.ndarray | None]:
    """Return on rank 0 the clusters of the points of all ranks, and the places of all points on a plane."""
    found = k_means(points.x, k, starts=a.starts, maxiter=a.maxiter, seed=a.seed, comm=a.comm)
    labels, squared = rows_to_first(a.comm, found.labels), rows_to_first(a.comm, found.squared)
    places = principal_places(points.x, points.total, a.comm)
    if labels is None or squared is None:
        return None, None
    whole = Clusters(found.centers, labels, squared, found.inertia, found.iterations, found.converged)
    return whole, places


def _write(
    a: argparse.Namespace,
    points: Points,
    found: Clusters | Selection,
    places: np.ndarray | None,
    nearest: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    chosen: np.ndarray | None = None,
) -> None:
    """Write the file, the frames and the picture."""
    units = "angstrom" if points.atoms else ""
    numbers = np.array(points.numbers, np.int64)
    results: dict[str, Any] = {
        "points": points.what,
        "numbers": Quantity(numbers, "1", ("point",)),
        "principal": Quantity(places, units, ("point", "axis")),
    }
    save(a.output, found, results=results, command=a.command, units=units or None)
    if a.frames:
        copy_frames(a.input, a.frames, numbers[nearest].tolist(), topology=a.topology)
    if a.plot and places is not None:
        from sci.plotting import plot_points

        names = ("first principal axis", "second principal axis")
        axes = (f"{names[0]} (Å)", f"{names[1]} (Å)") if points.atoms else names
        plot_points(places, a.plot, axes_names=axes, title=a.input.name, labels=labels, chosen=chosen)


def _common(a: argparse.Namespace, points: Points, found: Clusters) -> dict[str, Any]:
    mean = (found.inertia / points.total) ** 0.5
    return {
        "input": str(a.input),
        "what": points.what,
        **points.about,
        "points": points.total,
        "coordinates": points.x.shape[1],
        "clusters": len(found.centers),
        "inertia": found.inertia,
        "distance": mean,
        "rmsd_to_center": mean / points.atoms**0.5 if points.atoms else None,
        "iterations": found.iterations,
        "converged": found.converged,
        "file": str(a.output),
        "frames": str(a.frames) if a.frames else None,
        "plot": str(a.plot) if a.plot else None,
    }


def _table(a: argparse.Namespace, r: dict[str, Any], more: list[tuple[str, str]]) -> list[tuple[str, str]]:
    distance = f"{r['distance']:.6g} rms to the center"
    if r["rmsd_to_center"] is not None:
        distance += f", an RMSD of {r['rmsd_to_center']:.4g} angstrom"
    end = "converged" if r["converged"] else f"not converged: raise --maxiter (now {a.maxiter})"
    files = [r[name] for name in ("file", "frames", "plot") if r[name]]
    return [
        ("points", f"{r['points']} {r['what']}"),
        ("clusters", f"{r['clusters']}, {end} after {r['iterations']} iterations"),
        ("distance", distance),
        *more,
        ("seconds", f"{r['seconds']:.2f}"),
        *(("" if k else "files", name) for k, name in enumerate(files)),
    ]
