"""The method and the step with the smallest result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sci.compression.coding.bytes import floats, varint
from sci.compression.coding.integers import pack_integers
from sci.compression.fields.bounds import Measured
from sci.compression.fields.codecs.quantized import single
from sci.compression.fields.codecs.transform import TransformEncoder
from sci.compression.fields.codecs.tucker import TuckerEncoder
from sci.compression.fields.codecs.wavelet import WaveletEncoder
from sci.compression.fields.task import Task

__all__ = ["chosen_methods", "within_l2", "within_maximum"]

_STEPS = (2.0, 2.8, 4.0, 5.6, 8.0)
"""Steps of coefficients over the bound of each point, of which the best is taken."""

_FIRST_STEP = {"tucker": 2, "transform": 2, "wavelet": 1}
_TRIALS = 6
_LONGEST_BASIS = 2048
_SAMPLED_SIZE, _SAMPLE = 1 << 18, 64
_STEP_OF_SAMPLE = 4.0
_BEHIND_BY_FAR = {"wavelet": 0.83, "transform": 0.6}
_FEW_BYTES = 2048
"""A method is not tried where a sample of the field takes this part of its bytes by the other, unless these are few."""

Result = tuple[np.ndarray, Measured]


def within_l2(task: Task, methods: tuple[str, ...]) -> Result | None:
    """Return the smallest result within a bound of the L2 norm, and its errors."""
    goal, encoders = task.bound.goal, _encoders(task, methods)
    tried = {name: encoder.within(goal) for name, encoder in encoders.items()}
    name = min(tried, key=lambda name: len(tried[name].payload))
    found = tried[name]
    for _ in range(_TRIALS):
        data = task.pack(name, found.payload + varint(0), False)
        errors = task.measured(data)[1]
        if task.bound.holds(errors):
            return data, errors
        if not np.isfinite(errors.l2):
            break
        goal *= 0.9995 * task.bound.goal / errors.l2
        found = encoders[name].within(goal)
    return None


def within_maximum(task: Task, methods: tuple[str, ...]) -> Result | None:
    """Return the smallest result within a bound of every point, and its errors.

    The method is chosen at one step, the step for that method alone. Tucker format and transform, both orthonormal,
    leave about the same at the same step, so that their own bytes decide.
    """
    goal = single(task.bound.goal * (1 - 2.0**-22))
    encoders = _encoders(task, methods)
    names = list(encoders)
    if {"tucker", "transform"} <= set(names):
        least = {name: len(encoders[name].at(_STEPS[_FIRST_STEP[name]] * goal).payload) for name in names[:2]}
        names.remove(max(least, key=lambda name: least[name]))
    tried = {name: _with_rest(encoders[name], goal, _STEPS[_FIRST_STEP[name]]) for name in names}
    name = min(tried, key=lambda name: len(tried[name]))
    payload = _descend(partial(_with_rest, encoders[name], goal), _FIRST_STEP[name], tried[name])
    return _with_exceptions(task, name, payload)


def _encoders(task: Task, methods: tuple[str, ...]) -> dict[str, Any]:
    """Return the encoders of the methods to try."""
    work, goal = task.work, task.bound.goal
    least = 2 * goal / (0.6 * np.sqrt(work.size)) if task.bound.kind == "l2" else 2.8 * goal
    found: dict[str, Any] = {}
    for name in chosen_methods(task, methods):
        if name == "tucker":
            found[name] = TuckerEncoder(work, task.periodic, least)
        elif name == "transform":
            found[name] = TransformEncoder(work, task.periodic, found.get("tucker"))
        else:
            found[name] = WaveletEncoder(work)
    return found


def chosen_methods(task: Task, methods: tuple[str, ...]) -> list[str]:
    """Return the methods that are worth a trial, the Tucker format first.

    Long axes have no Tucker format, whose bases would take a matrix of their square. Of a large field a box in the
    middle is coded by transform and wavelet at one step: the one that is behind by far is left out, and with the
    transform the Tucker format, which is about as good on spikes.
    """
    shape = task.field.shape
    long = any(min(n, task.field.size // n) > _LONGEST_BASIS for n in shape)
    names: list[str] = [
        name for name in ("tucker", "transform", "wavelet") if name in methods and not (long and name == "tucker")
    ]
    if task.field.size >= _SAMPLED_SIZE and "wavelet" in names and len(names) > 1:
        middle = tuple(slice(max(0, (n - _SAMPLE) // 2), max(0, (n - _SAMPLE) // 2) + _SAMPLE) for n in shape)
        box = np.ascontiguousarray(task.work[middle])
        unit = task.bound.goal / (np.sqrt(task.field.size) if task.bound.kind == "l2" else 1.0)
        step = _STEP_OF_SAMPLE * unit
        smooth, local = (len(encoder.at(step).payload) for encoder in (TransformEncoder(box, ()), WaveletEncoder(box)))
        if _FEW_BYTES < smooth < _BEHIND_BY_FAR["wavelet"] * local:
            names.remove("wavelet")
        elif _FEW_BYTES < local < _BEHIND_BY_FAR["transform"] * smooth:
            names = ["wavelet"]
    return names or ["transform"]


def _descend(payload_of: Callable[[float], bytes], first: int, best: bytes) -> bytes:
    """Return the shortest payload, tried from the first step on while they become shorter."""
    for direction in (1, -1):
        k, improved = first + direction, False
        while 0 <= k < len(_STEPS):
            payload = payload_of(_STEPS[k])
            if len(payload) >= len(best):
                break
            best, k, improved = payload, k + direction, True
        if improved:
            break
    return best


def _with_rest(encoder: Any, goal: float, factor: float) -> bytes:
    """Return a payload and, behind it, what it leaves at each point."""
    tried = encoder.at(factor * goal)
    step = encoder.field.dtype.type(2 * goal)
    rest = np.rint((encoder.field - tried.approximation) / step)
    return bytes(tried.payload + pack_integers(rest.astype(np.int32)) + floats(2 * goal))


def _with_exceptions(task: Task, name: str, payload: bytes) -> Result | None:
    """Store the points that rounding has taken beyond the bound as they are."""
    data = task.pack(name, payload + varint(0), True)
    found, errors = task.measured(data)
    if task.bound.holds(errors):
        return data, errors
    with np.errstate(all="ignore"):
        fine = np.abs(task.scaled.astype(np.float64) - found) <= task.bound.goal
    places = np.flatnonzero(~fine)
    exact = task.field.ravel()[places].astype(task.field.dtype.newbyteorder("<")).tobytes()
    gaps = pack_integers(np.diff(places, prepend=0))
    data = task.pack(name, payload + varint(len(places)) + gaps + exact, True)
    errors = task.measured(data)[1]
    return (data, errors) if task.bound.holds(errors) else None
