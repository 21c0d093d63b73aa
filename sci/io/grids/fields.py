"""Fields on regular grids, at one time or at many, as VTKHDF ImageData: what ParaView and PyVista draw."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError, InvalidValueError, ShapeError
from sci.io.core.datasets import Group, name_axes, read_text, write_array, write_text

__all__ = ["SUFFIX", "FieldWriter", "Fields", "create_image_group", "read_spacing", "write_fields", "write_spacing"]

SUFFIX = ".vtkhdf"
"""Suffix by which ParaView and PyVista know a VTKHDF; a file of this name is given its fields in that form."""

_CHUNK_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class Fields:
    """Values in the cells of a regular grid, at one time or at many; a codec makes them of its object.

    Parameters
    ----------
    shape : tuple of one to three int
        Cells along x, y and z.
    steps : iterable of (float, mapping of str to array)
        A time, and the fields then by name: (*shape) for numbers, real or complex, (*shape, 3) for vectors. Each step
        has the same fields. One step that is no matter of time has the time None.
    units : mapping of str to str
        Units of fields that have some; "time" for those of the times.
    spacing : tuple of float
        Of the cells along each axis; 1 unless given.
    origin : tuple of float
        Corner of the first cell; 0 unless given.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import Fields
    >>> Fields((4, 3), [(0.5 * k, {"height": np.full((4, 3), k)}) for k in range(10)], {"height": "angstrom"})
    Fields(4 x 3 cells)
    """

    shape: tuple[int, ...]
    steps: Iterable[tuple[float | None, Mapping[str, Any]]]
    units: Mapping[str, str] = field(default_factory=dict)
    spacing: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()

    def __repr__(self) -> str:
        """Return the cells."""
        return f"Fields({' x '.join(map(str, self.shape))} cells)"


def write_fields(file: Group, fields: Fields) -> None:
    """Write fields into the group /VTKHDF of a new file.

    Raises
    ------
    ShapeError
        If a field does not have the shape of the grid.
    """
    writer = FieldWriter(file, fields.shape, fields.spacing, fields.units, fields.origin)
    for time, values in fields.steps:
        writer.append(time, values)
    writer.close()


class FieldWriter:
    """The group /VTKHDF of a file that is filled step by step.

    Parameters
    ----------
    file : h5py.File
    shape, spacing, units, origin
        As those of `Fields`.
    """

    def __init__(
        self,
        file: Group,
        shape: tuple[int, ...],
        spacing: tuple[float, ...] = (),
        units: Mapping[str, str] | None = None,
        origin: tuple[float, ...] = (),
    ) -> None:
        if not 1 <= len(shape) <= 3:
            raise ShapeError(f"a field on a grid of shape {shape}; expected one to three axes")
        for name, given in (("spacing", spacing), ("origin", origin)):
            if given and len(given) != len(shape):
                raise ShapeError(f"{name} {given} of a grid of shape {shape}; expected one number for each axis")
        self.shape, self.units = shape, units or {}
        cells = (*shape, 1, 1)[:3]
        steps = (*(spacing or (1.0,) * len(shape)), 1.0, 1.0)[:3]
        corner = (*(origin or (0.0,) * len(shape)), 0.0, 0.0)[:3]
        self.image = create_image_group(file, cells, corner, steps)
        for axis, count, step, start in zip("xyz", cells, steps, corner):
            write_array(self.image, axis, start + step * (np.arange(count) + 0.5), dims=(axis,))
        self.data = self.image.create_group("CellData")
        self.times: list[float | None] = []
        self._active: set[str] = set()

    def __repr__(self) -> str:
        """Return the cells and the number of steps."""
        return f"FieldWriter({' x '.join(map(str, self.shape))} cells, {len(self.times)} steps)"

    def append(self, time: float | None, values: Mapping[str, Any]) -> None:
        """Write the fields of one time; None if they have none.

        Raises
        ------
        ShapeError
        """
        for name, array in self._real(values):
            if time is None:
                self._label(self.data.create_dataset(name, data=array), name, (), array.ndim == 4)
                continue
            if not self.times:
                chunk = (1, _layers(array), *array.shape[1:])
                shapes = {"shape": (0, *array.shape), "maxshape": (None, *array.shape), "chunks": chunk}
                dataset = self.data.create_dataset(name, dtype=array.dtype, **shapes)
                self._label(dataset, name, ("time",), array.ndim == 4)
            dataset = self.data[name]
            dataset.resize(len(self.times) + 1, axis=0)
            dataset[len(self.times)] = array
            dataset.flush()
        self.times.append(time)

    def close(self) -> None:
        """Write the times."""
        times = [time for time in self.times if time is not None]
        if not times:
            return
        units = self.units.get("time", "")
        write_array(self.image, "time", np.array(times), units, ("time",))
        steps = self.image.create_group("Steps")
        steps.attrs["NSteps"] = len(times)
        write_array(steps, "Values", np.array(times), units, ("time",))
        offsets = steps.create_group("CellDataOffsets")
        for name in self.data:
            write_array(offsets, name, np.arange(len(times)), "1", ("time",))

    def _real(self, values: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield real fields in the order of VTK, (z, y, x) or (z, y, x, component)."""
        for name, value in values.items():
            array = np.asarray(to_host(value))
            vector = array.ndim == len(self.shape) + 1 and array.shape[-1] == 3
            if array.shape[: len(self.shape)] != self.shape or array.ndim != len(self.shape) + vector:
                raise ShapeError(
                    f"the field {name} has shape {array.shape}; expected {self.shape}, or 3 numbers a cell"
                )
            array = array.reshape(*(*self.shape, 1, 1)[:3], *array.shape[len(self.shape) :])
            array = array.transpose(2, 1, 0, *range(3, array.ndim))
            if array.dtype == bool:
                array = array.astype(np.uint8)
            parts = {"_real": array.real, "_imag": array.imag} if np.iscomplexobj(array) else {"": array}
            for suffix, part in parts.items():
                yield name + suffix, np.ascontiguousarray(part)

    def _label(self, dataset: Any, name: str, times: tuple[str, ...], vector: bool) -> None:
        name_axes(dataset, (*times, "z", "y", "x", *(("component",) if vector else ())))
        active = "Vectors" if vector else "Scalars"
        if active not in self._active:  # VTK forgets an array when it meets a second one that is to be active
            self._active.add(active)
            write_text(dataset, "Attribute", active)
        if name in self.units:
            write_text(dataset, "units", self.units[name])


def write_spacing(file: Group, spacing: Sequence[float] | None) -> None:
    """Note the widths of a cell in the header of a file, where somebody gave them.

    Raises
    ------
    InvalidValueError
        Unless they are positive, and the object has no spacing of its own.
    """
    if spacing is None:
        return
    widths = [float(step) for step in spacing]
    if not 1 <= len(widths) <= 3 or not all(0 < step < math.inf for step in widths) or "spacing" in file.attrs:
        raise InvalidValueError(
            f"spacing is {tuple(spacing)}; expected a positive number for each axis, of an object that has none itself"
        )
    write_text(file, "spacing", json.dumps(widths))


def read_spacing(file: Group) -> tuple[float, ...] | None:
    """Return the widths of a cell that a file notes, None if it does not.

    Raises
    ------
    FileFormatError
    """
    widths = json.loads(read_text(file, "spacing", "null"))
    if widths is None:
        return None
    if not isinstance(widths, list) or not all(isinstance(step, float) and 0 < step < math.inf for step in widths):
        raise FileFormatError(f"the attribute spacing is {widths!r}; expected positive numbers")
    return tuple(widths)


def create_image_group(
    file: Group, extent: tuple[int, ...], origin: tuple[float, ...], spacing: tuple[float, ...]
) -> Group:
    """Return the group /VTKHDF of a new image whose indices run from 0 to `extent` along x, y and z."""
    image = file.create_group("VTKHDF")
    image.attrs["Version"] = np.array([2, 0], dtype=np.int64)
    write_text(image, "Type", "ImageData")  # VTK also requires a fixed length
    image.attrs["WholeExtent"] = np.array([0, extent[0], 0, extent[1], 0, extent[2]], dtype=np.int64)
    image.attrs["Origin"] = np.array(origin, dtype=np.float64)
    image.attrs["Spacing"] = np.array(spacing, dtype=np.float64)
    image.attrs["Direction"] = np.eye(3).ravel()
    return image


def _layers(array: np.ndarray) -> int:
    """Return the number of layers of z in a chunk of about 64 MiB."""
    return min(len(array), max(1, _CHUNK_BYTES // max(1, math.prod(array.shape[1:]) * array.itemsize)))
