"""Boxes of ranks: every atom has one home, and every box all that its atoms feel."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import CELL
from thread_ranks import on_ranks

from sci.atomistic import neighbor_pairs
from sci.atomistic.ranks.boxes import Boxes, local_atoms, send_back

PLACES = np.random.default_rng(1).uniform(-1, 2, size=(30, 3)) @ CELL
AXES = np.array([True, True, False])


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_boxes_hold_their_atoms_and_those_around(ranks):
    def body(comm):
        own = PLACES[comm.rank :: ranks]
        boxes = Boxes.of(own, CELL, AXES, comm)
        return boxes, local_atoms(np.zeros(len(own), int), own, boxes, 2.0, 2, comm)

    found = on_ranks(ranks, body)
    assert sum(local.own for _, local in found) == len(PLACES)
    first, _, _ = neighbor_pairs(PLACES, 2.0, cell=CELL, periodic=AXES)
    pairs = sum(int(local.near.present[local.near.owner >= 0].sum()) for _, local in found)
    assert pairs == len(first)
    for boxes, local in found:
        counts = local.near.counts
        assert len(counts) == 2
        assert counts[1] == local.own <= counts[0] <= len(local.near.species)
        assert int(local.near.index.max()) < len(local.near.species)
        assert int(local.near.index[: counts[1]].max(initial=0)) < counts[0]  # the second layer needs features of these
        assert np.prod(boxes.shape) == ranks


def test_forces_go_back_to_those_who_gave_the_atoms():
    """A force of 1 on every copy makes one and the number of copies on every atom, in the order given."""

    def body(comm):
        own = PLACES[comm.rank :: 3]
        boxes = Boxes.of(own, CELL, AXES, comm)
        local = local_atoms(np.arange(comm.rank, 30, 3), own, boxes, 2.0, 1, comm)
        marks = np.column_stack([np.ones(len(local.near.species)), local.near.species, local.near.species])
        return send_back(local, marks.astype(float), comm)

    for rank, forces in enumerate(on_ranks(3, body)):
        np.testing.assert_allclose(forces[:, 1], forces[:, 0] * np.arange(rank, 30, 3))
        assert (forces[:, 0] >= 1).all()


def test_distances_from_a_box_are_those_between_planes():
    boxes = Boxes(CELL, np.ones(3, bool), np.zeros(3), np.ones(3), (2, 1, 1))
    heights = 1 / np.linalg.norm(np.linalg.inv(CELL), axis=0)
    far = boxes.outside(np.array([[0.75, 0.5, 0.5], [0.2, 0.5, 1.5], [0.3, 0.3, 0.3]]), 0)
    np.testing.assert_allclose(far, [0.25 * heights[0], 0.5 * heights[2], 0.0])
    assert boxes.home(np.array([[5.0, 0, 0]]))[1] == 0
    assert repr(boxes) == "Boxes(2 x 1 x 1)"
