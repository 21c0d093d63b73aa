"""Errors are measured at every point, and a bound keeps back what other machines need."""

from __future__ import annotations

import numpy as np
from smooth_fields import smooth_field

from sci.compression import compress
from sci.compression.fields import bounds, decode, rest
from sci.compression.fields.bounds import Bound, Measured, l2_norm, measure


def test_one_point_among_many_is_seen(monkeypatch):
    monkeypatch.setattr(bounds, "_BLOCK", 7)
    monkeypatch.setattr(rest, "_BLOCK", 7)
    field = np.random.default_rng(1).normal(size=(9, 11)).astype(np.float32)
    found = field.copy()
    found[8, 10] += 2.0
    np.testing.assert_allclose(measure(field, found).maximum, 2.0, rtol=1e-6)
    np.testing.assert_allclose(measure(field, found).l2, 2.0, rtol=1e-6)
    np.testing.assert_allclose(l2_norm(field), np.linalg.norm(field.astype(float)), rtol=1e-12)
    found[0, 0] = np.nan
    assert measure(field, found) == Measured(np.inf, np.inf)


def test_tight_bounds_are_worked_for_in_float64():
    for kind in ("l2", "maximum"):
        loose, tight = (Bound(kind, limit, 1.0, np.dtype(np.float32)) for limit in (1e-2, 1e-6))
        assert not loose.accurate
        assert tight.accurate
        assert 0.999 * loose.limit < loose.goal < loose.limit
    assert Bound("maximum", 1e-8, 1.0, np.dtype(np.float32)).goal < 0
    assert not loose.holds(Measured(0.0, loose.limit))
    assert loose.holds(Measured(9.0, loose.goal))


def test_a_decoder_of_other_rounding_stays_within_the_reserve(monkeypatch):
    """One that works in the other precision stands for another machine; half of the reserve is left for the encoder."""
    for power in (1.5, 3.0):
        field = smooth_field((24, 28, 20), power)
        small = compress(field, 2e-3, bound="maximum", methods=["tucker", "transform", "wavelet"])
        here = small.decompress()
        monkeypatch.setattr(decode.Header, "work_dtype", np.dtype(np.float64))
        there = small.decompress()
        monkeypatch.undo()
        assert 0 < np.abs(here - there).max() < 2.0**-19 * np.abs(field).max()
        missed = np.linalg.norm(here.astype(float) - there)
        assert 0 < missed < 2.0**-20 * np.linalg.norm(field.astype(float))
        assert np.abs(there.astype(float) - field).max() <= 2e-3 * np.ptp(field)
