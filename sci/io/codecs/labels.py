"""Labels of volumes in files."""

from __future__ import annotations

import json

import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError, InvalidValueError, ShapeError
from sci.io.core.datasets import Group, axis_dims, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec
from sci.io.grids.fields import Fields
from sci.nn import LabelVolume

__all__: list[str] = []


@codec(LabelVolume, kind="labels")
class _LabelsCodec:
    """`labels` (*grid), unsigned integers; attributes `classes` (integer) and `widths` (JSON), those of a cell."""

    @staticmethod
    def write(group: Group, volume: LabelVolume) -> None:
        labels = np.asarray(to_host(volume.labels))
        write_array(group, "labels", labels, "1", axis_dims(labels.ndim))
        group.attrs["classes"] = volume.classes
        write_text(group, "widths", json.dumps(list(volume.spacing)))

    @staticmethod
    def read(group: Group) -> LabelVolume:
        labels, classes = read_array(group, "labels", None, ("u1", "u2")), group.attrs.get("classes")
        widths = json.loads(read_text(group, "widths"))
        if not isinstance(classes, np.integer) or not isinstance(widths, list):
            raise FileFormatError(f"classes is {classes!r} and widths {widths!r}; expected an integer and a list")
        try:
            return LabelVolume(labels, int(classes), tuple(widths))
        except (InvalidValueError, ShapeError) as error:
            raise FileFormatError(f"{error}; the file is damaged: make it again") from error

    @staticmethod
    def fields(volume: LabelVolume) -> Fields:
        """Return the labels, and what ParaView colors by."""
        labels = np.asarray(to_host(volume.labels))
        return Fields(labels.shape, [(None, {"labels": labels})], {"labels": "1"}, tuple(volume.spacing))
