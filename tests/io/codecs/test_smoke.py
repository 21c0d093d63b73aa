"""Runs of smoke in files: frames are read when they are asked for, and damage is seen at once."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from samples import same, smoke_frames

from sci.errors import FileFormatError
from sci.io import SmokeRun, load, save, save_smoke


def test_a_run_is_a_sequence_of_frames(tmp_path):
    frames = smoke_frames()
    assert save_smoke(tmp_path / "a.h5", iter(frames), dtype=np.float64, command="x") == 2
    run = load(tmp_path / "a.h5")
    assert repr(run) == "SmokeRun of 2 frames"
    assert same(tuple(run), tuple(frames))
    assert same(run[-1], frames[1])
    assert same(tuple(run[::-1]), tuple(frames[::-1]))
    with pytest.raises(IndexError):
        run[2]
    save(tmp_path / "b.h5", run[1:])
    assert same(tuple(load(tmp_path / "b.h5")), (frames[1],))


def test_fields_are_single_by_default(tmp_path):
    save_smoke(tmp_path / "a.h5", smoke_frames())
    save(tmp_path / "b.h5", SmokeRun(smoke_frames()))
    assert load(tmp_path / "a.h5")[0].density.dtype == np.float32
    assert load(tmp_path / "b.h5")[0].density.dtype == np.float64


DAMAGE = {
    "a frame": (lambda f: f.__delitem__("frame_000000"), "a frame is missing among 1"),
    "density": (lambda f: f.__delitem__("frame_000001/density"), "lacks density or pressure"),
    "a face": (lambda f: f.__delitem__("frame_000001/velocity_0"), "velocity_0 is missing"),
    "about": (lambda f: f["frame_000001"].attrs.__delitem__("about"), "attribute about of /frame_000001 is missing"),
    "value": (lambda f: f["frame_000001/density"].__setitem__((0, 0), 9.0), "density fails its checksum"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_seen_before_the_first_frame(tmp_path, case):
    damage, message = DAMAGE[case]
    save(tmp_path / "a.h5", SmokeRun(smoke_frames()))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        damage(file)
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path / "a.h5")
