"""The state of linear attention across ranks as threads: sums, both folds, the ring."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import traffic
from sci.sequence.linear_attention.ranks import gathered_states, local_sum, recv_state, send_state

DECAY = np.array([0.1, 1.5])
LENGTHS = np.array([800, 0, 5])
RNG = np.random.default_rng(0)
K, V = RNG.normal(size=(4, LENGTHS.sum(), 3)), RNG.normal(size=(4, LENGTHS.sum(), 2))
START = RNG.normal(size=(4, 3, 2))
LAM = np.exp(-np.tile(DECAY, 2))[:, None, None]


def folded(state: np.ndarray, tokens: range, reverse: bool = False) -> np.ndarray:
    """Run over the tokens one by one: S <- lam S + k v^T, or, from the end, R <- lam (R + k v^T)."""
    for t in tokens:
        added = K[:, t, :, None] * V[:, t, None, :]
        state = LAM * (state + added) if reverse else LAM * state + added
    return state


def part(rank: int) -> range:
    ends = np.cumsum(LENGTHS).tolist()
    return range(ends[rank] - LENGTHS[rank], ends[rank])


@pytest.mark.parametrize("rank", range(3))
@pytest.mark.parametrize("reverse", [False, True])
def test_a_local_sum_is_the_recurrence_from_zero(rank: int, reverse: bool) -> None:
    own = part(rank)
    found = local_sum(K[:, own], V[:, own], DECAY, reverse_weights=reverse)
    expected = folded(np.zeros_like(START), reversed(own) if reverse else own, reverse)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True])
def test_gathered_states_enter_and_leave_as_in_one_run(reverse: bool) -> None:
    n = range(LENGTHS.sum())
    order = list(reversed(n)) if reverse else list(n)

    def body(comm: ThreadComm) -> tuple[np.ndarray, np.ndarray, int]:
        own = part(comm.rank)
        local = local_sum(K[:, own], V[:, own], DECAY, reverse_weights=reverse)
        entering, end = gathered_states(local, DECAY, LENGTHS, START, comm, reverse=reverse)
        return entering, end, traffic(comm)["lightning"].bytes

    for rank, (entering, end, sent) in enumerate(on_ranks(3, body)):
        own = part(rank)
        before = [t for t in order if (t >= own.stop if reverse else t < own.start)]
        np.testing.assert_allclose(entering, folded(START, before, reverse), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(end, folded(START, order, reverse), rtol=1e-10, atol=1e-13)
        assert sent == 2 * START.nbytes


@pytest.mark.parametrize("reverse", [False, True])
def test_a_ring_passes_each_state_to_the_next(reverse: bool) -> None:
    def body(comm: ThreadComm) -> float:
        state = recv_state(START, START, comm, reverse=reverse)
        send_state(state + 1.0, comm, reverse=reverse)
        return float((state - START).mean())

    found = on_ranks(3, body)
    np.testing.assert_allclose(found, [2, 1, 0] if reverse else [0, 1, 2], atol=1e-12)
