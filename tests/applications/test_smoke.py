"""The smoke plume: no divergence, nothing through walls, symmetry, bounds, and frames in a file."""

from __future__ import annotations

import numpy as np
import pytest

from sci.applications.smoke import SmokePlume, _interpolated, ball
from sci.errors import FileFormatError, InvalidValueError, ShapeError
from sci.io import SmokeRun, load, save, save_smoke
from sci.solvers import IncompleteCholesky

SHAPES = {2: (24, 36), 3: (12, 12, 20)}


def _plume(ndim: int, **settings) -> SmokePlume:
    shape = SHAPES[ndim]
    middle = (0.5,) * (ndim - 1)
    return SmokePlume(shape, ball(shape, (*middle, 0.8), 0.15), ball(shape, (*middle, 0.15), 0.15), **settings)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_flow_has_no_divergence_and_respects_walls(ndim):
    plume = _plume(ndim, rtol=1e-8)
    for frame in plume.run(1.0, 12):
        assert frame.result.converged
        scale = abs(frame.source).max()
        assert abs(plume.divergence()).max() <= 1e-6 * scale + 1e-12
        for velocity, face in zip(frame.velocity, plume.open_faces):
            assert not velocity[~face].any()
        assert frame.density.min() >= 0
        assert frame.density.max() <= 1 + 1e-12
        assert not frame.density[~plume.fluid].any()
    assert frame.time == pytest.approx(12.0)
    heights = np.nonzero(frame.density.reshape(-1, SHAPES[ndim][-1]).max(axis=0) > 0.05)[0]
    assert heights.max() > SHAPES[ndim][-1] * 0.4  # it rises
    assert frame.velocity[-1].max() > 0


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_symmetric_plume_stays_symmetric(ndim):
    plume = _plume(ndim, rtol=1e-11)
    *_, frame = plume.run(0.5, 8)
    np.testing.assert_allclose(frame.density, frame.density[::-1], atol=1e-7)
    np.testing.assert_allclose(frame.velocity[0], -frame.velocity[0][::-1], atol=1e-7)
    if ndim == 3:
        np.testing.assert_allclose(frame.density, frame.density.swapaxes(0, 1), atol=1e-7)


def test_preconditioners_give_one_flow():
    frames = [
        list(_plume(2, rtol=1e-10, preconditioner=p).run(0.5, 5))[-1] for p in (lambda A: None, IncompleteCholesky)
    ]
    np.testing.assert_allclose(frames[0].density, frames[1].density, atol=1e-7)


def test_without_smoke_nothing_moves():
    shape = (8, 10)
    plume = SmokePlume(shape, np.zeros(shape, bool), np.zeros(shape, bool))
    *_, frame = plume.run(1.0, 3)
    assert not any(v.any() for v in frame.velocity)
    assert frame.result.iterations == 0


def test_interpolation_is_exact_for_linear_functions():
    x, y = np.meshgrid(np.arange(7.0), np.arange(5.0), indexing="ij")
    places = [6 * np.random.default_rng(0).random(40), 4 * np.random.default_rng(1).random(40)]
    np.testing.assert_allclose(_interpolated(2 * x - y, places), 2 * places[0] - places[1], atol=1e-13)


def test_frames_in_a_file(tmp_path):
    plume = _plume(2)
    kept = []

    def frames():
        for frame in plume.run(0.5, 3):
            kept.append(frame)
            yield frame

    assert save_smoke(tmp_path / "plume.h5", frames()) == 3
    for frame, stored in zip(kept, load(tmp_path / "plume.h5"), strict=True):
        assert stored.time == frame.time
        assert stored.result.iterations == frame.result.iterations
        np.testing.assert_array_equal(stored.density, frame.density.astype(np.float32))
        assert len(stored.velocity) == 2
    save(tmp_path / "whole.h5", SmokeRun(kept))
    run = load(tmp_path / "whole.h5")
    assert (len(run), len(run[1:])) == (3, 2)
    np.testing.assert_array_equal(run[-1].source, kept[-1].source)
    assert run[-1].density.dtype == np.float64
    with pytest.raises(IndexError):
        run[3]

    def failing():
        yield kept[0]
        raise InvalidValueError("stopped")

    with pytest.raises(InvalidValueError, match="stopped"):
        save_smoke(tmp_path / "other.h5", failing())
    assert not (tmp_path / "other.h5").exists()
    with pytest.raises(FileFormatError):
        load(tmp_path / "none.h5")


def test_bad_arguments():
    with pytest.raises(ShapeError, match="obstacle"):
        SmokePlume((8, 8), np.zeros((8, 9), bool), np.zeros((8, 8), bool))
    with pytest.raises(ShapeError, match="inlet"):
        SmokePlume((8, 8), np.zeros((8, 8), bool), np.zeros((8, 8)))
    with pytest.raises(InvalidValueError, match="dt"):
        _plume(2).step(0.0)
