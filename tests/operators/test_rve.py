"""Cells in equilibrium against laminates, bounds and differences; EquiNO's gradients, modes and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, least_squares
from scipy.stats import qmc

from sci.applications.homogenization.equino import EquiNO, pod_modes, snapshots
from sci.applications.homogenization.laws import Composite, LinearElastic, Saturating, frobenius
from sci.applications.homogenization.rve import PeriodicRVE, circular_inclusions
from sci.errors import ConvergenceError, SciError

MATRIX, INCLUSION = Saturating(4.78e3, 50.0, 0.06), LinearElastic(4.345e4, 2.992e4)
SOFT, HARD = LinearElastic(2.0, 1.0), LinearElastic(11.0, 7.0)
STRAIN = np.array([0.01, -0.02, 0.015])


def _laminate(n: int = 15) -> np.ndarray:
    """Layers normal to x, one third hard."""
    return np.repeat((np.arange(n) % 3 == 0).astype(int)[:, None], 5, axis=1)


def _axial(law: LinearElastic) -> tuple[float, float]:
    """Return sigma_xx / e_xx and sigma_xx / e_yy in plane strain."""
    return law.bulk + 4 / 3 * law.shear, law.bulk - 2 / 3 * law.shear


@pytest.mark.parametrize("turned", [False, True])
def test_elastic_laminate_is_exact(turned: bool) -> None:
    """sigma_xx, sigma_xy and e_yy are the same in both layers, which gives all fields by hand."""
    e_xx, e_yy, e_xy = STRAIN
    phase = _laminate()
    fractions, laws = (2 / 3, 1 / 3), (SOFT, HARD)
    m, c = zip(*(_axial(law) for law in laws))
    compliance = sum(f / a for f, a in zip(fractions, m))
    s_xx = (e_xx + e_yy * sum(f * b / a for f, a, b in zip(fractions, m, c))) / compliance
    s_xy = 2 * e_xy / sum(f / law.shear for f, law in zip(fractions, laws))
    local = [(s_xx - b * e_yy) / a for a, b in zip(m, c)]
    if turned:
        result = PeriodicRVE(phase.T.copy(), laws).solve([e_yy, e_xx, e_xy], rtol=1e-13)
        strain, stress = (np.swapaxes(a[[1, 0, 2]], 1, 2) for a in (result.strain, result.stress))
    else:
        result = PeriodicRVE(phase, laws).solve(STRAIN, rtol=1e-13)
        strain, stress = result.strain, result.stress
    assert result.newton_steps <= 2
    np.testing.assert_allclose(strain[0], np.where(phase == 0, *local), rtol=1e-10)
    np.testing.assert_allclose(strain[1], e_yy, rtol=1e-10)
    np.testing.assert_allclose(stress[0], s_xx, rtol=1e-10)
    np.testing.assert_allclose(stress[2], s_xy, rtol=1e-10)
    np.testing.assert_allclose(result.mean_stress[[1, 0, 2] if turned else [0, 1, 2]], stress.mean(axis=(1, 2)))


def test_saturating_laminate_in_shear_is_exact() -> None:
    """Pure shear: one stress in both layers and a scalar equation for it."""
    gamma, third = 0.05, 1 / 3

    def stress(e: float) -> float:
        norm = np.sqrt(2) * e
        return MATRIX.limit * e / (MATRIX.softness + norm)

    def gap(e: float) -> float:
        return (1 - third) * e + third * stress(e) / (2 * INCLUSION.shear) - gamma

    soft = brentq(gap, 0.0, 1.0, xtol=1e-15)
    result = PeriodicRVE(_laminate(), [MATRIX, INCLUSION]).solve([0.0, 0.0, gamma], rtol=1e-12)
    np.testing.assert_allclose(result.stress[2], stress(soft), rtol=1e-10)
    np.testing.assert_allclose(result.strain[2][_laminate() == 0], soft, rtol=1e-10)


def test_cell_is_in_equilibrium_compatible_and_between_the_bounds() -> None:
    phase = circular_inclusions(21, [(0.3, 0.4, 0.25), (0.8, 0.9, 0.15)])
    rve = PeriodicRVE(phase, [SOFT, HARD])
    effective = np.array([rve.solve(e, rtol=1e-11).mean_stress for e in np.eye(3)])
    weight = np.array([1.0, 1.0, 2.0])
    energy = effective * weight  # e : C e' as a quadratic form of (xx, yy, xy)
    np.testing.assert_allclose(energy, energy.T, rtol=1e-8, atol=1e-9)
    fraction = phase.mean()

    def form(law: LinearElastic) -> np.ndarray:
        m, c = _axial(law)
        return np.array([[m, c, 0], [c, m, 0], [0, 0, 4 * law.shear]])

    voigt = (1 - fraction) * form(SOFT) + fraction * form(HARD)
    reuss = np.linalg.inv((1 - fraction) * np.linalg.inv(form(SOFT)) + fraction * np.linalg.inv(form(HARD)))
    assert np.linalg.eigvalsh(voigt - energy).min() > 0
    assert np.linalg.eigvalsh(energy - reuss).min() > 0
    result = rve.solve(STRAIN, rtol=1e-11)
    k = np.fft.fftfreq(21, 1 / 21)
    sx, sy, sxy = np.fft.fft2(result.stress)
    divergence = np.array([k[:, None] * sx + k * sxy, k[:, None] * sxy + k * sy])
    assert abs(divergence).max() < 1e-8 * abs(sx).max()


def test_displacement_has_the_strain() -> None:
    rve = PeriodicRVE(circular_inclusions(15, [(0.5, 0.5, 0.3)]), [SOFT, HARD])
    fluctuation = rve.solve(STRAIN, rtol=1e-10).strain - STRAIN[:, None, None]
    u = np.fft.fft2(rve.displacement(fluctuation))
    k = 2j * np.pi * np.fft.fftfreq(15, 1 / 15)
    strain = [k[:, None] * u[0], k * u[1], 0.5 * (k * u[0] + k[:, None] * u[1])]
    np.testing.assert_allclose(np.fft.ifft2(strain).real, fluctuation, atol=1e-12)
    np.testing.assert_allclose(rve.project(fluctuation), fluctuation, atol=1e-12)


def test_tangent_is_the_derivative_and_symmetric() -> None:
    rng = np.random.default_rng(1)
    composite = Composite(rng.integers(0, 2, (4, 5)), [MATRIX, INCLUSION])
    strain, a, b = rng.normal(size=(3, 3, 4, 5)) * 0.03
    h = 1e-6
    difference = (composite.stress(strain + h * a) - composite.stress(strain - h * a)) / (2 * h)
    np.testing.assert_allclose(composite.tangent(strain, a), difference, rtol=1e-6, atol=1e-6)
    left, right = (frobenius(x, composite.tangent(strain, y)) for x, y in ((a, b), (b, a)))
    np.testing.assert_allclose(left, right, rtol=1e-12)
    zero = composite.tangent(0 * strain, a)
    np.testing.assert_allclose(zero, composite.stress(1e-9 * a) / 1e-9, rtol=1e-6)


def test_modes_reproduce_their_snapshots() -> None:
    fields = np.random.default_rng(2).normal(size=(6, 3, 5, 7))
    modes, values = pod_modes(fields, 6)
    gram = frobenius(modes[:, None], modes[None]).mean(axis=(-2, -1))
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-12)
    inner = frobenius(fields[:, None], modes[None]).mean(axis=(-2, -1))
    np.testing.assert_allclose(np.tensordot(inner, modes, 1), fields, atol=1e-12)
    assert np.sum(values**2) == pytest.approx(frobenius(fields, fields).mean(axis=(-2, -1)).sum())


@pytest.fixture(scope="module")
def small() -> tuple[PeriodicRVE, EquiNO]:
    rve = PeriodicRVE(circular_inclusions(9, [(0.5, 0.5, 0.3)]), [MATRIX, INCLUSION])
    fluctuation, stress = snapshots(rve, _strains(12, 0))
    modes = [pod_modes(f, 6)[0] for f in (fluctuation, stress)]
    return rve, EquiNO(rve.composite, *modes, width=16, depth=2, seed=1)


def _strains(n: int, seed: int) -> np.ndarray:
    points: np.ndarray = 0.04 * (2 * qmc.LatinHypercube(3, seed=seed).random(n) - 1)
    return points


def test_settled_coefficients_leave_the_least_gap(small: tuple[PeriodicRVE, EquiNO]) -> None:
    """Against SciPy's least squares over all twelve coefficients of a strain."""
    operator = small[1]
    strains = _strains(2, 5)
    b, c = operator.settle(strains)
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
    assert error(np.tensordot(operator.settle(test)[1], operator.modes["stress"], 1), stress) < 0.035
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
        operator.settle(_strains(5, 1), max_steps=1)
    with np.errstate(all="ignore"), pytest.raises(SciError):
        operator.fit(1e200 * _strains(5, 1), steps=5)
    for name, value in before.items():
        np.testing.assert_array_equal(operator.parameters[name], value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: PeriodicRVE(np.zeros((4, 5), int), [SOFT]), "odd numbers"),
        (lambda: PeriodicRVE(np.ones((5, 5), int), [SOFT]), "phase holds 1 to 1"),
        (lambda: PeriodicRVE(np.zeros((5, 5)), [SOFT]), "expected integers"),
        (lambda: LinearElastic(1.0, -1.0), "shear is -1"),
        (lambda: Saturating(1.0, 1.0, 0.0), "softness is 0"),
        (lambda: PeriodicRVE(_laminate(), [SOFT, HARD]).solve([np.nan, 0, 0]), "NaN"),
        (lambda: PeriodicRVE(_laminate(), [SOFT, HARD]).solve([1, 0, 0], rtol=1e-12, max_newton=0), "residual"),
        (lambda: pod_modes(np.zeros((2, 3, 5, 5)), 3), "n_modes is 3"),
    ],
)
def test_bad_arguments_are_named(call: Any, text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()
