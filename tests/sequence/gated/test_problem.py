"""Labels of documents, checked before the recurrence starts."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, ShapeError
from sci.sequence.gated.problem import agreed_gated_problem, check_gated


def problem(segments):
    q = np.ones((2, 4, 3))
    return agreed_gated_problem(q, q, q, q, None, None, segments, "gather", None, True)


def test_gates_are_zero_where_a_document_starts_and_not_at_the_first_token():
    gate = problem(np.array([3, 3, 1, 2])).gate
    assert (gate[:, [2, 3]] == 0).all()
    assert np.allclose(gate[:, :2], np.exp(-1))


def test_labels_of_a_wrong_shape_or_dtype_are_refused():
    with pytest.raises(ShapeError, match="segments have shape"):
        problem(np.zeros(5, int))
    with pytest.raises(ShapeError, match="segments have shape"):
        problem(np.zeros((2, 4), int))
    with pytest.raises(DTypeError, match="segments have dtype"):
        problem(np.zeros(4))


def test_infinite_decays_are_taken():
    q = np.ones((1, 2, 3))
    check_gated(q, q, q, q * np.inf, None, None)
