"""The remainder of a density that has none of its own."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.solvers import DoubleWell, EnergyDensity, IonGas, MinimalSurface, PLaplacian
from sci.solvers.variational.densities import checked_pair, has_hessian, is_local, is_split, remainder

RNG = np.random.default_rng(2)
OWN = [PLaplacian(1.3), PLaplacian(7.0), MinimalSurface(), DoubleWell(3.0), IonGas(np.full(200, 2.0))]


class _Bare:
    """A density without its remainder."""

    def __init__(self, density):
        self.density, self.derivative = density.density, density.derivative


@pytest.mark.parametrize("density", OWN, ids=repr)
@pytest.mark.parametrize("size", [3.0, 1e-1, 1e-3, 1e-6, 1e-9])
def test_the_general_remainder_is_the_analytic_one(density, size):
    u, v = RNG.normal(size=200), size * RNG.normal(size=200)
    p, q = (None, None) if is_local(density) else (RNG.normal(size=(3, 200)), size * RNG.normal(size=(3, 200)))
    own, general = remainder(density, (), u, p, v, q), remainder(_Bare(density), (), u, p, v, q)
    np.testing.assert_allclose(general, own, rtol=2e-5, atol=1e-7 * abs(own).max())
    assert general.sum() == pytest.approx(own.sum(), rel=1e-6)


def test_what_densities_say_of_themselves():
    assert all(isinstance(density, EnergyDensity) and has_hessian(density) for density in OWN)
    assert [is_local(density) for density in OWN] == [False, False, False, True, True]
    assert [is_split(density) for density in OWN] == [False, False, False, True, False]
    assert not has_hessian(_Bare(OWN[0]))


def test_pairs_of_derivatives_are_checked():
    u, p = np.zeros(4), np.zeros((2, 4))
    assert checked_pair((0.0, p), u, p, "derivative")[0].shape == (4,)
    with pytest.raises(InvalidValueError, match="expected the pair"):
        checked_pair(u, u, p, "derivative")
    with pytest.raises(InvalidValueError, match="local density returned a second array"):
        checked_pair((u, p), u, None, "derivative")
    with pytest.raises(InvalidValueError, match="returned None"):
        checked_pair((u, None), u, p, "derivative")
    with pytest.raises(ShapeError, match="by the gradient"):
        checked_pair((u, u), u, p, "derivative")
    with pytest.raises(ShapeError, match="returned shape"):
        checked_pair((p, p), u, p, "derivative")
