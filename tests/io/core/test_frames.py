"""Datasets that are filled frame by frame."""

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io.core.frames import count_finished, frames_dataset, frames_group


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["run/checksums"] = np.array([4, 0, -1, -1])
        file.create_dataset("run/chunked", data=np.ones(4), chunks=(2,))
        yield file


def test_frames_with_a_checksum_are_finished(file):
    assert count_finished(file, "run") == {"frames": 4, "finished": 2}


def test_what_is_missing_or_in_pieces_is_refused(file):
    with pytest.raises(FileFormatError, match="the group /walk is missing"):
        frames_group(file, "walk")
    for name in ("chunked", "none"):
        with pytest.raises(FileFormatError, match=f"/run/{name} is missing or not in one piece"):
            frames_dataset(file["run"], name)


def test_a_dataset_that_was_never_stored_is_refused(tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("run/energies", (1000,), "f8")
        with pytest.raises(FileFormatError, match="claims 8000 bytes, which are not stored"):
            frames_dataset(file["run"], "energies")
