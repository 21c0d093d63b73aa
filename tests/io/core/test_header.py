"""Headers: what they say, that no text lies unprotected, and schemas of newer versions."""

from __future__ import annotations

import json
import uuid
from datetime import datetime

import h5py
import numpy as np
import pytest
from samples import make_objects

import sci
from sci.errors import SchemaVersionError
from sci.io import SCHEMA_VERSION, describe, load, read_header, save


def test_header(tmp_path):
    path = tmp_path / "a.h5"
    with sci.options(threads=3):
        save(path, make_objects()["chebtuck"], command="sci x", parent_uuid="p", units="e/angstrom")
    header = read_header(path)
    assert (header.kind, header.command, header.parent_uuid, header.units) == ("chebtuck", "sci x", "p", "e/angstrom")
    assert header.options["threads"] == 3
    assert header.sci_version == sci.__version__
    assert uuid.UUID(header.uuid).version == 4
    age = datetime.now().astimezone() - datetime.fromisoformat(header.created)
    assert -5 < age.total_seconds() < 60
    with h5py.File(path) as file:
        assert file.attrs["format"] == b"sci"
        assert file.attrs["schema_version"] == SCHEMA_VERSION
        assert json.loads(file.attrs["options"])["threads"] == 3


def test_no_text_lies_in_the_unprotected_heap(tmp_path):
    """Variable-length texts lie in HDF5's global heap (GCOL), where a damaged size makes the library loop for ever.

    The lists of scales do as well, and HDF5 leaves no choice; no reader of ours looks at them.
    """
    for name, original in make_objects().items():
        save(tmp_path / name, original, command="Ωmega " * 50)
        with h5py.File(tmp_path / name) as file:
            names = ["/"]
            file.visit(names.append)
            for item in map(file.__getitem__, names):
                for key in set(item.attrs) - {"DIMENSION_LIST"}:
                    kind = item.attrs.get_id(key).get_type()
                    assert kind.get_class() != h5py.h5t.VLEN
                    assert kind.get_class() != h5py.h5t.STRING or not kind.is_variable_str()
                assert not isinstance(item, h5py.Dataset) or item.dtype.kind != "O"
        assert read_header(tmp_path / name).command == "Ωmega " * 50


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    save(path, make_objects()["tucker"])
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION + 1
        file.attrs["sci_version"] = np.bytes_("9.9")
    for read in (load, read_header, describe):
        with pytest.raises(
            SchemaVersionError, match=rf"a\.h5: .* version {SCHEMA_VERSION + 1}, written by sci 9\.9.*newer"
        ):
            read(path)
