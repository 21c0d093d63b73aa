"""Fields as codes of a codebook, in files from which a block is read alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.arguments import entry
from sci.compression import CodedFields, MultiScaleVQ
from sci.errors import FileFormatError, InvalidValueError, ShapeError
from sci.io.core.datasets import Group, check_size, member, read_array, read_text, write_array, write_text
from sci.io.core.hdf5 import open_file
from sci.io.core.registry import codec

__all__ = ["read_coded_block"]

KIND = "coded_fields"


@codec(CodedFields, kind=KIND, units="those of the fields")
class _CodedFieldsCodec:
    """Attributes `codebook`, the fingerprint of the quantizer, and `options` (JSON): `vocabulary`, `scales`,
    `patch`, and `shape`, that of the array that was encoded; for scale k `codes_<k>` (n, its axes but the last,
    bytes; uint8): the codes of a row of the last axis one after the other, each of as few bits as the vocabulary
    takes, the highest bit first; `rms` (n, channels), by which decoded fields are multiplied; `relative_errors` and
    `maximum_errors` (n)."""

    @staticmethod
    def write(group: Group, object: CodedFields) -> None:
        write_text(group, "codebook", object.codebook)
        options = {"vocabulary": object.vocabulary, "scales": [list(s) for s in object.scales]}
        options |= {"patch": list(object.patch), "shape": list(object.shape)}
        write_text(group, "options", json.dumps(options))
        for k, packed in enumerate(object.packed):
            axes = [f"cell_{k}_{axis}" for axis in range(packed.ndim - 2)]
            write_array(group, f"codes_{k}", packed, "1", ("field", *axes, f"byte_{k}"))
        write_array(group, "rms", object.rms, "", ("field", "channel"))
        write_array(group, "relative_errors", object.relative_errors, "1", ("field",))
        write_array(group, "maximum_errors", object.maximum_errors, "", ("field",))

    @staticmethod
    def read(group: Group) -> CodedFields:
        levels = len(_options(group)["scales"])
        return _coded(group, [read_array(group, f"codes_{k}", None, ("u1",)) for k in range(levels)])

    @staticmethod
    def n_bytes(object: CodedFields) -> int:
        return object.nbytes + 16 * len(object.rms)


def _options(group: Group) -> dict[str, Any]:
    found = json.loads(read_text(group, "options"))
    if not isinstance(found, dict) or set(found) | {"shape"} != {"vocabulary", "scales", "patch", "shape"}:
        raise FileFormatError(f"the attribute options of {group.name} is damaged; expected vocabulary, scales, patch")
    found.setdefault("shape", [])  # files of before have none
    sizes = found["scales"]
    lists = (
        [*sizes, found["patch"], found["shape"], [found["vocabulary"]]] if isinstance(sizes, list) and sizes else [None]
    )
    if not all(isinstance(s, list) and all(type(n) is int for n in s) for s in lists):
        raise FileFormatError(f"the attribute options of {group.name} is damaged; expected sizes of scales")
    return found


def _coded(group: Group, packed: Sequence[Any]) -> CodedFields:
    """Return the object over arrays, or over datasets of the open file."""
    options = _options(group)
    rms = read_array(group, "rms", (None, None))
    errors = [read_array(group, name, (len(rms),)) for name in ("relative_errors", "maximum_errors")]
    sizes = (options["vocabulary"], options["scales"], options["patch"])
    relative, maximum = errors
    return CodedFields(read_text(group, "codebook"), *sizes, packed, rms, relative, maximum, shape=options["shape"])


@entry
def read_coded_block(path: str | Path, quantizer: MultiScaleVQ, field: int, box: Sequence[slice]) -> np.ndarray:
    """Decode a block of a field in a file of `CodedFields`, and read no more of the codes than it takes.

    Parameters
    ----------
    path : path
    quantizer : MultiScaleVQ
        Of the codebook that the codes belong to.
    field : int
    box : sequence of slice
        Cells along each axis, without a step.

    Returns
    -------
    (channels, *box) NumPy array

    Raises
    ------
    FileFormatError
        For a missing or damaged file, or one of another kind.
    InvalidValueError, ShapeError
        For another codebook, a field that there is not, and a box that is not inside the grid.

    Notes
    -----
    The checksums are over all codes, and so are not compared: `load` does that.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.compression import MultiScaleVQ, encode_fields
    >>> from sci.io import read_coded_block, save
    >>> quantizer = MultiScaleVQ(np.array([[1.0, -1.0], [-1.0, 1.0]]), [(4,)], patch=(2,))
    >>> path = pathlib.Path(tempfile.mkdtemp(), "small.h5")
    >>> save(path, encode_fields(quantizer, np.array([[[1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0]]])))
    >>> read_coded_block(path, quantizer, 0, [slice(3, 6)])
    array([[ 1., -1.,  1.]])
    """
    refused: InvalidValueError | ShapeError | None = None
    with open_file(path, (KIND,)) as (file, _):
        group = member(file, KIND)
        if not isinstance(group, h5py.Group):
            raise FileFormatError(f"the group {KIND} is missing; the file is damaged")
        datasets = [_dataset(group, f"codes_{k}") for k in range(len(_options(group)["scales"]))]
        coded = _coded(group, datasets)
        try:
            return coded.block(quantizer, field, box)
        except (InvalidValueError, ShapeError) as error:  # of the arguments, not of the file
            refused = error
    raise refused


def _dataset(group: Group, name: str) -> Any:
    dataset = member(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype != np.uint8:
        raise FileFormatError(f"the dataset {group.name}/{name} is missing, or no bytes; the file is damaged")
    check_size(dataset, f"{group.name}/{name}")
    return dataset
