"""Estimates of bytes and errors are near to what coding and quantizing give."""

from __future__ import annotations

import numpy as np
from smooth_fields import smooth_field

from sci.compression.fields.codecs.transform import TransformEncoder
from sci.compression.fields.estimate import Estimate, entropy_of_rest

ENCODER = TransformEncoder(smooth_field((24, 32, 32), 2.0), ())


def test_bytes_and_errors_are_near_to_those_of_the_coder():
    estimate = Estimate(ENCODER.coefficients, 0.02, ENCODER.field.size)
    for step in (0.05, 0.2, 0.8):
        found = ENCODER.at(step)
        np.testing.assert_allclose(estimate.coded(step), len(found.payload), rtol=0.2)
        missed = np.sqrt(np.square(found.approximation - ENCODER.field).mean())
        np.testing.assert_allclose(estimate.missed(step), missed, rtol=0.15)


def test_entropies_are_those_of_samples():
    values = np.random.default_rng(1).standard_t(9.0, 400_000) * np.sqrt(7 / 9)
    for width in (0.2, 0.5, 2.0):
        parts = np.unique(np.rint(width * values), return_counts=True)[1] / len(values)
        np.testing.assert_allclose(entropy_of_rest(width), -(parts * np.log2(parts)).sum(), rtol=0.02)
    assert entropy_of_rest(0.0) == 0.0


def test_the_cheapest_step_weighs_coefficients_against_rest():
    estimate, steps = Estimate(ENCODER.coefficients, 0.02, ENCODER.field.size), np.geomspace(0.05, 2.0, 16)
    chosen = estimate.cheapest(0.05, steps)
    totals = [estimate.coded(s) + 0.8 * estimate.rest(s, 0.05) for s in steps]
    assert chosen == steps[int(np.argmin(totals))]
    assert estimate.cheapest(0.05, steps, (1.0, 0.01)) > chosen
