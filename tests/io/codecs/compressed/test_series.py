"""Series of frames: whole at any moment, continued, and joined at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sci.errors import DTypeError, FileFormatError, InvalidValueError, SciError, ShapeError
from sci.io import CompressedSeries, describe, load, read_compressed, read_header, reserve
from sci.io.codecs.compressed import series as module
from sci.io.codecs.compressed.journal import records


def frames(count: int, start: int = 0) -> list[np.ndarray]:
    x = np.linspace(0.0, 6.0, 20)
    return [np.sin(x[:, None] - 0.1 * t) * np.cos(x) * (1 + t) for t in range(start, start + count)]


def write(path: Path, given: list[np.ndarray], **options: Any) -> None:
    with CompressedSeries(path, 1e-3, **{"frames": 4, **options}) as series:
        for number, frame in enumerate(given):
            series.append(frame, time=0.5 * number)


@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_the_whole_keeps_its_bound(tmp_path: Path, bound: Any) -> None:
    truth = np.stack(frames(10))
    write(tmp_path / "a.h5", frames(10), bound=bound)
    found = load(tmp_path / "a.h5")
    assert (found.shape, found.edges) == ((10, 20, 20), ((0, 4, 8, 10),))
    np.testing.assert_array_equal(found.times, 0.5 * np.arange(10))
    difference = found.decompress() - truth
    if bound == "l2":
        assert np.linalg.norm(difference) <= 1e-3 * np.linalg.norm(truth)
    else:
        assert np.abs(difference).max() <= 1e-3 * np.ptp(truth)
    assert found.l2_error == pytest.approx(np.linalg.norm(difference))
    assert found.maximum_error == pytest.approx(np.abs(difference).max())
    assert found.value_range == np.ptp(truth)
    assert not list(records(tmp_path / "a.h5"))
    np.testing.assert_array_equal(read_compressed(tmp_path / "a.h5")[5], found[5])


def test_frames_are_read_while_others_come(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with CompressedSeries(path, 1e-3, frames=3) as series:
        for number, frame in enumerate(frames(7)):
            series.append(frame)
            if number >= 2:
                assert load(path).shape[0] == (number + 1) // 3 * 3
        assert len(series) == 7
    assert load(path).shape[0] == 7


KILLED = """
import os, signal, sys
import numpy as np
from sci.io import CompressedSeries
series = CompressedSeries(sys.argv[1], 1e-3, frames=2)
for t in range(5):
    series.append(np.sin(np.arange(200.0).reshape(10, 20) + t))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert load(path).shape == (4, 10, 20)
    assert describe(path)["kind"] == "compressed_grid"
    with CompressedSeries(path, 1e-3, resume=True) as series:
        assert len(series) == 4
        series.append(np.ones((10, 20)) * np.arange(20))
    np.testing.assert_allclose(load(path)[4], np.ones((10, 20)) * np.arange(20), atol=0.1)
    np.testing.assert_allclose(load(path)[3], np.sin(np.arange(200.0).reshape(10, 20) + 3), atol=0.01)


def test_a_chunk_that_is_damaged_hides_none_that_follow(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    series = CompressedSeries(path, 1e-3, frames=2)
    for frame in frames(8):
        series.append(frame)
    with pytest.raises(KeyError), series:
        raise KeyError
    ends = [record.end for record in records(path)]
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[ends[1] + 90] ^= 4
    path.write_bytes(damaged)
    for attempt in (lambda: load(path), lambda: CompressedSeries(path, 1e-3, frames=2, resume=True)):
        with pytest.raises(FileFormatError, match=f"chunk at byte {ends[1]} is damaged.*truncate -s {ends[1]} "):
            attempt()
    assert path.read_bytes() == damaged, "nothing was cut off"
    os.truncate(path, ends[1])
    assert load(path).shape == (4, 20, 20)
    path.write_bytes(whole[: ends[3] - 5])
    assert load(path).shape == (6, 20, 20), "the last one alone was cut short by a kill"


def test_an_exception_keeps_the_chunks_until_then_and_a_resumed_series_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    series = CompressedSeries(path, 1e-3, frames=4)
    for frame in frames(9):
        series.append(frame)
    series.__exit__(RuntimeError, RuntimeError("stop"), None)
    assert load(path).shape[0] == 8
    with path.open("ab") as raw:
        raw.write(b"SCIchunk, cut short")
    uuid = read_header(path).uuid
    with CompressedSeries(path, 1e-3, frames=4, resume=True) as series:
        for frame in frames(2, 8):
            series.append(frame)
    found, truth = load(path), np.stack(frames(10))
    assert found.edges == ((0, 4, 8, 10),)
    assert np.linalg.norm(found.decompress() - truth) <= 1e-3 * np.linalg.norm(truth)
    assert found.value_range == np.ptp(truth)
    assert read_header(path).uuid == uuid


def test_a_full_disk_leaves_the_chunks_until_then_and_frames_wait(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    series = CompressedSeries(path, 1e-3, frames=2)
    for frame in frames(5):
        series.append(frame)
    kept = series._raw

    class Full:
        """A file that takes half of what is written, and then nothing."""

        def __getattr__(self, name: str) -> Any:
            return getattr(kept, name)

        def write(self, data: Any) -> int:
            if len(data) < 40:
                raise OSError(28, os.strerror(28))
            return int(kept.write(data[: len(data) // 2]))

    series._raw = Full()
    with pytest.raises(FileFormatError, match=r"a\.h5: the disk is full"):
        series.append(frames(1, 5)[0])
    assert load(path).shape[0] == 4
    series._raw = kept
    series.close()
    assert load(path).shape[0] == 6


def test_names_are_held_and_files_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, frames(2))
    with pytest.raises(InvalidValueError, match="exists"):
        CompressedSeries(path, 1e-3)
    write(path, frames(3), overwrite=True)
    assert load(path).shape[0] == 3
    with reserve(path, overwrite=True), pytest.raises(InvalidValueError, match="tol, bound and relative"):
        CompressedSeries(path, 1e-2, resume=True)


def test_a_series_without_frames_writes_nothing(tmp_path: Path) -> None:
    with CompressedSeries(tmp_path / "a.h5", 1e-3) as series:
        assert len(series) == 0
        assert "0 frames" in repr(series)
    series.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tol": 0.0}, "tol"),
        ({"tol": float("nan")}, "tol"),
        ({"frames": 0}, "frames is 0"),
        ({"relative": False}, "needs the number of frames"),
        ({"bound": "l1"}, "bound"),
    ],
)
def test_wrong_settings_are_refused_before_a_file_is_made(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SciError, match=words):
        CompressedSeries(tmp_path / "a.h5", **{"tol": 1e-3, **settings})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("second", "time", "error"),
    [
        (np.ones((3, 5)), None, ShapeError),
        (np.ones((3, 4), np.float32), None, ShapeError),
        (np.ones((3, 4), int), None, DTypeError),
        (np.full((3, 4), np.nan), None, InvalidValueError),
        (np.ones((3, 4)), 1.0, InvalidValueError),
        (np.float64(1.0), None, ShapeError),
    ],
)
def test_frames_unlike_the_first_are_refused(tmp_path: Path, second: Any, time: Any, error: Any) -> None:
    with CompressedSeries(tmp_path / "a.h5", 1e-3) as series:
        series.append(np.ones((3, 4)))
        with pytest.raises(error, match="frame"):
            series.append(second, time=time)
    assert load(tmp_path / "a.h5").shape == (1, 3, 4)


def test_absolute_differences(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", frames(6), bound="maximum", relative=False)
    assert np.abs(load(tmp_path / "a.h5").decompress() - np.stack(frames(6))).max() <= 1e-3


@pytest.mark.parametrize("scale", [1e-312, 1e-170, 1e160])
def test_frames_of_any_magnitude_keep_the_bound(tmp_path: Path, scale: float) -> None:
    given = [scale * frame.astype(np.float64) for frame in frames(6)]
    for bound in ("l2", "maximum"):
        write(tmp_path / "a.h5", given, bound=bound, overwrite=True)
        missed = (load(tmp_path / "a.h5").decompress() - np.stack(given)) / scale
        whole = np.stack(given) / scale
        if bound == "l2":
            assert np.linalg.norm(missed) <= 1e-3 * np.linalg.norm(whole)
        else:
            assert np.abs(missed).max() <= 1e-3 * np.ptp(whole)


def test_frames_of_four_axes_repeat_along_the_last(tmp_path: Path) -> None:
    given = [np.sin(np.arange(k, k + 120.0)).reshape(2, 3, 4, 5) for k in range(4)]
    write(tmp_path / "a.h5", given, periodic=(4,))
    assert np.linalg.norm(load(tmp_path / "a.h5").decompress() - given) <= 1e-3 * np.linalg.norm(given)
    with pytest.raises(InvalidValueError, match="periodic is"):
        write(tmp_path / "b.h5", given, periodic=(5,))


def test_the_file_is_plain_hdf5_in_the_meantime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYNC_SECONDS", -1.0)
    with CompressedSeries(tmp_path / "a.h5", 1e-3, frames=1) as series:
        series.append(np.ones((3, 4)))
        with h5py.File(tmp_path / "a.h5") as file:
            assert file["compressed_grid/data"].shape == (0,)
