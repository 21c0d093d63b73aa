"""Convolutions by least squares: they are the ones that made the fields, lower the error, and do not see the ranks."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.compression import MultiScaleVQ, train_smoothing, train_vector_quantizer
from sci.errors import InvalidValueError, ShapeError

FIELDS = np.random.default_rng(3).normal(size=(30, 1, 16, 16)).cumsum(axis=2).cumsum(axis=3)
SCALES = [(4, 4), (8, 8)]
BOOK = train_vector_quantizer(FIELDS, SCALES, 24, patch=(2, 2), rounds=3)[0]


def test_the_convolutions_that_made_the_fields_are_found(monkeypatch):
    """Codes far apart stay the same, so that the fit of one round is exact."""
    monkeypatch.setattr("sci.compression.vector.smoothing._RIDGE", 1e-9)
    rng = np.random.default_rng(1)
    codebook = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [-9.0, -9.0]])
    true = (0.05 * rng.normal(size=(1, 2, 2, 3)), 0.1 * rng.normal(size=(1, 2)))
    true[0][0, :, :, 1] += np.eye(2)
    plain = MultiScaleVQ(codebook, [(12,)])
    fields = MultiScaleVQ(codebook, [(12,)], smoothing=true).decode((rng.integers(0, 4, (40, 12)),))
    found, losses = train_smoothing(plain, fields)
    np.testing.assert_allclose(found.smoothing[0], true[0], atol=1e-4)
    np.testing.assert_allclose(found.smoothing[1], true[1], atol=1e-3)
    assert losses[-1] < 1e-8 < losses[0]


@pytest.mark.parametrize("convolutions", [1, 2])
def test_the_error_falls_on_fields_that_were_not_seen(convolutions):
    new = np.random.default_rng(4).normal(size=(30, 1, 16, 16)).cumsum(axis=2).cumsum(axis=3)
    found, losses = train_smoothing(BOOK, FIELDS, convolutions=convolutions)
    assert (np.diff(losses) < 0).all()
    assert len(found.smoothing[0]) == convolutions
    np.testing.assert_allclose(losses[-1] ** 0.5, found.relative_errors(FIELDS, found.encode(FIELDS))[-1], rtol=1e-6)
    before, after = (q.relative_errors(new, q.encode(new))[-1] for q in (BOOK, found))
    assert after < 0.95 * before


def test_ranks_find_what_one_process_finds():
    whole, losses = train_smoothing(BOOK, FIELDS, convolutions=2)

    def one(comm):
        parts = np.split(FIELDS, [20, 20])
        return train_smoothing(BOOK, parts[comm.rank], convolutions=2, comm=comm)

    for found, own in on_ranks(3, one):
        assert found.fingerprint == whole.fingerprint
        np.testing.assert_array_equal(own, losses)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(InvalidValueError, match="convolutions is 3; expected 1 to 2"):
        train_smoothing(BOOK, FIELDS, convolutions=3)
    with pytest.raises(InvalidValueError, match="rounds is 0"):
        train_smoothing(BOOK, FIELDS, rounds=0)
    with pytest.raises(InvalidValueError, match="not zero"):
        train_smoothing(BOOK, 0 * FIELDS)
    large = MultiScaleVQ(np.eye(1000, 1024), [(1, 1)], patch=(32, 32))
    with pytest.raises(ShapeError, match="smaller patches"):
        train_smoothing(large, np.zeros((1, 1, 32, 32)))
