"""The array form: chunks of matrix products, with gates of exactly 0."""

from __future__ import annotations

import numpy as np

from sci.sequence.gated.reference import forward_reference


def test_a_gate_of_zero_starts_anew_bit_for_bit():
    """At the start of a chunk as if nothing came before; within a chunk as if anything else had."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 100, 3)) for _ in range(3))
    gate, state = rng.uniform(size=(1, 100, 3)), rng.normal(size=(1, 3, 3))
    gate[:, [16, 64]] = 0
    out, _, states = forward_reference(q, k, v, gate, None, state)
    alone, _, ends = forward_reference(q[:, 64:], k[:, 64:], v[:, 64:], gate[:, 64:], None, 0 * state)
    assert np.array_equal(out[:, 64:], alone)
    assert np.array_equal(states[:, -1], ends[:, -1])
    k[:, :16], v[:, :16], gate[:, :16] = 1e9, -7.0, 0.5
    other, _, states_of_other = forward_reference(q, k, v, gate, None, 2 * state)
    assert np.array_equal(out[:, 16:], other[:, 16:])
    assert np.array_equal(states[:, 1:], states_of_other[:, 1:])
