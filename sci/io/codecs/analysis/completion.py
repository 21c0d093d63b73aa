"""Completed fields in files: the messages of each axis, from which any place is predicted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sci.completion import Axis, Components, FunctionalCP, FunctionalFactor, FunctionalTucker
from sci.errors import FileFormatError, InvalidValueError, SciError
from sci.io.core.datasets import Group, member, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec
from sci.io.grids.fields import Fields

__all__ = ["DRAWN"]

_LEVELS = 103
_NUMBERS = ("offset", "scale", "noise_scale", "left_out_rms")
DRAWN = 128
"""Points of a grid along an axis whose places are not equally spaced."""


@codec(FunctionalCP, kind="functional_cp", units="those of the values")
class _FunctionalCPCodec:
    """`free` (axis, component, 0 or 1); the numbers `offset`, `scale`, `noise_scale`, `left_out_rms`; `noise` and
    `bounds` (restart), `history` (sweep, restart), `quantiles` (level); for each axis a group `axis_0`, `axis_1`, ...
    with the attribute `name`, the number `smoothness`, `places` (place: numbers or texts), `noise_weights` (place),
    `lengths` and `variances` (restart, function), `precision` (place, restart, function, function) and `information`
    (place, restart, function)."""

    @staticmethod
    def write(group: Group, model: FunctionalCP) -> None:
        write_array(group, "free", model.components.free.astype(np.int64), "1", ("axis", "component"))
        _write_field(group, model)

    @staticmethod
    def read(group: Group) -> FunctionalCP:
        free = read_array(group, "free", (None, None), ("i8",))
        factors, values = _read_field(group, free.sum(axis=1).tolist())
        try:
            return FunctionalCP(factors, components=Components(free != 0), **values)
        except SciError as error:
            raise FileFormatError(f"{group.name}: {error}; the file is damaged") from error

    @staticmethod
    def fields(model: FunctionalCP) -> Fields:
        return _fields(model)


@codec(FunctionalTucker, kind="functional_tucker", units="those of the values")
class _FunctionalTuckerCodec:
    """`core` (restart, an axis for each of the field) and `core_covariance` (restart, entry, other entry) of its
    entries in C order; the rest as in `functional_cp`, without `free`."""

    @staticmethod
    def write(group: Group, model: FunctionalTucker) -> None:
        names = tuple(f"function_{k}" for k in range(len(model.tucker_ranks)))
        write_array(group, "core", model.core, "1", ("restart", *names))
        write_array(group, "core_covariance", model.core_covariance, "1", ("restart", "entry", "other_entry"))
        _write_field(group, model)

    @staticmethod
    def read(group: Group) -> FunctionalTucker:
        core = read_array(group, "core", None)
        if not 3 <= core.ndim <= 7:
            raise FileFormatError(f"{group.name}/core has shape {core.shape}; expected one axis for each of the field")
        factors, values = _read_field(group, list(core.shape[1:]))
        size = math.prod(core.shape[1:])
        covariance = read_array(group, "core_covariance", (len(core), size, size))
        try:
            return FunctionalTucker(factors, core=core, core_covariance=covariance, **values)
        except SciError as error:
            raise FileFormatError(f"{group.name}: {error}; the file is damaged") from error

    @staticmethod
    def fields(model: FunctionalTucker) -> Fields:
        return _fields(model)


def _write_field(group: Group, model: FunctionalCP | FunctionalTucker) -> None:
    """Write what both kinds of fields have."""
    for name in _NUMBERS:
        write_array(group, name, np.float64(getattr(model, name)))
    write_array(group, "noise", model.noise, "1", ("restart",))
    write_array(group, "bounds", model.bounds, "1", ("restart",))
    write_array(group, "history", model.history, "1", ("sweep", "restart"))
    write_array(group, "quantiles", model.quantiles, "1", ("level",))
    for k, (factor, weights) in enumerate(zip(model.factors, model.noise_weights)):
        _write_factor(group.create_group(f"axis_{k}"), factor, weights)


def _read_field(group: Group, functions: list[int]) -> tuple[tuple[FunctionalFactor, ...], dict[str, Any]]:
    """Return factors, and the other arguments that both kinds of fields have."""
    values: dict[str, Any] = {name: float(read_array(group, name)) for name in _NUMBERS}
    noise = read_array(group, "noise", (None,))
    if not ((noise > 0).all() and values["noise_scale"] > 0 and values["scale"] > 0):
        raise FileFormatError(f"{group.name} holds a noise or scale that is not positive; the file is damaged")
    values |= {
        "noise": noise,
        "bounds": read_array(group, "bounds", noise.shape),
        "history": read_array(group, "history", (None, len(noise))),
        "quantiles": read_array(group, "quantiles", (_LEVELS,)),
    }
    pairs = [_read_factor(group, f"axis_{k}", len(noise), n) for k, n in enumerate(functions)]
    return tuple(f for f, _ in pairs), values | {"noise_weights": tuple(w for _, w in pairs)}


def _fields(model: FunctionalCP | FunctionalTucker) -> Fields:
    names = [axis.name for axis in model.axes if not axis.is_ordered]
    if names or len(model.axes) > 3:
        why = f"the categories of {', '.join(names)}" if names else f"{len(model.axes)} axes"
        raise InvalidValueError(f"a field of {why} is no image; expected two or three numeric axes")
    places, found = model.on_grid(DRAWN)
    steps = tuple(float((p[-1] - p[0]) / (len(p) - 1)) for p in places)
    corner = tuple(float(p[0]) - step / 2 for p, step in zip(places, steps))
    low, high = found.interval(0.9)
    values = {"mean": found.mean, "deviation": found.deviation, "lower_90": low, "upper_90": high}
    return Fields(found.mean.shape, [(None, values)], {}, steps, corner)


def _write_factor(group: Group, factor: FunctionalFactor, weights: np.ndarray) -> None:
    write_text(group, "name", factor.axis.name)
    places = factor.axis.places
    write_array(group, "places", places if factor.axis.is_ordered else tuple(places.tolist()), "", ("place",))
    write_array(group, "smoothness", np.float64(factor.smoothness), "1")
    write_array(group, "noise_weights", weights, "1", ("place",))
    for name in ("lengths", "variances"):
        write_array(group, name, getattr(factor, name), "1", ("restart", "function"))
    write_array(group, "precision", factor.precision, "1", ("place", "restart", "function", "other_function"))
    write_array(group, "information", factor.information, "1", ("place", "restart", "function"))


def _read_factor(parent: Group, name: str, restarts: int, functions: int) -> tuple[FunctionalFactor, np.ndarray]:
    group = member(parent, name)
    if group is None:
        raise FileFormatError(f"{parent.name}/{name} is missing; the file is damaged")
    places = read_array(group, "places", (None,), ("f8", "S"))
    if places.dtype.kind == "S":
        places = np.array([text.decode() for text in places])
    n, one = len(places), (restarts, functions)
    shapes = {"lengths": one, "variances": one, "precision": (n, *one, functions), "information": (n, *one)}
    arrays = {name: read_array(group, name, shape) for name, shape in shapes.items()}
    smoothness = float(read_array(group, "smoothness"))
    weights = read_array(group, "noise_weights", (n,))
    positive = (arrays["lengths"] > 0).all() and (arrays["variances"] >= 0).all() and (weights > 0).all()
    if smoothness not in (0.0, 0.5, 1.5, 2.5) or not positive:
        raise FileFormatError(
            f"{group.name} holds a smoothness, length or weight out of its range; the file is damaged"
        )
    try:
        return FunctionalFactor(Axis(read_text(group, "name"), places), smoothness, **arrays), weights
    except SciError as error:
        raise FileFormatError(f"{group.name}: {error}; the file is damaged") from error
