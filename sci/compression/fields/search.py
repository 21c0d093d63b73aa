"""The method and the step with the smallest result."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.compression.coding.bytes import floats, varint
from sci.compression.coding.integers import pack_integers
from sci.compression.fields.bounds import Measured, measure
from sci.compression.fields.codecs.interpolation import InterpolationEncoder
from sci.compression.fields.codecs.quantized import single
from sci.compression.fields.codecs.transform import TransformEncoder
from sci.compression.fields.codecs.tucker import TuckerEncoder
from sci.compression.fields.codecs.wavelet import WaveletEncoder
from sci.compression.fields.estimate import Estimate
from sci.compression.fields.header import METHODS
from sci.compression.fields.rest import take_rest
from sci.compression.fields.task import Task

__all__ = ["chosen_methods", "within_l2", "within_maximum"]

_STEPS = np.geomspace(1.6, 10.0, 13)
"""Steps of coefficients over the bound of each point, to choose from."""

_ROUGH_STEP = {"l2": 4.0, "maximum": 2.0}
"""Steps of prediction over the bound of a point, and of waves in the L2 norm."""

_ANOTHER_STEP = 1.25
"""A step is coded again if the estimated one is this much larger or smaller."""

_CODED = 0.87
"""Bytes of prediction count as this many estimated ones of wavelets."""

_HOPELESS = 1.5
"""Wavelets are not sampled where prediction takes this many times the bytes of waves."""

_ABANDONED = 1.4
"""A wavelet is not coded if its coefficients alone are estimated at this many times the best result so far."""

_CLEARLY = 1.12
"""One method is larger than another if estimates of their bytes differ by this."""

_TRIALS = 6
_LONGEST_BASIS = 2048
_SAMPLED_SIZE, _SAMPLE, _PART = 1 << 17, 1 << 16, 16
_BEHIND_BY_FAR = {"transform": 1.45, "local": 0.85}
_FEW_BYTES = 256
"""A method is not tried where a sample of the field takes this many times the bytes of another, unless these are few:
waves gain from the whole field, predictions from neighbors do not."""

Result = tuple[np.ndarray, Measured]


def within_l2(task: Task, methods: tuple[str, ...]) -> Result | None:
    """Return the smallest result within a bound of the L2 norm, and its errors."""
    encoders = _encoders(task, chosen_methods(task, methods))
    goals = {name: _goal(task, name) for name in encoders}
    tried = {}
    if {"tucker", "transform"} <= set(encoders):
        tried["tucker"] = encoders["tucker"].within(goals["tucker"])
        _compare(encoders, tried["tucker"])
    for name, encoder in encoders.items():
        if name == "wavelet" and tried and _hopeless(encoder, tried):
            continue
        tried[name] = tried.get(name) or encoder.within(goals[name])
    tried = {name: found for name, found in tried.items() if name in encoders}
    name = min(tried, key=lambda name: len(tried[name].payload))
    found, goal = tried[name], goals[name]
    for _ in range(_TRIALS):
        errors = measure(task.scaled, task.decoded(found.approximation))
        if task.bound.holds(errors, name == "interpolation"):
            return task.pack(name, found.payload + varint(0), False), errors
        if not np.isfinite(errors.l2):
            break
        goal *= 0.9995 * goals[name] / errors.l2
        found = encoders[name].within(goal)
    return None


def within_maximum(task: Task, methods: tuple[str, ...]) -> Result | None:
    """Return the smallest result within a bound of every point, and its errors.

    The methods are compared at one step, then one more step is coded where an estimate promises fewer bytes. Tucker
    format and transform, both orthonormal, leave about the same at the same step, so that their own bytes decide.
    """
    goal = single(_goal(task, "") * (1 - 2.0**-22)) if task.bound.goal > 0 else 0.0
    encoders = _encoders(task, chosen_methods(task, methods))
    results = []
    if "interpolation" in encoders:
        found = encoders.pop("interpolation").every_point(_goal(task, "interpolation"))
        results.append(("interpolation", found.payload, found.approximation))
    if goal > 0:
        first = _first(encoders["tucker"], goal) if "tucker" in encoders else None
        if first is not None and "transform" in encoders:
            _compare(encoders, first)
            if {"tucker", "transform"} <= set(encoders):  # both leave about the same at one step: their bytes decide
                larger = len(encoders["transform"].at(first.step).payload) >= len(first.payload)
                del encoders["transform" if larger else "tucker"]
        for name, encoder in encoders.items():
            if name == "wavelet" and results and _least(encoder, goal) > _ABANDONED * min(len(r[1]) for r in results):
                continue
            results.append((name, *_with_rest(encoder, goal, first if name == "tucker" else _first(encoder, goal))))
    if not results:
        return None
    name, payload, approximation = min(results, key=lambda result: len(result[1]))
    return _with_exceptions(task, name, payload, approximation)


def _compare(encoders: dict[str, Any], tucker: Any) -> None:
    """Leave out the Tucker format or the transform, whichever is clearly larger at the step of the former."""
    step, transform = tucker.core.step, encoders["transform"].coefficients
    first, second = (Estimate(c, step, transform.size).coded(step) for c in (tucker.coefficients, transform))
    first += len(tucker.packed_bases)
    if second > _CLEARLY * first:
        del encoders["transform"]
    elif first > _CLEARLY * second:
        del encoders["tucker"]


def _hopeless(encoder: Any, tried: dict[str, Any]) -> bool:
    """Whether the wavelet's coefficients alone, by an estimate, are far larger than what other methods took."""
    best = min((found for found in tried.values()), key=lambda found: len(found.payload))
    estimate = Estimate(encoder.coefficients, best.step, encoder.field.size)
    return estimate.coded(best.step) > _ABANDONED * len(best.payload)


def _least(encoder: Any, goal: float) -> float:
    """Return the estimated bytes of coefficients at the best step for a bound of every point."""
    estimate = Estimate(encoder.coefficients, _STEPS[0] * goal, encoder.field.size)
    return estimate.coded(estimate.cheapest(goal, _STEPS * goal))


def _goal(task: Task, name: str) -> float:
    return task.bound.exact_goal if name == "interpolation" else task.bound.goal


def _encoders(task: Task, names: list[str]) -> dict[str, Any]:
    """Return the encoders of the methods to try."""
    work, goal = task.work, max(task.bound.goal, 1e-300)
    least = 2 * goal / (0.6 * np.sqrt(work.size)) if task.bound.kind == "l2" else 1.6 * 1.4 * goal
    found: dict[str, Any] = {}
    for name in names:
        if name == "tucker":
            found[name] = TuckerEncoder(work, task.periodic, least, task.bound.kind == "l2")
        elif name == "transform":
            found[name] = TransformEncoder(work, task.periodic, found.get("tucker"))
        elif name == "wavelet":
            found[name] = WaveletEncoder(work)
        else:
            found[name] = InterpolationEncoder(task.scaled)
    return found


def chosen_methods(task: Task, methods: tuple[str, ...]) -> list[str]:
    """Return the methods that are worth a trial, the Tucker format first.

    Long axes have no Tucker format, whose bases would take a matrix of their square. Of a large field a box in the
    middle is coded first: methods that are behind by far on it are left out, the Tucker format with the transform, and
    of those that see neighbors alone, wavelet and interpolation, the worse one.
    """
    shape = task.field.shape
    long = any(min(n, task.field.size // n) > _LONGEST_BASIS for n in shape)
    names = [name for name in METHODS if name in methods and not (long and name == "tucker")]
    if task.bound.goal <= 0:
        names = [name for name in names if name == "interpolation"]
    if task.field.size < _SAMPLED_SIZE or len(names) < 2 or task.bound.goal <= 0:
        return names or ["transform"]
    sizes = _sampled(task, names)
    if min(sizes.values()) < _FEW_BYTES:
        return names
    local = min((name for name in ("wavelet", "interpolation") if name in sizes), key=sizes.__getitem__, default="")
    waves = sizes.get("transform", 0)
    if local and waves and waves > _BEHIND_BY_FAR["transform"] * sizes[local]:
        return [local]
    near = local and not (waves and sizes[local] > _BEHIND_BY_FAR["local"] * waves)
    return [name for name in names if name in ("tucker", "transform") or (near and name == local)]


def _sampled(task: Task, names: list[str]) -> dict[str, float]:
    """Return about the bytes of a box in the middle, by method, the transform for the Tucker format.

    Of transforms and wavelets they are estimated. Prediction is tried: its bytes are for one step.
    """
    box = _middle(task.scaled, min(_SAMPLE, task.field.size // _PART))
    goal = task.bound.goal
    point = goal / np.sqrt(task.field.size) if task.bound.kind == "l2" else goal
    sizes: dict[str, float] = {}
    if "interpolation" in names:
        tried = InterpolationEncoder(box).at(_ROUGH_STEP[task.bound.kind] * point, task.bound.kind)
        sizes["interpolation"] = _CODED * len(tried.payload)
    for name in dict.fromkeys("transform" if n == "tucker" else n for n in names if n != "interpolation"):
        if name == "wavelet" and sizes.get("interpolation", 0) > _HOPELESS * sizes.get("transform", np.inf):
            continue
        encoder: Any = TransformEncoder(box, ()) if name == "transform" else WaveletEncoder(box)
        estimate = Estimate(encoder.coefficients, _STEPS[0] * point, box.size)
        if task.bound.kind == "l2":
            sizes[name] = estimate.coded(_ROUGH_STEP["l2"] * point)
        else:
            step = estimate.cheapest(goal, _STEPS * goal)
            sizes[name] = estimate.coded(step) + 0.6 * estimate.rest(step, goal)
    return sizes


def _middle(field: np.ndarray, size: int) -> np.ndarray:
    """Return a box in the middle of a field, of at most `size` points and of equal sides, where the field has them."""
    side = 1
    while np.prod([min(n, side + 1) for n in field.shape]) <= size and side < max(field.shape):
        side += 1
    sides = [(n - min(n, side), min(n, side)) for n in field.shape]
    return np.ascontiguousarray(field[tuple(slice(left // 2, left // 2 + kept) for left, kept in sides)])


def _first(encoder: Any, goal: float) -> Any:
    """Return a field quantized by the step with the fewest bytes by an estimate."""
    return encoder.at(
        Estimate(encoder.coefficients, _STEPS[0] * goal, encoder.field.size).cheapest(goal, _STEPS * goal)
    )


def _with_rest(encoder: Any, goal: float, first: Any) -> tuple[bytes, np.ndarray]:
    """Return payload and approximation of a method with what it leaves at each point.

    The estimate is corrected by what was coded: where another step follows, that is coded too.
    """
    payload, found = _at_step(encoder, first, goal)
    coded, rest = len(first.payload), len(payload) - len(first.payload)
    step, estimate = first.step, Estimate(first.coefficients, _STEPS[0] * goal, encoder.field.size)
    scales = (coded / max(estimate.coded(step), 1.0), min(max(rest / max(estimate.rest(step, goal), 64.0), 0.05), 1.5))
    better = estimate.cheapest(goal, _STEPS * goal, scales)
    if not step / _ANOTHER_STEP < better < step * _ANOTHER_STEP:
        other = _at_step(encoder, encoder.at(better), goal)
        if len(other[0]) < len(payload):
            return other
    return payload, found


def _at_step(encoder: Any, tried: Any, goal: float) -> tuple[bytes, np.ndarray]:
    """Return payload and approximation of a quantized field and its rest."""
    found = np.ascontiguousarray(tried.approximation)
    rest = take_rest(encoder.field, found, 2 * goal)
    return tried.payload + pack_integers(rest) + floats(2 * goal), found


def _with_exceptions(task: Task, name: str, payload: bytes, approximation: np.ndarray) -> Result | None:
    """Store the points that rounding has taken beyond the bound as they are."""
    rest, exact = name != "interpolation", name == "interpolation"
    found = task.decoded(approximation)
    errors = measure(task.scaled, found)
    if task.bound.holds(errors, exact):
        return task.pack(name, payload + varint(0), rest), errors
    with np.errstate(all="ignore"):
        fine = np.abs(task.scaled.astype(np.float64) - found) <= _goal(task, name)
    places = np.flatnonzero(~fine)
    values = task.field.ravel()[places].astype(task.field.dtype.newbyteorder("<")).tobytes()
    found = found.copy()
    found.ravel()[places] = task.scaled.ravel()[places]
    gaps = pack_integers(np.diff(places, prepend=0))
    errors = measure(task.scaled, found)
    data = task.pack(name, payload + varint(len(places)) + gaps + values, rest)
    return (data, errors) if task.bound.holds(errors, exact) else None
