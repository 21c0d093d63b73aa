"""The trial that chooses how coarse operators are made."""

from __future__ import annotations

import numpy as np

from sci.problems.media import balls, comb
from sci.problems.poisson import sphere_and_blob
from sci.solvers import Multigrid, PoissonOperator
from sci.solvers.multigrid.trial import is_served, probe

BOX = np.ones((24, 24, 24), dtype=bool)


def test_averages_stay_where_they_serve_and_give_way_where_they_do_not():
    easy = [
        PoissonOperator(sphere_and_blob(24), neumann_body=True),
        PoissonOperator(BOX, coefficient=1 + np.random.default_rng(1).random(BOX.shape)),
        PoissonOperator(BOX, reaction=10.0),
    ]
    hard = [
        PoissonOperator(BOX, coefficient=balls(24, 1, 1e3)),
        PoissonOperator(BOX, (1.0, 1.0, 4.0), "neumann"),
        PoissonOperator(comb(24), boundary="neumann", neumann_body=True),
    ]
    for A in easy:
        assert Multigrid(A).coarse == "averaged"
    for A in hard:
        assert Multigrid(A).coarse == "network"
        assert not is_served(Multigrid(A, coarse="averaged"))
        assert is_served(Multigrid(A, coarse="network"))


def test_dirichlet_bodies_need_no_trial_and_odd_periods_take_the_network():
    assert Multigrid(PoissonOperator(sphere_and_blob(16))).coarse == "averaged"
    assert Multigrid(PoissonOperator(np.ones((17, 17, 17), bool), boundary="periodic")).coarse == "network"


def test_the_probe_is_in_the_range_of_the_operator():
    A = PoissonOperator(comb(12), boundary="neumann", neumann_body=True)
    assert A.inconsistency(probe(A)) < 1e-12
