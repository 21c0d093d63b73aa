"""One compressed field in a file."""

from __future__ import annotations

import json
from dataclasses import fields

from sci.compression import CompressedField
from sci.errors import FileFormatError, SciError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec

__all__ = ["FIELD"]

FIELD = "compressed_field"


@codec(CompressedField, kind=FIELD)
class _FieldCodec:
    """`data` (bytes); attribute `about` (JSON: shape, dtype, method, tol, bound, relative, errors, norm and range)."""

    @staticmethod
    def write(group: Group, field: CompressedField) -> None:
        write_array(group, "data", field.data, "1", ("byte",))
        about = {one.name: getattr(field, one.name) for one in fields(field) if one.name != "data"}
        write_text(group, "about", json.dumps(about))

    @staticmethod
    def read(group: Group) -> CompressedField:
        data = read_array(group, "data", (None,), ("u1",))
        try:
            about = json.loads(read_text(group, "about"))
            return CompressedField(**{**about, "shape": tuple(about["shape"]), "data": data})
        except (SciError, TypeError, KeyError, ValueError) as error:
            raise FileFormatError(f"{group.name} is no compressed field ({error}); the file is damaged") from error
