"""Maps of states through runs of tokens, folded as ranks fold them."""

from __future__ import annotations

import numpy as np
import pytest

from sci.sequence.gated.kernel import run_forward
from sci.sequence.gated.ranks import fold_states, local_map


@pytest.mark.parametrize("delta", [False, True])
def test_the_map_of_a_run_takes_any_state_through_it(delta):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 9, 4)) / 2 for _ in range(3))
    gate, beta = rng.uniform(size=(2, 9, 4)), rng.uniform(size=(2, 9)) if delta else None
    state = rng.normal(size=(2, 4, 4))
    maps = local_map(q, k, v, gate, beta)[None]
    assert maps.shape == (1, 2, 4, 8 if delta else 5)
    entering, end = fold_states(maps, 4, state, delta, None)
    assert entering is state
    assert np.abs(end - run_forward(q, k, v, gate, beta, state)[2][:, -1]).max() < 1e-13
