"""Points spread over ranks: the same as in one process, one error for all, and no copies beyond a block."""

from __future__ import annotations

import argparse
import tracemalloc

import numpy as np
import pytest
from ensemble_cases import run_of_chain, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_ranks import on_ranks

from sci.cli.commands.ensembles.points import principal_places, read_inputs, read_labels
from sci.cli.outcome import Failure
from sci.distributed import split
from sci.errors import SciError
from sci.io import points, save
from sci.potentials import Trajectory

RNG = np.random.default_rng(8)


def options(comm=None, **changed: object) -> argparse.Namespace:
    given = {"topology": None, "dataset": None, "range": ":", "atoms": None, "superpose": True, "reference": None}
    return argparse.Namespace(**(given | {"comm": comm, "unwrap": True, "model": None} | changed))


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 20), d=st.integers(1, 4), size=st.integers(1, 4), step=st.integers(1, 3), rows=st.integers(1, 9)
)
def test_every_rank_has_its_share(tmp_path_factory, n, d, size, step, rows):
    folder = tmp_path_factory.mktemp("points")
    x = RNG.normal(size=(n, d)).astype(np.float32)
    np.savez(folder / "a.npz", x=x, y=np.arange(n))
    whole, before = x[::step], points.BLOCK_BYTES
    points.BLOCK_BYTES = 8 * d * rows

    def body(comm):
        a = options(comm, range=f"::{step}", labels="y")
        (found,) = read_inputs(a, [folder / "a.npz"])
        own = split(len(whole), comm)
        np.testing.assert_array_equal(found.x, whole[own])
        np.testing.assert_array_equal(read_labels(a, found), np.arange(n)[::step][own])
        return principal_places(found.x, found.total, comm)

    try:
        places = on_ranks(size, body)
    finally:
        points.BLOCK_BYTES = before
    assert all(p is None for p in places[1:])
    np.testing.assert_array_equal(places[0], principal_places(whole, len(whole), None))


@settings(max_examples=8, deadline=None)
@given(frames=st.integers(1, 9), size=st.integers(1, 4), cell=st.booleans())
def test_frames_are_the_same_bits_on_any_number_of_ranks(tmp_path_factory, frames, size, cell):
    folder = tmp_path_factory.mktemp("frames")
    path = write_run(folder / "a.xyz", run_of_chain(frames), cell=15.0 if cell else None)
    (one,) = read_inputs(options(), [path])

    def body(comm):
        (found,) = read_inputs(options(comm), [path])
        assert (found.what, found.about, found.numbers) == (one.what, pytest.approx(one.about), one.numbers)
        return found.x

    np.testing.assert_array_equal(np.concatenate(on_ranks(size, body)), one.x)


@pytest.mark.parametrize("bad", [0, 11, 19])
def test_a_bad_point_is_an_error_on_all_ranks(tmp_path, monkeypatch, bad):
    monkeypatch.setattr(points, "BLOCK_BYTES", 8 * 2 * 3)
    x = RNG.normal(size=(20, 2))
    x[bad] = np.inf
    np.save(tmp_path / "a.npy", x)

    def body(comm):
        with pytest.raises(SciError, match=f"point {bad} of the array holds NaN or Inf"):
            read_inputs(options(comm), [tmp_path / "a.npy"])

    on_ranks(3, body)


def test_a_frame_that_one_rank_cannot_read_is_an_error_on_all(tmp_path):
    path = write_run(tmp_path / "a.xyz", run_of_chain(9))
    lines = path.read_text().splitlines()
    lines[-1] = "C 1 2 none"
    path.write_text("\n".join(lines))

    def body(comm):
        with pytest.raises(SciError, match=r"a\.xyz:63: z is 'none'"):
            read_inputs(options(comm), [path])

    on_ranks(3, body)


def test_points_are_read_once(tmp_path):
    """A set of 40 MB takes 40 MB, a block, and no copy."""
    x = RNG.normal(size=(330_000, 30)).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    tracemalloc.start()
    try:
        (found,) = read_inputs(options(), [tmp_path / "a.npy"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.x.dtype == np.float32
    assert peak < x.nbytes + 3 * points.BLOCK_BYTES


def test_points_on_a_line_have_one_axis():
    places = principal_places(np.outer(np.arange(5.0), [1.0, 2.0]), 5, None)
    np.testing.assert_allclose(np.abs(places[:, 0]), 5**0.5 * np.array([2, 1, 0, 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(places[:, 1], 0, atol=1e-6)
    assert principal_places(np.arange(3.0)[:, None], 3, None).shape == (3, 2)


def test_what_does_not_fit_into_memory_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("sci.cli.estimates.needs.available_memory", lambda: (1000, "available on this machine"))
    np.save(tmp_path / "a.npy", RNG.normal(size=(50, 9)))
    path = write_run(tmp_path / "a.xyz", run_of_chain(9))
    with pytest.raises(Failure, match=r"needs 3\.6 kB of memory for the input, and 1 kB are available"):
        read_inputs(options(), [tmp_path / "a.npy"])
    with pytest.raises(Failure, match="fewer --atoms, or more ranks"):
        read_inputs(options(), [path])


def test_a_file_of_sci_trajectory_holds_forces(tmp_path):
    forces = RNG.normal(size=(6, 4, 3))
    save(tmp_path / "run.h5", Trajectory(np.arange(6), np.arange(6.0), forces, 9))
    (found,) = read_inputs(options(range="1:"), [tmp_path / "run.h5"])
    np.testing.assert_array_equal(found.x, forces.reshape(6, 12)[1:])
    assert found.what == "trajectory/forces, 4 x 3 each"
