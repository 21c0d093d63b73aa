"""The trial that chooses how coarse operators are made."""

from __future__ import annotations

import numpy as np

from sci.problems.media import balls, comb
from sci.problems.poisson import sphere_and_blob
from sci.solvers import Multigrid, PoissonOperator, cg
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


def test_a_grid_of_one_level_keeps_its_weak_links():
    rng = np.random.default_rng(3)
    for _ in range(20):
        c = np.where(rng.random((2, 2, 2)) < 0.4, 1e6, 1.0)
        walls = ["periodic", "dirichlet", "dirichlet"]
        A = PoissonOperator(rng.random((2, 2, 2)) < 0.7, (1.0, 1.0, 10.0), walls, coefficient=c)
        result = cg(A, np.ones(A.size), M=Multigrid(A), rtol=1e-8)
        assert result.iterations <= 4
        assert result.residual_norms[-1] <= max(1e-8 * A.size**0.5, result.rounding)


def test_the_trial_is_in_units_of_the_operator():
    c = np.where(np.random.default_rng(4).random((12, 12)) < 0.5, 1e305, 1e303)
    assert Multigrid(PoissonOperator(np.ones((12, 12), bool), 0.1, coefficient=c)).coarse == "network"


def test_the_probe_is_in_the_range_of_the_operator():
    A = PoissonOperator(comb(12), boundary="neumann", neumann_body=True)
    assert A.inconsistency(probe(A)) < 1e-12
