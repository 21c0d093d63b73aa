"""EquiNO: modes, the coefficients that solve the constitutive equation, training, predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import qmc

from sci.applications import (
    EquiNO,
    LinearElastic,
    PeriodicRVE,
    Saturating,
    circular_inclusions,
    frobenius,
    pod_modes,
    snapshots,
)
from sci.errors import ConvergenceError, SciError
from sci.io import load, save

MATRIX, INCLUSION = Saturating(4.78e3, 50.0, 0.06), LinearElastic(4.345e4, 2.992e4)

SOFT, HARD = LinearElastic(2.0, 1.0), LinearElastic(11.0, 7.0)

STRAIN = np.array([0.01, -0.02, 0.015])


@pytest.fixture(scope="module")
def small() -> tuple[PeriodicRVE, EquiNO]:
    rve = PeriodicRVE(circular_inclusions(9, [(0.5, 0.5, 0.3)]), [MATRIX, INCLUSION])
    fluctuation, stress = snapshots(rve, _strains(12, 0))
    modes = [pod_modes(f, 6)[0] for f in (fluctuation, stress)]
    return rve, EquiNO(rve.composite, *modes, width=16, depth=2, seed=1)


def _strains(n: int, seed: int) -> np.ndarray:
    points: np.ndarray = 0.04 * (2 * qmc.LatinHypercube(3, seed=seed).random(n) - 1)
    return points


def test_solved_coefficients_leave_the_least_gap(small: tuple[PeriodicRVE, EquiNO]) -> None:
    """Against SciPy's least squares over all twelve coefficients of a strain."""
    operator = small[1]
    strains = _strains(2, 5)
    b, c = operator.solve_coefficients(strains)
    weight = np.sqrt([1.0, 1.0, 2.0])[:, None, None]
    for row, strain in enumerate(strains):

        def gap(x: np.ndarray, strain: np.ndarray = strain) -> np.ndarray:
            field = strain[:, None, None] + np.tensordot(x[:6], operator.modes["strain"], 1)
            return (
                weight * (operator.composite.stress(field) - np.tensordot(x[6:], operator.modes["stress"], 1))
            ).ravel()

        best = least_squares(gap, np.zeros(12), x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14)
        found = np.concatenate([b[row], c[row]])
        assert (gap(found) ** 2).sum() <= 2 * best.cost * (1 + 1e-9)
        np.testing.assert_allclose(found[6:], best.x[6:], rtol=0, atol=1e-6 * abs(best.x).max())


def test_training_brings_the_prediction_to_the_solver(small: tuple[PeriodicRVE, EquiNO]) -> None:
    rve, operator = small
    losses = operator.fit(_strains(60, 7), steps=80)
    assert all(course[-1] < 0.3 * course[0] for course in losses.values())
    test = _strains(5, 8)
    fluctuation, stress = snapshots(rve, test)

    def error(a: np.ndarray, exact: np.ndarray) -> float:
        return float(np.sqrt(frobenius(a - exact, a - exact).sum() / frobenius(exact, exact).sum()))

    found = operator.predict(test)
    # Six modes allow 0.032.
    assert error(np.tensordot(operator.solve_coefficients(test)[1], operator.modes["stress"], 1), stress) < 0.035
    assert error(found.stress, stress) < 0.045
    assert error(operator.strain(test), fluctuation + test[:, :, None, None]) < 0.06
    np.testing.assert_allclose(found.mean_stress, found.stress.mean(axis=(-2, -1)), rtol=1e-10)
    h = 1e-6
    for j, step in enumerate(h * np.eye(3)):
        ahead, behind = (operator.predict(test + sign * step).mean_stress for sign in (1, -1))
        np.testing.assert_allclose(found.tangent[:, :, j], (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-3)


def test_linear_cell_is_exact_with_nothing_left_to_learn() -> None:
    rve = PeriodicRVE(circular_inclusions(9, [(0.5, 0.5, 0.3)]), [SOFT, HARD])
    modes = [pod_modes(f, 3)[0] for f in snapshots(rve, np.eye(3), rtol=1e-12)]
    operator = EquiNO(rve.composite, *modes, width=4, depth=1)
    assert operator.fit(_strains(8, 2))["stress"] == [0.0]
    result = rve.solve(STRAIN, rtol=1e-12)
    np.testing.assert_allclose(operator.predict(STRAIN[None]).stress[0], result.stress, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(operator.strain(STRAIN[None])[0], result.strain, rtol=1e-8, atol=1e-10)


def test_untrained_parameters_survive_a_failed_fit(small: tuple[PeriodicRVE, EquiNO]) -> None:
    operator = small[1]
    before = {name: value.copy() for name, value in operator.parameters.items()}
    with pytest.raises(ConvergenceError, match="still change"):
        operator.solve_coefficients(_strains(5, 1), max_steps=1)
    with np.errstate(all="ignore"), pytest.raises(SciError):
        operator.fit(1e200 * _strains(5, 1), steps=5)
    for name, value in before.items():
        np.testing.assert_array_equal(operator.parameters[name], value)


def test_repr_is_a_line(small: tuple[PeriodicRVE, EquiNO]) -> None:
    rve, operator = small
    assert repr(operator).startswith("EquiNO(9 x 9 pixels, 6 strain + 6 stress modes, 2 hidden layers, ")
    texts = [operator, rve, rve.composite, rve.solve(STRAIN), operator.predict(STRAIN[None])]
    assert all(len(repr(thing)) < 200 and "\n" not in repr(thing) for thing in texts)


def test_a_saved_operator_predicts_the_same(small: tuple[PeriodicRVE, EquiNO], tmp_path: Path) -> None:
    operator = small[1]
    save(tmp_path / "cell.h5", operator)
    again = load(tmp_path / "cell.h5")
    assert type(again) is EquiNO
    np.testing.assert_array_equal(again.predict(_strains(3, 4)).stress, operator.predict(_strains(3, 4)).stress)
