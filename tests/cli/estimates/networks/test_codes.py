"""Needs of a compression: more samples take longer, and memory covers the trial."""

from __future__ import annotations

import coded_models
import numpy as np

from sci.cli.estimates.networks.codes import compression_needs

RNG = np.random.default_rng(21)


def test_needs_grow_with_samples() -> None:
    model, x = coded_models.operator("fno"), coded_models.fields("fno", RNG, 8)
    needs = compression_needs(model, 3, x, 4)
    assert needs.memory > x[:2].nbytes
    assert set(needs.seconds) == {"sums", "learning"}
    assert all(value >= 0 for value in needs.seconds.values())
    assert needs.seconds["learning"] > 0
    assert compression_needs(None, 1, np.zeros(0), 1, n_bytes=1000).memory == 3000
