"""Files of whole arrays from parts, and parts from files: other cuts, and damage."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import split
from sci.errors import FileFormatError, SciError
from sci.io import kinds, load, save
from sci.nn import Checkpoint, ModelState, ParameterLayout, Placement
from sci.potentials import Particles

WHOLE = {"w": np.arange(10.0, dtype="f4").reshape(5, 2), "v": np.arange(6.0).reshape(2, 3), "b": np.ones(4, "c8")}

kinds()  # threads are no place for first imports


def layout_on(comm: ThreadComm) -> ParameterLayout:
    rows, columns = split(5, comm), split(3, comm)
    placements = {
        "w": Placement((5, 2), 0, rows.start, rows.stop),
        "v": Placement((2, 3), 1, columns.start, columns.stop),
    }
    return ParameterLayout({**placements, "b": Placement((4,), held=comm.rank == 0)}, comm)


def checkpoint_on(comm: ThreadComm) -> Checkpoint:
    layout = layout_on(comm)
    own = layout.own(WHOLE)
    state = {"first": {n: 2 * a for n, a in own.items()}, "buffers": {"mean": np.ones(2)}}
    return Checkpoint(1, own, state, np.ones(1), {"error": np.ones(1)}, {"seed": 1}, layout)


def test_a_file_has_whole_arrays_and_gives_parts_of_any_cut(tmp_path):
    path = tmp_path / "run.h5"
    on_ranks(2, lambda comm: save(path, checkpoint_on(comm)))
    whole = load(path)
    assert list(whole.parameters) == list(WHOLE)
    for name, array in WHOLE.items():
        assert whole.parameters[name].dtype == array.dtype
        np.testing.assert_array_equal(whole.parameters[name], array)
        np.testing.assert_array_equal(whole.optimizer["first"][name], 2 * array)
    assert whole.layout is None
    assert whole.settings == {"seed": 1}

    def body(comm: ThreadComm):
        found, expected = load(path, layout=layout_on(comm)), checkpoint_on(comm)
        for name, part in expected.parameters.items():
            np.testing.assert_array_equal(found.parameters[name], part)
            np.testing.assert_array_equal(found.optimizer["first"][name], 2 * part)
        assert list(found.parameters) == list(expected.parameters)
        np.testing.assert_array_equal(found.optimizer["buffers"]["mean"], np.ones(2))

    for ranks in (1, 3):
        on_ranks(ranks, body)


def test_a_model_in_parts(tmp_path):
    path = tmp_path / "model.h5"

    def body(comm: ThreadComm):
        layout = layout_on(comm)
        save(path, ModelState("mine", {"width": 5}, layout.own(WHOLE), layout=layout))
        return load(path, layout=layout).parameters["w"].shape

    assert on_ranks(2, body) == [(3, 2), (2, 2)]
    assert load(path).options == {"width": 5}


def test_errors_come_to_all_ranks(tmp_path):
    path, other = tmp_path / "run.h5", tmp_path / "particles.h5"
    save(other, Particles([[0.0, 0.0, 0.0]], [1.0]))
    on_ranks(2, lambda comm: save(path, checkpoint_on(comm)))

    def refused(comm: ThreadComm, work, error=SciError) -> str:
        with pytest.raises(error) as caught:
            work(comm)
        return str(caught.value)

    for text in on_ranks(2, lambda comm: refused(comm, lambda c: save(path, checkpoint_on(c)))):
        assert "exists" in text
    bad = tmp_path / "no" / "folder.h5"
    for text in on_ranks(2, lambda comm: refused(comm, lambda c: save(bad, checkpoint_on(c)))):
        assert "folder" in text
    for text in on_ranks(2, lambda comm: refused(comm, lambda c: load(other, layout=layout_on(c)), FileFormatError)):
        assert "has no parts" in text
    with h5py.File(path, "r+") as file:
        file["checkpoint/parameters/v"][0, 0] = 7.0
    for text in on_ranks(2, lambda comm: refused(comm, lambda c: load(path, layout=layout_on(c)), FileFormatError)):
        assert "fails its checksum" in text
