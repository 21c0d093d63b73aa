"""Samples are read in blocks with the checks of a whole file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import load, read_sample_blocks, save, save_samples
from sci.potentials import Particles

X = np.arange(33.0).reshape(11, 3)
Y = np.arange(88.0, dtype="f4").reshape(11, 2, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "a.h5"
    save_samples(found, X, Y, grid_axes=1, periodic=True)
    return found


@pytest.mark.parametrize("n_bytes", [1, 8 * 11 * 4, 10**9])
def test_blocks_of_any_size_are_the_samples(path: Path, monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    monkeypatch.setattr("sci.io.sample_blocks.BLOCK_BYTES", n_bytes)
    blocks = read_sample_blocks(path)
    found = list(blocks)
    np.testing.assert_array_equal(np.concatenate([b.x for b in found]), X)
    np.testing.assert_array_equal(np.concatenate([b.y for b in found]), Y)
    assert found[0].y.dtype == np.float32
    assert (blocks.n, blocks.grid_axes, blocks.periodic) == (11, 1, True)
    assert len(found) == {1: 11, 352: 3, 10**9: 1}[n_bytes]


def test_damage_is_found_after_the_last_block(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(Y.tobytes()) + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="y fails its checksum"):
        list(read_sample_blocks(path))
    with pytest.raises(FileFormatError):
        load(path)


def test_numbers_that_are_not_finite_are_named(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(X.tobytes())
    data[at : at + 8] = np.array([np.nan]).tobytes()
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="x holds NaN or Inf"):
        list(read_sample_blocks(path))


def test_another_kind_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "p.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    with pytest.raises(FileFormatError, match="expected samples"):
        read_sample_blocks(tmp_path / "p.h5")
