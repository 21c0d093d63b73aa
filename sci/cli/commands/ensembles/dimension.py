"""`sci ensemble dimension INPUT`: the number of degrees of freedom of a set of points, and what speaks against it."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np

from sci.cli.commands.ensembles.points import Points, read_inputs, read_labels
from sci.cli.common import chosen_namespace
from sci.cli.estimates.ensembles import dimension_needs
from sci.cli.estimates.needs import goes_on
from sci.cli.outcome import tell
from sci.distributed import agreed, rank_of, size
from sci.ensembles import IntrinsicDimension, LabelSharpness, intrinsic_dimension, label_sharpness
from sci.errors import InvalidValueError
from sci.linalg import PackedPoints

__all__ = ["cautions", "run"]

FEW = 100
"""Points below which an interval says little."""
COINCIDENT, SUCCESSIVE = 0.01, 0.2
"""Parts of points that coincide, or follow their nearest neighbor, from which on they spoil the estimate."""
APART = 0.2
"""How far the two estimates may be apart, over the larger one."""


def run(a: argparse.Namespace) -> None:
    """Estimate and report."""
    chosen_namespace(a, on_device=False)
    _require_options(a)
    start = time.perf_counter()
    (points,) = read_inputs(a, [a.input])
    labels = None if a.labels is None else read_labels(a, points)
    methods = ("twonn", "mle") if a.method == "both" else (a.method,)
    _require_enough(a, points, methods)
    if not _fits(a, points, methods):
        return
    packed = PackedPoints(points.x)
    found, refused = _estimates(a, packed, methods)
    sharpness = None if labels is None else _sharpness(a, packed, labels)
    with agreed(a.comm, "the report"):
        if rank_of(a.comm) > 0:
            return
        first = next(iter(found.values()))
        told = refused + cautions(list(found.values()), points)
        report: dict[str, Any] = {
            "input": str(a.input),
            "what": points.what,
            **points.about,
            "points": points.total,
            "coordinates": points.x.shape[1],
            "coincident": first.coincident,
            **{m: _as_dict(d) for m, d in found.items()},
        }
        if sharpness is not None:
            best = found.get("mle", first)
            report["label_sharpness"] = {
                "value": sharpness.value,
                "points": [points.numbers[k] if k >= 0 else None for k in sharpness.pair],
                "loss_scale": sharpness.loss_scale(best.value, best.points) if best.value > 0 else None,
            }
        report |= {"cautions": told, "seconds": time.perf_counter() - start}
        tell(a, report, _table(report, found))


def _require_options(a: argparse.Namespace) -> None:
    if a.layer is not None and a.model is None:
        raise InvalidValueError(f"--layer {a.layer} goes with --model MODEL.h5")
    if a.classes and a.labels is None:
        raise InvalidValueError("--classes goes with --labels NAME")


def _estimates(
    a: argparse.Namespace, packed: PackedPoints, methods: tuple[str, ...]
) -> tuple[dict[str, IntrinsicDimension], list[str]]:
    """Return the estimates, and why another method has none.

    Raises
    ------
    InvalidValueError
        If no method has one.
    """
    found, refused = {}, []
    for method in methods:
        try:
            k = a.neighbors if method == "mle" else None
            found[method] = intrinsic_dimension(packed, method, k=k, comm=a.comm)  # type: ignore[arg-type]
        except InvalidValueError as error:
            if method == methods[-1] and not found:
                raise
            refused.append(f"no estimate by {method}: {error}")
    return found, refused


def _sharpness(a: argparse.Namespace, packed: PackedPoints, labels: np.ndarray) -> LabelSharpness:
    if labels.dtype != packed.array.dtype:  # labels in double that points in single could not tell apart
        packed = PackedPoints(packed.array.astype(np.float64))
    return label_sharpness(packed, labels.astype(packed.array.dtype), classes=a.classes, comm=a.comm)


def _require_enough(a: argparse.Namespace, points: Points, methods: tuple[str, ...]) -> None:
    needed = {m: 2 if m == "twonn" else a.neighbors for m in methods}
    for method, neighbors in needed.items():
        if points.total <= neighbors:
            fix = "; choose fewer --neighbors" if method == "mle" and points.total > 3 else ""
            raise InvalidValueError(
                f"{a.input}: {points.total} points; {method} needs more than its {neighbors} neighbors{fix}"
            )


def _fits(a: argparse.Namespace, points: Points, methods: tuple[str, ...]) -> bool:
    """Return True if the estimate fits into memory and is to be made."""
    neighbors = max(2 if "mle" not in methods else a.neighbors, 2)
    n, d, each = points.total, points.x.shape[1], points.x.dtype.itemsize
    return goes_on(
        a,
        lambda: dimension_needs(n, d, points.x.dtype, methods, a.neighbors or 20, size(a.comm)),
        bound=4.0 * n * d * each / size(a.comm) + 100.0 * n * neighbors,
        disk=0.0,
        outputs=[],
        remedy="take every STEP-th point by --range ::STEP, or more ranks",
        about={"points": n, "coordinates": d},
    )


def _as_dict(found: IntrinsicDimension) -> dict[str, Any]:
    return {
        "value": found.value,
        "standard_error": found.standard_error,
        "interval": list(found.interval),
        "neighbors": found.neighbors,
        "points": found.points,
    }


def cautions(found: list[IntrinsicDimension], points: Points) -> list[str]:
    """Return the reasons not to trust the estimates, in words."""
    first, told = found[0], []
    largest = max(d.value for d in found)
    if first.points < FEW:
        told.append(f"{first.points} points are few: expect an error beyond the interval")
    if first.coincident > COINCIDENT * points.total:
        told.append(
            f"{first.coincident} of {points.total} points coincide with another: repeated or rounded data, whose "
            "smallest distances mean nothing"
        )
    if first.successive > max(SUCCESSIVE, 10 / first.points):
        told.append(
            f"the nearest neighbor of {100 * first.successive:.0f} % of the points is the one before or after: the "
            "points are dense on a path, and the estimate sees its dimension; take every STEP-th by --range ::STEP"
        )
    limit = 2 * math.log10(first.points)
    if largest > limit:
        told.append(
            f"{largest:.3g} is more than {first.points} points can tell, about 2 log10(n) = {limit:.2g}: the true "
            "dimension may be much higher"
        )
    if len(found) > 1 and abs(found[0].value - found[1].value) > APART * largest:
        told.append(
            f"twonn {found[0].value:.3g} and mle {found[1].value:.3g} see different scales: noise raises the first, "
            "boundaries and curvature lower the second; compare --range ::2 and ::4"
        )
    return told


def _table(report: dict[str, Any], found: dict[str, IntrinsicDimension]) -> list[tuple[str, str]]:
    coincident = f", {report['coincident']} coincide with another" if report["coincident"] else ""
    rows = [
        ("points", f"{report['points']} {report['what']}"),
        ("", f"{report['coordinates']} coordinates{coincident}"),
    ]
    for name, d in found.items():
        low, high = d.interval
        rows.append((name, f"{d.value:.3f}, 95 % from {low:.3f} to {high:.3f} ({d.neighbors} neighbors)"))
    if "label_sharpness" in report:
        sharp = report["label_sharpness"]
        pair = "no labels differ" if None in sharp["points"] else "between points {} and {}".format(*sharp["points"])
        rows.append(("label sharpness", f"{sharp['value']:.6g}, {pair}"))
        if sharp["loss_scale"] is not None:
            rows.append(("loss scale", f"{sharp['loss_scale']:.4g}, label sharpness times n^(-1/dimension)"))
    rows += [("caution" if k == 0 else "", text) for k, text in enumerate(report["cautions"])]
    return [*rows, ("seconds", f"{report['seconds']:.2f}")]
