"""Files from strangers: data that lie elsewhere, links, virtual data, and claims of more than a file holds."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
from kinds import KINDS
from samples import make_objects, same

from sci.errors import FileFormatError, InvalidValueError
from sci.io import describe, load, load_grid, load_problem, load_results, load_samples, read_slabs, save
from sci.io.core.datasets import member_names, walk, write_array
from sci.io.core.hdf5 import LIBVER
from sci.potentials import Particles
from sci.tensor import CP

SECRET = np.frombuffer(b"the secret of another user......", np.uint8).astype("f8")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that must not be read."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["x"] = SECRET
        file["g/charges"] = SECRET
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    return path


def _external(file: h5py.File, name: str, folder: Path) -> None:
    place = [(str(folder / "secret.bin"), 0, SECRET.nbytes)]
    file.create_dataset(name, SECRET.shape, "f8", external=place)


def _virtual(file: h5py.File, name: str, source: str) -> None:
    layout = h5py.VirtualLayout(SECRET.shape, "f8")
    layout[:] = h5py.VirtualSource(source, "x", SECRET.shape)
    file.create_virtual_dataset(name, layout)


STRANGE = {
    "external link": (lambda f, folder: f.__setitem__("x", h5py.ExternalLink("secret.h5", "x")), "/x is a link"),
    "soft link": (lambda f, folder: f.__setitem__("x", h5py.SoftLink("/y")), "/x is a link"),
    "external data": (lambda f, folder: _external(f, "x", folder), "/x lies in another file"),
    "virtual": (lambda f, folder: _virtual(f, "x", "secret.h5"), r"x joins other datasets \(virtual\)"),
    "virtual itself": (lambda f, folder: _virtual(f, "x", "."), "x joins other datasets"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_file_of_another_program_is_read_from_itself_alone(tmp_path, secret, case):
    make, message = STRANGE[case]
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["y"] = np.ones(len(SECRET))
        make(file, tmp_path)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_samples(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("case", STRANGE)
def test_a_file_of_ours_is_read_from_itself_alone(tmp_path, secret, case):
    make, message = STRANGE[case]
    path = tmp_path / "a.h5"
    save(path, Particles(np.arange(3.0 * len(SECRET)).reshape(-1, 3), np.ones(len(SECRET))))
    with h5py.File(path, "r+") as file:
        del file["particles/charges"]
        file["y"] = np.ones(len(SECRET))
        make(file, tmp_path)
        file.move("x", "particles/charges")
    with pytest.raises(FileFormatError, match=message.replace("/x", "/particles/charges").replace("x joins", "joins")):
        load(path)


def test_groups_that_are_links_are_refused(tmp_path, secret):
    for name in make_objects():
        path = tmp_path / f"{name}.h5"
        save(path, make_objects()[name], results={"n": 1.0})
        with h5py.File(path, "r+") as file:
            groups = [key for key in file if isinstance(file[key], h5py.Group)]
            for key in groups:
                del file[key]
                file[key] = h5py.ExternalLink("secret.h5", "g")
        if any(key != "results" for key in groups):
            with pytest.raises(FileFormatError, match="is a link"):
                load(path)
        for read in (load_results, describe):
            with pytest.raises(FileFormatError, match="is a link"):
                read(path)


@pytest.mark.parametrize("name", ["../secret.h5", ".", "/etc/passwd", "spread.h5"])
def test_parts_have_plain_names_beside_the_file(tmp_path, secret, name):
    path = tmp_path / "spread.h5"
    KINDS["spread"].write(path)
    with h5py.File(path, "r") as file:
        attributes = {group: dict(file[group].attrs) for group in ("/", "VTKHDF")}
        shape = file["VTKHDF/PointData/potential"].shape
    with h5py.File(path, "w") as file:
        file.create_group("VTKHDF/PointData")
        for group, values in attributes.items():
            file[group].attrs.update(values)
        layout = h5py.VirtualLayout(shape, "f8")
        layout[:] = h5py.VirtualSource(name, "x", shape)
        file["VTKHDF/PointData"].create_virtual_dataset("potential", layout)
    for read in (load_grid, load, lambda p: list(read_slabs(p))):
        with pytest.raises(FileFormatError, match="expected parts with plain names beside the file"):
            read(path)


@pytest.mark.parametrize("read", ["load_samples", "load_grid", "load", "load_problem"])
def test_reading_is_bounded_by_the_file(tmp_path, read):
    """A few kilobytes that claim gigabytes: refused within 200 MB beyond the imports."""
    shape = (1000, 1000, 1000)
    path = tmp_path / "a.h5"
    KINDS["spread"].write(path)
    with h5py.File(path, "r") as file:
        attributes = {group: dict(file[group].attrs) for group in ("/", "VTKHDF")}
        sources = [s.file_name for s in file["VTKHDF/PointData/potential"].virtual_sources()]
    ours = read in ("load_grid", "load")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(shape, "f8")
        layout[:2] = h5py.VirtualSource(sources[0], "potential", (2, *shape[1:]))
        layout[2:] = h5py.VirtualSource(sources[1], "potential", (998, *shape[1:]))
        if ours:
            file.create_group("VTKHDF/PointData")
            for group, values in attributes.items():
                file[group].attrs.update(values)
            file["VTKHDF"].attrs["WholeExtent"] = [0, 999, 0, 999, 0, 999]
            file["VTKHDF/PointData"].create_virtual_dataset("potential", layout)
        else:
            for name in ("x", "y", "mask", "b"):
                file.create_virtual_dataset(name, layout)
    program = textwrap.dedent(f"""
        import resource
        import sci.io
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
        try:
            sci.io.{read}({str(path)!r})
        except sci.io.core.hdf5.FileFormatError as error:
            print(error)
    """)
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is measured by /proc")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout


def test_inputs_without_an_end_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        for read in (load, load_samples, load_problem, load_grid, describe):
            with pytest.raises(FileFormatError, match=r"this is a (pipe|device); expected an HDF5 file"):
                read(path)


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
        for name, dataset in old["cp"].items():
            made = new.create_dataset(f"cp/{name}", data=dataset[()], compression=9, shuffle=True)
            made.attrs.update(dataset.attrs)
    assert (tmp_path / "b.h5").stat().st_size < original.factors[0].nbytes
    assert same(load(tmp_path / "b.h5"), original)


def test_more_than_the_file_can_hold_is_refused_before_memory_is_asked_for(tmp_path):
    for chunks in (None, (2**20,)):
        save(tmp_path / "a.h5", make_objects()["bare_particles"], overwrite=True)
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


@pytest.mark.parametrize("count", [3, 40])
def test_members_are_named_in_order(tmp_path, count):
    """Few names lie in the header of their group, many in a heap of their own."""
    names = [f"\N{GREEK SMALL LETTER ALPHA}{k}" for k in range(count)]
    with h5py.File(tmp_path / "a.h5", "w", libver=LIBVER) as file:
        for name in reversed(names):
            file.create_group(name)
        assert member_names(file) == sorted(names)
        assert member_names(file[names[0]]) == []


def test_damaged_names_end_no_process(tmp_path):
    """HDF5 1.14 frees what it never filled where it sorts the names of such a group."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=LIBVER) as file:
        for k in range(40):
            file.create_group(f"member_{k:03}")
    content = bytearray(path.read_bytes())
    content[content.index(b"member_020") - 4] ^= 4
    path.write_bytes(content)
    program = "import sys, h5py; from sci.io.core.datasets import member_names; member_names(h5py.File(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Link iteration failed" in done.stderr


def test_a_walk_meets_everything_once(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["b/deep/x"] = 1.0
        file["a"] = 2.0
        file["b/root"] = file["/"]
        file["b/deep/again"] = file["a"]
        file["soft"] = h5py.SoftLink("/a")
        assert [name for name, _ in walk(file)] == ["a", "b", "b/deep", "b/deep/x"]


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, -np.inf)])
def test_what_no_reader_takes_is_not_written(tmp_path: Path, value: complex) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        with pytest.raises(InvalidValueError, match="g/x holds NaN or Inf"):
            write_array(file.create_group("g"), "x", np.array([1.0, value]))
        assert "x" not in file["g"]
