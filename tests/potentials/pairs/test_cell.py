"""Frames of the sums over pairs: short periods, turned and wrapped charges, and narrowed gaps."""

from __future__ import annotations

import numpy as np

from sci.potentials.pairs.cell import FAR_GAP, Frame, bounds

SKEWED = np.array([[3.0, 0.0, 0.0], [40.3, 2.5, 0.0], [-17.1, 9.9, 4.0]])


def test_a_frame_is_a_turned_lattice_with_all_charges_in_its_cell():
    rng = np.random.default_rng(1)
    positions = 50 * rng.normal(size=(30, 3))
    frame = Frame.of(positions, 2.0, SKEWED)
    np.testing.assert_allclose(frame.turn @ frame.turn.T, np.eye(3), atol=1e-14)
    assert (np.diag(frame.periods) > 0).all()
    assert not np.tril(frame.periods, -1).any()
    fractions = frame.positions @ np.linalg.inv(frame.periods)
    assert ((fractions > -1e-12) & (fractions < 1 + 1e-12)).all()
    moved = (2.0 * frame.positions @ frame.turn - positions) @ np.linalg.inv(SKEWED)
    np.testing.assert_allclose(moved, np.round(moved), atol=1e-9)


def test_charges_on_faces_stay_in_the_cell():
    positions = np.array([[3.0, 0.0, 0.0], [-1e-18, 0.0, 0.0], [0.0, 3.0, 3.0]])
    frame = Frame.of(positions, 1.0, 3.0 * np.eye(3))
    np.testing.assert_allclose(frame.positions % 3.0, 0.0, atol=1e-12)
    assert (frame.positions < 3.0).all()


def test_closed_gaps_keep_every_pair_within_the_cutoff():
    rng = np.random.default_rng(2)
    clusters = [rng.random((20, 3)) + shift for shift in ([0.0, 0.0, 0.0], [1e6, -3e4, 0.0], [1e6, 2e9, 7.0])]
    frame = Frame.of(np.concatenate(clusters), 0.7, None)
    closed = frame.closed()
    assert (bounds(closed.positions)[1] - bounds(closed.positions)[0] < 3 * (1 / 0.7 + FAR_GAP) + 2).all()

    def near(x):
        d = np.linalg.norm(x[:, None] - x, axis=2)
        return np.where(d < 1.0, d, 0.0)

    np.testing.assert_allclose(near(closed.positions), near(frame.positions), atol=1e-6)
    assert np.count_nonzero(near(closed.positions)) == np.count_nonzero(near(frame.positions)) > 0
