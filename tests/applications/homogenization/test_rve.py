"""Cells in equilibrium against laminates, bounds and differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from sci.applications import LinearElastic, PeriodicRVE, Saturating, circular_inclusions
from sci.errors import SciError

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


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: PeriodicRVE(np.zeros((4, 5), int), [SOFT]), "odd numbers"),
        (lambda: PeriodicRVE(np.ones((5, 5), int), [SOFT]), "phase holds 1 to 1"),
        (lambda: PeriodicRVE(np.zeros((5, 5)), [SOFT]), "expected integers"),
        (lambda: PeriodicRVE(_laminate(), [SOFT, HARD]).solve([np.nan, 0, 0]), "NaN"),
        (lambda: PeriodicRVE(_laminate(), [SOFT, HARD]).solve([1, 0, 0], rtol=1e-12, max_newton=0), "residual"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()
