"""States that the compiled recurrence keeps."""

from __future__ import annotations

import numpy as np

from sci.sequence.gated.kernel import run_forward


def test_states_between_segments_are_those_of_shorter_runs():
    rng = np.random.default_rng(0)
    q, k, v, gate = (rng.uniform(size=(2, 150, 4)).astype("f4") for _ in range(4))
    *_, states = run_forward(q, k, v, gate, None, np.zeros((2, 4, 4), "f4"))
    assert states.shape == (2, 4, 4, 4)
    for s, stop in enumerate((64, 128, 150), start=1):
        part = [a[:, :stop].copy() for a in (q, k, v, gate)]
        assert np.array_equal(run_forward(*part, None, states[:, 0])[2][:, -1], states[:, s])
