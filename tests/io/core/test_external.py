"""Data in other files: refused, or followed within bounds where somebody asks for them."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import sci
from sci.errors import FileFormatError
from sci.io import PoissonProblem, load, load_inputs, load_problem, load_samples, save
from sci.potentials import Particles
from sci.solvers import PoissonOperator

X = np.arange(30.0).reshape(10, 3)


def _foreign(folder: Path, how: str) -> Path:
    """Write a file whose `x` lies elsewhere."""
    with h5py.File(folder / "far.h5", "w") as file:
        file["x"], file["g/x"] = X, X
        file["g/soft"] = h5py.SoftLink("x")
    (folder / "far.bin").write_bytes(X.tobytes())
    with h5py.File(folder / "a.h5", "w") as file:
        file["y"] = np.ones(len(X))
        if how == "external link":
            file["x"] = h5py.ExternalLink("far.h5", "x")
        elif how == "chain":
            file["far"] = h5py.ExternalLink("far.h5", "g")
            file["x"] = h5py.SoftLink("/far/soft")
        elif how == "external storage":
            file.create_dataset("x", X.shape, "f8", external=[(str(folder / "far.bin"), 0, X.nbytes)])
        else:
            layout = h5py.VirtualLayout(X.shape, "f8")
            for part in (slice(0, 4), slice(4, 10)):
                layout[part] = h5py.VirtualSource("far.h5", "x", X.shape)[part]
            file.create_virtual_dataset("x", layout, fillvalue=-1.0)
    return folder / "a.h5"


HOW = ("external link", "chain", "external storage", "virtual")


@pytest.mark.parametrize("how", HOW)
def test_it_is_read_when_asked_for(tmp_path: Path, how: str) -> None:
    path = _foreign(tmp_path, how)
    for read in (load_samples, load_inputs):
        with pytest.raises(FileFormatError, match="external_data=True"):
            read(path)
        np.testing.assert_array_equal(read(path, external_data=True).x, X)
        with sci.options(external_data="on"):
            np.testing.assert_array_equal(read(path).x, X)
            with pytest.raises(FileFormatError, match="external_data=True"):
                read(path, external_data=False)


@pytest.mark.parametrize("how", HOW)
def test_what_is_missing_is_named(tmp_path: Path, how: str) -> None:
    path = _foreign(tmp_path, how)
    far = tmp_path / ("far.bin" if how == "external storage" else "far.h5")
    far.unlink()
    with pytest.raises(FileFormatError, match="there is no such file; expected a file: copy it"):
        load_samples(path, external_data=True)
    os.mkfifo(far)
    with pytest.raises(FileFormatError, match="this is a pipe"):
        load_samples(path, external_data=True)


def test_files_and_problems_of_ours(tmp_path: Path) -> None:
    save(tmp_path / "ion.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    with h5py.File(tmp_path / "ion.h5", "r+") as file, h5py.File(tmp_path / "far.h5", "w") as far:
        far["q"] = np.array([2.0])
        del file["particles/charges"]
        file["particles/charges"] = h5py.ExternalLink("far.h5", "q")
    with pytest.raises(FileFormatError, match="/particles/charges is a link"):
        load(tmp_path / "ion.h5")
    assert load(tmp_path / "ion.h5", external_data=True).charges[0] == 2.0
    mask = np.ones((3, 4), bool)
    save(tmp_path / "p.h5", PoissonProblem(PoissonOperator(mask), 1.0 * mask))
    with h5py.File(tmp_path / "p.h5", "r+") as file, h5py.File(tmp_path / "far.h5", "a") as far:
        far["b"] = 2.0 * mask
        del file["b"]
        file["b"] = h5py.ExternalLink("far.h5", "b")
    assert load_problem(tmp_path / "p.h5", external_data=True).b[0, 0] == 2.0


def _virtual(path: Path, sources: list[tuple[str, str]], n: int = 10) -> None:
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((n,), "f8")
        for k, (name, dataset) in enumerate(sources):
            layout[4 * k : 4 * (k + 1)] = h5py.VirtualSource(name, dataset, (4,))
        file.create_virtual_dataset("x", layout)
        file["y"] = np.ones(n)


def test_what_stays_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(tmp_path / "far.h5", "w") as file:
        file["x"] = np.ones(4)
        file.create_dataset("empty", (4,), "f8")
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
        file.create_virtual_dataset("virtual", layout)
    for sources, n, message in (
        ([(".", "x")], 4, "of its own file"),
        ([("far.h5", "none")], 4, "which holds no data"),
        ([("far.h5", "virtual")], 4, "which holds no data"),
        ([("far.h5", "x")], 5, "joins 4 of 5 values"),
        ([("far.h5", "empty")], 4, "claims 32 bytes"),
    ):
        _virtual(path, sources, n)
        with pytest.raises(FileFormatError, match=message):
            load_samples(path, external_data=True)
    with h5py.File(path, "w") as file:
        file["y"] = np.ones(4)
        file["x"], file["z"] = h5py.SoftLink("/z"), h5py.SoftLink("/x")
    with pytest.raises(FileFormatError, match="it has no end"):
        load_samples(path, external_data=True)
    (tmp_path / "far.bin").write_bytes(bytes(16))
    with h5py.File(path, "w") as file:
        file["y"] = np.ones(4)
        file.create_dataset("x", (4,), "f8", external=[(str(tmp_path / "far.bin"), 0, 32)])
    with pytest.raises(FileFormatError, match="which has 16 of 32 bytes"):
        load_samples(path, external_data=True)
