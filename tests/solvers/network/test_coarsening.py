"""One coarsening: the sums of resistors known in closed form, and the laws that hold for any network."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS
from scipy import sparse

from sci.problems.media import labyrinth
from sci.solvers import PoissonOperator
from sci.solvers.network.coarsening import active_axes, coarsen
from sci.solvers.network.graph import network_of
from sci.solvers.network.hierarchy import matrix_of
from sci.solvers.network.numbers import PLAIN, SHAPES, NetworkNumbers, numbers_of


def _interpolation(step, n):
    return sparse.csr_matrix((step.value, step.index, step.start), shape=(n, step.network.size))


def test_an_even_box_gives_the_finite_volumes_of_cells_twice_as_wide():
    net = network_of(PoissonOperator(np.ones((8, 8, 8), bool)))
    for factor in (4 / 3, 8 / 5):
        step = coarsen(net)
        net = step.network
        unit = net.link[0]
        assert net.size == {4 / 3: 64, 8 / 5: 8}[factor]
        np.testing.assert_allclose(net.link, unit, rtol=1e-14)
        np.testing.assert_allclose(net.fixed[net.fixed > 0], factor * unit, rtol=1e-14)


def test_links_in_series_and_layers():
    """Across two layers of 1 and 100 the coarse link is that of the resistors between the middles of both."""
    c = np.where(np.arange(8) < 4, 1.0, 100.0)[:, None] * np.ones((8, 8))
    A = PoissonOperator(np.ones((8, 8), bool), boundary="neumann", coefficient=c)
    net = coarsen(network_of(A)).network
    low = net.place[1] == 1
    rows = np.repeat(np.arange(net.size), np.diff(net.start))
    across = low[rows] & (net.place[1][net.index] == 2)
    series = 2 / (0.5 / 1 + (1 + 1 / 100) / 2 + 0.5 / 100)
    np.testing.assert_allclose(net.link[across] * A.unit, series, rtol=1e-13)


def test_stretched_cells_are_coarsened_along_their_short_axes_alone():
    net = network_of(PoissonOperator(np.ones((8, 8, 8), bool), (1.0, 4.0, 16.0), "neumann"))
    found = []
    while net.size > 8:
        step = coarsen(net)
        found.append(step.axes)
        net = step.network
    assert found[0] == (True, False, False)
    assert found[-1][1]


def test_axes_without_links_are_not_coarsened():
    assert active_axes(np.array([[0, 10, 10], [0, 10, 4]])) == (False, True, False)
    assert active_axes(np.zeros((2, 3), int)) == (False, False, False)


def _learned(seed):
    rng = np.random.default_rng(seed)
    return numbers_of({name: 2 * rng.normal(size=shape) for name, shape in SHAPES.items()})


def test_learned_resistances_change_nothing_in_uniform_matter():
    net = network_of(PoissonOperator(np.ones((8, 8, 8), bool), boundary="periodic"))
    expected, found = (coarsen(net, False, numbers).network for numbers in (PLAIN, _learned(1)))
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.link, expected.link)


def test_a_cell_beside_the_middle_of_its_group_has_a_resistance():
    """Three cells of a square: one without a partner along an axis has a link along the other axis alone."""
    mask = np.array([[1, 1, 1, 1], [1, 0, 1, 1]], bool)
    net = network_of(PoissonOperator(mask, boundary="neumann", neumann_body=True))
    resistances = np.zeros(11)
    resistances[0] = 1.0
    plain, learned = (coarsen(net, False, n).network for n in (PLAIN, NetworkNumbers(resistances=resistances)))
    np.testing.assert_allclose(plain.link, 1 / (1 + 0.5 + 0.5))
    np.testing.assert_array_equal(learned.link, plain.link)  # the passage is between cells that have a partner
    turned = network_of(PoissonOperator(mask[:, [1, 0, 2, 3]], boundary="neumann", neumann_body=True))
    plain, learned = (coarsen(turned, False, n).network for n in (PLAIN, NetworkNumbers(resistances=resistances)))
    np.testing.assert_allclose(plain.link, 1 / (1 + 0.5 + 0.5) + 1 / (1 + 0 + 0.5))
    # Half of the bound 2, over a link of 1.
    np.testing.assert_allclose(learned.link, 1 / (1 + 0.5 + 0.5) + 1 / (1 + 1 + 0.5))


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("A", OPERATORS[::2])
def test_constants_stay_constant_and_the_coarse_network_is_symmetric(A, seed):
    net = network_of(A)
    step = coarsen(net, False, PLAIN if seed is None else _learned(seed))
    coarse = matrix_of(step.network)
    assert abs(coarse - coarse.T).max() == 0
    assert step.network.link.min(initial=1.0) > 0
    if A.singular and not net.fixed.any():
        P, ones = _interpolation(step, net.size), np.ones(step.network.size)
        served = step.group >= 0
        np.testing.assert_allclose((P @ ones)[served], 1, rtol=1e-14)
        assert abs(coarse @ ones).max() <= 1e-12 * max(1.0, abs(coarse).max())


def test_the_scale_of_the_coefficient_changes_nothing():
    rng = np.random.default_rng(2)
    c, mask = np.exp(4 * rng.normal(size=(9, 10))), rng.random((9, 10)) > 0.2
    steps = [coarsen(network_of(PoissonOperator(mask, coefficient=s * c))) for s in (1.0, 1e300, 2.0**-900)]
    for other in steps[1:]:
        np.testing.assert_array_equal(other.group, steps[0].group)
        np.testing.assert_allclose(other.value, steps[0].value, rtol=1e-12)
        np.testing.assert_allclose(other.network.link, steps[0].network.link, rtol=1e-12)


def test_a_wall_between_two_passages_splits_a_cell():
    mask = np.ones((9, 16), bool)
    mask[3:6:2] = False
    mask[0:3], mask[6:] = False, False
    mask[4] = True
    A = PoissonOperator(mask, boundary="neumann", neumann_body=True)
    assert coarsen(network_of(A)).network.size == 8
    lab = PoissonOperator(labyrinth(4), boundary="neumann", neumann_body=True)
    assert coarsen(network_of(lab), anywhere=True).network.size < lab.size


def test_cells_that_their_other_terms_hold_get_no_coarse_unknown():
    A = PoissonOperator(np.ones((6, 6), bool), reaction=100.0)
    step = coarsen(network_of(A))
    assert step.network.size == 0
    assert step.value.size == 0
