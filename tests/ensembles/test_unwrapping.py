"""Molecules cut by a periodic cell: whole again, on any number of ranks, and refused where nobody knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_ranks import on_ranks

from sci.ensembles import unwrap
from sci.errors import SciError

RNG = np.random.default_rng(7)
CELL = np.array([[12.0, 0, 0], [2.0, 11, 0], [-1.0, 3.0, 13]])


def chain(frames: int, atoms: int = 9) -> np.ndarray:
    """Return walks of steps of length 1.5, longer than half of the cell, as a polymer is."""
    steps = RNG.normal(size=(frames, atoms, 3))
    return np.cumsum(1.5 * steps / np.linalg.norm(steps, axis=2, keepdims=True), axis=1)


def wrapped(whole: np.ndarray, cells: np.ndarray) -> np.ndarray:
    fractions = np.einsum("fai,fij->faj", whole, np.linalg.inv(cells))
    return np.einsum("fai,fij->faj", fractions - np.floor(fractions), cells)


def shape_of(frames: np.ndarray) -> np.ndarray:
    return frames - frames[:, :1]


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 5), atoms=st.integers(1, 12), size=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_chain_is_whole_again_on_any_number_of_ranks(frames, atoms, size, seed):
    """The frames are one shape and small motions about it, so that its bonds are the connections of all."""
    rng = np.random.default_rng(seed)
    whole = chain(1, atoms) + 0.1 * rng.normal(size=(frames, atoms, 3)) + 20 * rng.normal(size=(frames, 1, 3))
    cells = CELL * (1 + 0.01 * rng.random((frames, 1, 1)))
    cut = wrapped(whole, cells)
    edges = np.sort(rng.integers(0, frames + 1, size - 1))
    bounds = [0, *edges, frames]

    def body(comm):
        mine = slice(bounds[comm.rank], bounds[comm.rank + 1])
        return unwrap(cut[mine], cells[mine], comm=comm)

    found = np.concatenate(on_ranks(size, body))
    np.testing.assert_array_equal(found[:, 0], cut[:, 0])
    np.testing.assert_allclose(shape_of(found), shape_of(whole), atol=1e-9)
    np.testing.assert_array_equal(found, unwrap(cut, cells))


@pytest.mark.parametrize(
    ("frames", "cells", "says"),
    [
        ([[[0, 0, 0], [4, 4, 4]]], [10 * np.eye(3)], r"atom 1 is 6\.93 from the nearest atom of the others"),
        (
            [[[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [4.5, 0, 0]]],
            [10 * np.eye(3)] * 2,
            r"frame 1: atoms 0 and 1, which were beside each other in the first frame, are 4\.5 apart",
        ),
        ([[[0, 0, 0]]], [np.zeros((3, 3))], "a cell without volume"),
        ([[[0, 0, np.nan]]], [np.eye(3)], "NaN or infinite"),
        (np.zeros((2, 1, 3)), [np.eye(3)], r"cells has shape \(1, 3, 3\)"),
        (np.zeros((1, 0, 3)), [np.eye(3)], "at least one atom"),
    ],
)
def test_what_nobody_knows_is_refused(frames, cells, says):
    with pytest.raises(SciError, match=says):
        unwrap(np.asarray(frames, float), np.asarray(cells))


def test_the_refused_frame_is_that_of_all_ranks():
    far = np.array([[[0.0, 0, 0], [1, 0, 0]]] * 3 + [[[0, 0, 0], [4.5, 0, 0]]])

    def body(comm):
        mine = slice(2 * comm.rank, 2 * comm.rank + 2)
        with pytest.raises(SciError, match="frame 3: atoms 0 and 1"):
            unwrap(far[mine], np.array([10 * np.eye(3)] * 2), comm=comm)

    on_ranks(2, body)


def test_no_frames_on_any_rank_are_no_frames():
    assert unwrap(np.zeros((0, 2, 3)), np.zeros((0, 3, 3))).shape == (0, 2, 3)
