"""Files of strangers: whatever lies where a number, a text or an array is expected, only our errors leave a reader.

SCI_STRANGERS=all puts everything in every place of every kind, which takes many minutes; otherwise Hypothesis chooses.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import KINDS

from sci.errors import SciError
from sci.io import (
    STRUCTURE_FORMATS,
    compute_trajectory,
    count_frames,
    describe,
    export_vtkhdf,
    join_parts,
    load,
    load_grid,
    load_inputs,
    load_problem,
    load_results,
    load_samples,
    read_crystal,
    read_frames,
    read_header,
    read_slabs,
    read_state_dict,
    read_structure,
    trajectory_state,
)

OURS = [name for name, kind in KINDS.items() if kind.checked]
ATTRIBUTES: dict[str, Any] = {
    "none": None,
    "an integer": -3,
    "a large integer": np.uint64(2**64 - 1),
    "NaN": float("nan"),
    "numbers": np.arange(3.0),
    "a list in JSON": np.bytes_("[1, 2]"),
    "null in JSON": np.bytes_("null"),
    "a number in JSON": np.bytes_("1e999"),
    "deep JSON": np.bytes_("[" * 1500),
    "another object in JSON": np.bytes_('{"a": 1}'),
    "objects in JSON": np.bytes_('[["a", {}], ["b", {}]]'),
    "bytes that are no text": np.bytes_(b"\xff\xfe"),
    "a text of variable length": "text",
    "nothing of a type": h5py.Empty("f8"),
    "texts": np.array([b"a", b"bb"]),
    "a compound": np.zeros((), dtype=[("a", "f8")]),
    "an enumeration": np.array(1, dtype=h5py.enum_dtype({"a": 0, "b": 1})),
}
ARRAYS: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "none": lambda shape: None,
    "a group": lambda shape: "group",
    "a type": lambda shape: np.dtype("f8"),
    "a number": lambda shape: np.float64(1),
    "no numbers": lambda shape: np.zeros((0,) * max(1, len(shape))),
    "more axes": lambda shape: np.zeros((2,) * (len(shape) + 1)),
    "another order": lambda shape: np.zeros(shape[::-1]),
    "one more": lambda shape: np.zeros((shape[0] + 1, *shape[1:]) if shape else 1),
    "integers": lambda shape: np.full(shape, 2**62, "i8"),
    "small integers": lambda shape: np.full(shape, -1, "i4"),
    "ones": lambda shape: np.full(shape, 1.0),
    "huge numbers": lambda shape: np.full(shape, 1e308),
    "zeros": lambda shape: np.zeros(shape),
    "NaN": lambda shape: np.full(shape, np.nan),
    "single precision": lambda shape: np.full(shape, 1.0, "f4"),
    "half precision": lambda shape: np.full(shape, 1.0, "f2"),
    "other bytes": lambda shape: np.ones(shape, ">f8"),
    "complex numbers": lambda shape: np.ones(shape, "c16"),
    "truths": lambda shape: np.ones(shape, bool),
    "texts": lambda shape: np.full(shape, b"abc"),
    "texts of variable length": lambda shape: np.full(shape, "abc", dtype=object) if shape else "abc",
    "compounds": lambda shape: np.zeros(shape, dtype=[("a", "f8"), ("b", "i4")]),
    "nothing of a type": lambda shape: h5py.Empty("f8"),
}


def _places(path: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the attributes and the datasets of a file, without its scales."""
    attributes, datasets = [], []
    with h5py.File(path) as file:
        names = ["/"]
        file.visit(names.append)
        for name in names:
            item = file[name]
            attributes += [(name, key) for key in item.attrs if key not in ("DIMENSION_LIST", "REFERENCE_LIST")]
            if isinstance(item, h5py.Dataset) and "CLASS" not in item.attrs:
                datasets.append(name)
    return attributes, datasets


def _spoil(path: Path, place: tuple[str, str] | str, what: str) -> None:
    with h5py.File(path, "r+") as file:
        if isinstance(place, tuple):
            del file[place[0]].attrs[place[1]]
            if ATTRIBUTES[what] is not None:
                file[place[0]].attrs[place[1]] = ATTRIBUTES[what]
            return
        shape = file[place].shape
        kept = {key: file[place].attrs[key] for key in ("units", "Attribute", "dims") if key in file[place].attrs}
        del file[place]
        value = ARRAYS[what](shape or ())
        if isinstance(value, str) and value == "group":
            file.create_group(place)
        elif value is not None:
            file[place] = value
            if isinstance(file[place], h5py.Dataset):
                file[place].attrs.update(kept)


def _read(name: str, path: Path) -> None:
    for read in (KINDS[name].read, describe, load_results):
        with contextlib.suppress(SciError):
            read(path)


CASES: dict[str, tuple[bytes, list[tuple[tuple[str, str] | str, str]]]] = {}


def _cases(name: str, folder: Path) -> tuple[bytes, list[tuple[tuple[str, str] | str, str]]]:
    """Return the file of a kind, and every place in it with everything that may lie there."""
    if name not in CASES:
        path = folder / f"{name}.h5"
        KINDS[name].write(path)
        attributes, datasets = _places(path)
        every = [*itertools.product(attributes, ATTRIBUTES), *itertools.product(datasets, ARRAYS)]
        CASES[name] = path.read_bytes(), every
    return CASES[name]


@pytest.mark.parametrize("name", OURS)
def test_only_our_errors_leave_a_reader(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("strangers")
    good, every = _cases(name, folder)
    path = folder / f"{name}.h5"

    def attempt(case: tuple[tuple[str, str] | str, str]) -> None:
        path.write_bytes(good)
        _spoil(path, *case)
        _read(name, path)

    if os.environ.get("SCI_STRANGERS") == "all":
        for case in every:
            attempt(case)
    else:
        quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
        options = settings(max_examples=8, deadline=None, suppress_health_check=quiet, database=None, derandomize=True)
        options(given(st.sampled_from(every))(attempt))()


READERS: dict[str, Callable[[Path], Any]] = {
    **{
        read.__name__: read
        for read in (
            *(load, load_grid, load_inputs, load_problem, load_results, load_samples, describe, read_header),
            *(read_slabs, read_state_dict, trajectory_state, read_crystal, count_frames),
        )
    },
    "read_frames": lambda path: list(read_frames(path)),
    "compute_trajectory": lambda path: compute_trajectory(path, path.parent / "out.h5"),
    "join_parts": lambda path: join_parts(path, path.parent / "out.h5"),
    "export_vtkhdf": lambda path: export_vtkhdf(path, path.parent / "out.vtkhdf"),
    **{
        f"read_structure {name}": lambda path, name=name: read_structure(path, format=name)
        for name in STRUCTURE_FORMATS
    },
}


@pytest.mark.parametrize("name", READERS)
def test_devices_pipes_and_folders_as_input_end(name: str, tmp_path: Path) -> None:
    (tmp_path / "zero.xyz").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.xyz")
    (tmp_path / "folder.xyz").mkdir()
    (tmp_path / "loop.xyz").symlink_to(tmp_path / "loop.xyz")
    for path in ("zero.xyz", "pipe.xyz", "folder.xyz", "loop.xyz", "n" * 300, "none.xyz"):
        with pytest.raises(SciError):
            READERS[name](tmp_path / path)
    assert not (tmp_path / "out.h5").exists()


def _zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def _npy(shape: tuple[int, ...], dtype: str = "<f8", content: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros that are packed": lambda: _zipped(a=_npy((2**25,), content=bytes(2**28))),
    "a header that lies": lambda: _zipped(a=_npy((2**50,))),
    "a long header": lambda: _zipped(a=b"\x93NUMPY\x03\x00" + (2**31).to_bytes(4, "little") + b"{"),
}


@pytest.mark.parametrize("name", [*BOMBS, "chunks of zeros", "a frame of a billion atoms"])
def test_memory_is_bounded_by_the_size_of_the_file(name: str, tmp_path: Path) -> None:
    """A reader that may take 300 MB more than it has ends with our error, not for want of memory."""
    if name in BOMBS:
        (tmp_path / "a.npz").write_bytes(BOMBS[name]())
        call = "read_state_dict('a.npz')"
    elif name == "chunks of zeros":
        with h5py.File(tmp_path / "a.h5", "w") as file:
            x = file.create_dataset("x", (2**28,), "f8", chunks=(2**17,), compression="gzip")
            x[: 2**17] = 0
            file["y"] = np.ones(2**4)
        call = "load_samples('a.h5')"
    else:
        (tmp_path / "a.xyz").write_text("1000000000\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\n")
        call = "list(read_frames('a.xyz'))"
    program = f"""
import resource
from pathlib import Path
from sci.errors import SciError
from sci.io import *
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)
try:
    {call}
except SciError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a.")
    assert "memory" not in done.stdout.lower(), done.stdout
