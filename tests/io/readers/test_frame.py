"""Frames without charges."""

from __future__ import annotations

import numpy as np

from sci.io import Frame


def test_a_frame_tells_its_atoms_and_whether_it_is_periodic():
    assert repr(Frame(np.zeros((2, 3)), ("C", "O"))) == "Frame(2 atoms)"
    assert repr(Frame(np.zeros((1, 3)), ("C",), np.eye(3))) == "Frame(1 atoms, periodic)"
