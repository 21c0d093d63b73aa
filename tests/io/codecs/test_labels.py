"""Labels in files: bits, damage, and what ParaView reads."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import load, save
from sci.nn import LabelVolume

VOLUME = LabelVolume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 5, 6, (0.5, 1.0, 2.0))


def test_labels_come_back_with_their_cells(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", VOLUME)
    found = load(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.labels, VOLUME.labels)
    assert (found.labels.dtype, found.classes, found.spacing) == (np.uint8, 6, (0.5, 1.0, 2.0))


def test_paraview_sees_integers(tmp_path: Path) -> None:
    save(tmp_path / "a.vtkhdf", VOLUME)
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        cells = file["VTKHDF/CellData/labels"]
        assert cells.dtype == np.uint8
        np.testing.assert_array_equal(cells[()].transpose(2, 1, 0), VOLUME.labels)
        np.testing.assert_array_equal(file["VTKHDF"].attrs["Spacing"], VOLUME.spacing)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda group: group.attrs.__setitem__("classes", 3), "a label 4 among 3 classes"),
        (lambda group: group.attrs.__setitem__("classes", "six"), "expected an integer"),
        (lambda group: group.attrs.__setitem__("widths", np.bytes_("[1.0]")), "for each axis"),
        (lambda group: group.attrs.__setitem__("widths", np.bytes_("{}")), "a list"),
        (lambda group: group["labels"].__setitem__((0, 0, 0), 3), "checksum"),
    ],
)
def test_damage_is_seen(tmp_path: Path, change, words: str) -> None:
    save(tmp_path / "a.h5", VOLUME)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file["labels"])
    with pytest.raises(FileFormatError, match=words):
        load(tmp_path / "a.h5")
