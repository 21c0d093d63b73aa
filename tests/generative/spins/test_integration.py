"""Free energies by thermodynamic integration agree with transfer matrices within their errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from sci.errors import InvalidValueError
from sci.generative import IsingModel, PottsModel, thermodynamic_integration, transfer_matrix
from sci.generative.spins.integration import _rule


def test_the_rule_integrates_polynomials_of_its_degrees() -> None:
    nodes, kronrod, gauss = _rule()
    for degree in range(23):
        assert kronrod @ nodes**degree == pytest.approx(1 / (degree + 1), rel=1e-14)
        if degree < 14:
            assert gauss @ nodes**degree == pytest.approx(1 / (degree + 1), rel=1e-14)
    assert kronrod @ np.exp(3 * nodes) == pytest.approx(quad(lambda x: np.exp(3 * x), 0, 1)[0], rel=1e-14)


@pytest.mark.parametrize(
    ("model", "method"), [(IsingModel((10, 10), 0.2, 0.2), "heat_bath"), (PottsModel((3, 4), 3, 0.8), "swendsen_wang")]
)
def test_free_energies_are_exact_ones(model: IsingModel | PottsModel, method: str) -> None:
    found = thermodynamic_integration(model, replicas=8, sweeps=100, method=method, seed=1)
    exact = transfer_matrix(model).log_z
    assert abs(found.value - exact) < 4 * found.error < 0.01 * exact


def test_an_integral_of_no_length_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="positive end"):
        thermodynamic_integration(IsingModel((4, 4)), beta=0.0)
