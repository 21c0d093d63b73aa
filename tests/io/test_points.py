"""Sets of points in HDF5, npy and npz files: which array is meant, blocks, and bad files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.errors import FileFormatError, InvalidValueError
from sci.io import PointSet, points, read_points, save, save_samples
from sci.potentials import Trajectory

X = np.random.default_rng(0).normal(size=(11, 2, 3))


def whole(found: PointSet, rows: range | None = None) -> np.ndarray:
    return np.concatenate(list(found.blocks(rows)))


def write(path, **arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".npy":
        np.save(path, arrays["x"])
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    return path


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i4", "u1", "?"])
def test_points_of_every_format_and_dtype(tmp_path, monkeypatch, suffix, dtype):
    monkeypatch.setattr(points, "BLOCK_BYTES", 8 * 6 * 4)  # blocks of four points
    x = (4 * X).astype(dtype)
    found = read_points(write(tmp_path / f"a.{suffix}", x=x))
    assert (found.n, found.shape, found.dimension) == (11, (2, 3), 6)
    assert found.dtype == (np.float64 if dtype in ("f8", "i4") else np.float32)
    np.testing.assert_array_equal(whole(found), x.reshape(11, 6).astype(found.dtype))
    assert [len(block) for block in found.blocks()] == [4, 4, 3]


@given(n=st.integers(1, 9), start=st.integers(0, 9), stop=st.integers(0, 12), step=st.integers(1, 4), block=st.data())
def test_chosen_rows(tmp_path_factory, n, start, stop, step, block):
    rows = range(n)[start:stop:step]
    at, length = block.draw(st.integers(0, 9)), block.draw(st.integers(1, 9))
    part = points._part(rows, at, at + length)
    assert [at + k for k in part] == [k for k in rows if at <= k < at + length]


def test_which_array_is_meant(tmp_path):
    assert read_points(write(tmp_path / "a.h5", x=X, other=X)).dataset == "x"
    assert read_points(write(tmp_path / "b.h5", only=X, label=np.arange(11))).dataset == "only"
    two = write(tmp_path / "c.h5", one=X, other=X[:, 0], label=np.arange(11))
    with pytest.raises(InvalidValueError, match=r"several arrays .* of label \(11,\), one \(11, 2, 3\), other"):
        read_points(two)
    assert read_points(two, "other").dimension == 3
    np.testing.assert_array_equal(whole(read_points(two, "label"))[:, 0], np.arange(11))
    with pytest.raises(FileFormatError, match="there is no array 'none' of real numbers; found label"):
        read_points(two, "none")
    with pytest.raises(InvalidValueError, match="no array of two axes"):
        read_points(write(tmp_path / "d.npz", a=np.arange(3), b=np.arange(3)))


def test_our_files(tmp_path):
    save_samples(tmp_path / "a.h5", X, 2 * X[:, 0], grid_axes=1)
    assert read_points(tmp_path / "a.h5").dataset == "x"
    np.testing.assert_array_equal(whole(read_points(tmp_path / "a.h5", "y")), 2 * X[:, 0])
    done = Trajectory(np.arange(4), np.arange(4.0), np.arange(24.0).reshape(4, 2, 3), 9, None)
    save(tmp_path / "run.h5", done)
    found = read_points(tmp_path / "run.h5")
    assert (found.dataset, found.n) == ("trajectory/forces", 4)  # the finished frames
    np.testing.assert_array_equal(whole(found, range(1, 4, 2)), np.arange(24.0).reshape(4, 6)[1::2])


def test_damage_is_named(tmp_path):
    bad = X.copy()
    bad[7, 1, 1] = np.nan
    for suffix in ("npy", "npz", "h5"):
        found = read_points(write(tmp_path / f"a.{suffix}", x=bad))
        with pytest.raises(FileFormatError, match=r"point 7 of .* holds NaN or Inf"):
            whole(found)
        assert len(whole(found, range(7))) == 7
    save_samples(tmp_path / "c.h5", X, X)
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        file["x"][2] = 1.0
    with pytest.raises(FileFormatError, match="the dataset x fails its checksum"):
        whole(read_points(tmp_path / "c.h5"))
    for name, content in (("a.npy", b"nothing"), ("a.npz", b"PK nothing"), ("a.h5", b"nothing")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=name):
            read_points(tmp_path / name)
        with pytest.raises(FileFormatError, match=f"none.{name}: there is no such file"):
            read_points(tmp_path / f"none.{name}")
    with pytest.raises(FileFormatError, match=r"has shape \(0, 3\); expected at least one number"):
        read_points(write(tmp_path / "e.npz", x=np.zeros((0, 3))))
    with pytest.raises(FileFormatError, match="x is one number"):
        read_points(write(tmp_path / "f.npz", x=np.float64(3)))


def test_an_npy_file_that_claims_more_than_it_holds_is_refused(tmp_path):
    write(tmp_path / "a.npy", x=X)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data.replace(b"(11, 2, 3)", b"(99, 2, 3)"))
    with pytest.raises(FileFormatError, match=r"a\.npy: not an npy file"):
        read_points(tmp_path / "a.npy")


def test_an_array_that_claims_more_than_the_file_holds_is_refused_unread(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (10**12, 3), dtype="f8", chunks=(1000, 3))
    with pytest.raises(FileFormatError, match=r"a\.h5: the dataset x claims 24000000000000 bytes, of which 0"):
        read_points(tmp_path / "a.h5")


def test_links_out_of_the_file_are_refused(tmp_path):
    write(tmp_path / "a.h5", x=X)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["y"] = X
        file["x"] = h5py.ExternalLink(str(tmp_path / "a.h5"), "x")
    assert read_points(tmp_path / "b.h5").dataset == "y"
    with pytest.raises(FileFormatError, match="there is no array 'x'"):
        read_points(tmp_path / "b.h5", "x")
