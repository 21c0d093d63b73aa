"""Files of every kind: round trip, header, schema versions, damage."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import uuid
from datetime import datetime

import h5py
import numpy as np
import pytest
from samples import make_objects, same

import sci
from sci.errors import FileFormatError, InvalidValueError, SchemaVersionError
from sci.io import SCHEMA_VERSION, describe, kinds, load, load_grid, load_results, load_samples, read_header, save
from sci.tensor import CP


@pytest.mark.parametrize("name", make_objects())
def test_round_trip(tmp_path, name):
    original = make_objects()[name]
    save(tmp_path / "a.h5", original)
    assert same(load(tmp_path / "a.h5"), original)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


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
    """Variable-length texts lie in HDF5's global heap (GCOL), where a damaged size makes the library loop for ever."""
    for name, original in make_objects().items():
        save(tmp_path / name, original, command="Ωmega " * 50)
        assert b"GCOL" not in (tmp_path / name).read_bytes()
        assert read_header(tmp_path / name).command == "Ωmega " * 50


def test_describe_is_json(tmp_path):
    save(tmp_path / "a.h5", make_objects()["grid"])
    found = json.loads(json.dumps(describe(tmp_path / "a.h5")))
    assert found["kind"] == "grid"
    assert found["units"] == "kT/e"
    assert found["file_bytes"] == (tmp_path / "a.h5").stat().st_size
    dataset = {"shape": [5, 4, 3], "dtype": "float64", "bytes": 480, "units": "kT/e"}
    assert found["datasets"] == {"VTKHDF/PointData/potential": dataset}


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


def test_foreign_files(tmp_path):
    path = tmp_path / "a.h5"
    for content in (b"", b"no HDF5", b"\x89HDF\r\n\x1a\n", bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a\.h5: damaged, or not an HDF5 file"):
            load(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match=r"not written by sci"):
        load(path)
    with pytest.raises(FileFormatError, match="no such file"):
        load(tmp_path / "none.h5")
    with pytest.raises(FileFormatError, match="this is a directory"):
        load(tmp_path)
    save(path, make_objects()["particles"])
    with pytest.raises(FileFormatError, match="holds kind 'particles'; expected grid or potential"):
        load_grid(path)
    assert load_results(path) == {}
    with pytest.raises(InvalidValueError, match="cannot save a dict"):
        save(path, {})


def edit(file: h5py.File, name: str, value: np.ndarray, keep_checksum: bool = False) -> None:
    checksum = file[name].attrs["crc32"]
    del file[name]
    file[name] = value
    if keep_checksum:
        file[name].attrs["crc32"] = checksum


DAMAGE = {
    "missing": (lambda f: f.__delitem__("particles/charges"), "charges is missing"),
    "no group": (lambda f: f.__delitem__("particles"), "group /particles is missing"),
    "shape": (lambda f: edit(f, "particles/charges", np.ones(3)), r"charges has shape \(3,\); expected \(4,\)"),
    "dtype": (lambda f: edit(f, "particles/charges", np.ones(4, "i8")), "charges has dtype int64; expected f8"),
    "text": (lambda f: edit(f, "particles/charges", np.array([b"a"] * 4)), r"charges has dtype .*expected f8"),
    "value": (lambda f: edit(f, "particles/charges", np.ones(4), True), "charges fails its checksum"),
    "nan": (lambda f: edit(f, "particles/charges", np.full(4, np.nan)), "charges holds NaN or Inf"),
    "one place": (lambda f: edit(f, "particles/positions", np.ones((4, 3))), "particles 0 and 1"),
    "group for data": (lambda f: (f.__delitem__("particles/charges"), f.create_group("particles/charges")), "missing"),
    "kind": (
        lambda f: f.attrs.__setitem__("kind", np.bytes_("soup")),
        "kind 'soup'; expected one of .*tucker.*; import the module",
    ),
    "version": (lambda f: f.attrs.__setitem__("schema_version", "one"), "schema_version is 'one'"),
    "version 0": (lambda f: f.attrs.__setitem__("schema_version", 0), "expected a positive integer"),
    "no uuid": (lambda f: f.attrs.__delitem__("uuid"), "attribute uuid of / is missing; expected text"),
    "number for text": (lambda f: f.attrs.__setitem__("uuid", 5), "attribute uuid of / is .*5.*; expected text"),
    "variable text": (lambda f: f.attrs.__setitem__("uuid", "u"), "uuid of / has variable length"),
    "options": (lambda f: f.attrs.__setitem__("options", np.bytes_("[1]")), "options is damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_contents(tmp_path, case):
    damage, message = DAMAGE[case]
    path = tmp_path / "a.h5"
    save(path, make_objects()["particles"])
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(FileFormatError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_repacked_files_are_read(tmp_path):
    """As h5repack leaves them: other layouts and filters, the same attributes."""
    original = CP(np.ones(3), (np.zeros((4000, 3)), np.ones((2, 3))))
    save(tmp_path / "a.h5", original)
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "b.h5", "w") as new:
        new.attrs.update(old.attrs)
        for name, dataset in old["canonical"].items():
            made = new.create_dataset(f"canonical/{name}", data=dataset[()], compression=9, shuffle=True)
            made.attrs.update(dataset.attrs)
    assert (tmp_path / "b.h5").stat().st_size < original.factors[0].nbytes
    assert same(load(tmp_path / "b.h5"), original)


def test_more_than_the_file_can_hold_is_refused_before_memory_is_asked_for(tmp_path):
    for chunks in (None, (2**20,)):
        save(tmp_path / "a.h5", make_objects()["bare_particles"])
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            del file["particles/charges"]
            file.create_dataset("particles/charges", (2**50,), "f8", chunks=chunks)
        with pytest.raises(FileFormatError, match=r"charges .*(claims 9007199254740992 bytes|expected \(1,\))"):
            load(tmp_path / "a.h5")
        with h5py.File(tmp_path / "f.h5", "w") as file:
            file.create_dataset("x", (2**50,), "f8", chunks=chunks)
            file["y"] = np.ones(1)
        with pytest.raises(FileFormatError, match="x claims 9007199254740992 bytes, of which 0 are stored"):
            load_samples(tmp_path / "f.h5")


def test_memory_that_is_not_there_is_named(tmp_path, monkeypatch):
    def greedy(group):
        return np.ones(2**45)

    save(tmp_path / "a.h5", make_objects()["tucker"])
    monkeypatch.setattr(kinds()["tucker"].codec, "read", greedy)
    with pytest.raises(MemoryError, match=r"a\.h5: Unable to allocate 256\. TiB .* more memory"):
        load(tmp_path / "a.h5")


def test_locked_files_are_named(tmp_path):
    save(tmp_path / "a.h5", make_objects()["tucker"])
    hold = f"import h5py; f = h5py.File({str(tmp_path / 'a.h5')!r}, 'r+'); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        holder.stdout.readline()
        with pytest.raises(FileFormatError, match=r"a\.h5: another process is writing it"):
            load(tmp_path / "a.h5")
        holder.communicate(b"\n")
    load(tmp_path / "a.h5")


def test_files_and_folders_without_permission(tmp_path):
    """In a process without root's rights."""
    path, folder = tmp_path / "a.h5", tmp_path / "closed"
    save(path, make_objects()["tucker"])
    folder.mkdir()
    (tmp_path / "hidden").mkdir(mode=0)
    folder.chmod(0o555)
    path.chmod(0o200)
    program = textwrap.dedent(f"""
        import os
        from sci.errors import FileFormatError
        from sci.io import load, save
        from sci.potentials import Particles
        if os.geteuid() == 0:
            os.seteuid(65534)
        ion = Particles([[0, 0, 0]], [1])
        hidden = {str(tmp_path / "hidden" / "c.h5")!r}
        reads = [lambda: load({str(path)!r}), lambda: load(hidden)]
        for call in [*reads, lambda: save({str(folder / "b.h5")!r}, ion), lambda: save(hidden, ion)]:
            try:
                call()
            except FileFormatError as error:
                print(error)
    """)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    read, unseen, written, nowhere = done.stdout.splitlines()
    assert read == f"{path}: cannot be read (Permission denied); check its permissions"
    assert written == f"{folder / 'b.h5'}: cannot be written (Permission denied); check the folder and its permissions"
    assert "c.h5: cannot be read (Permission denied)" in unseen
    assert "c.h5: cannot be written (Permission denied)" in nowhere
