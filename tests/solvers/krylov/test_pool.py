"""Workspaces are kept, lent to one call at a time, and left out of pickles."""

from __future__ import annotations

import pickle

from sci.solvers.krylov.pool import Lending


class _Lists(Lending[list]):
    def __init__(self):
        super().__init__()
        self.made = 0

    def new_cycle(self):
        self.made += 1
        return []


def test_a_workspace_is_lent_to_one_call_at_a_time():
    owner = _Lists()
    with owner.workspace() as first:
        with owner.workspace() as second:
            assert first is not second
        with owner.workspace() as third:
            assert third is second
    assert owner.made == 2
    copy = pickle.loads(pickle.dumps(owner))
    with copy.workspace():
        assert copy.made == 3
