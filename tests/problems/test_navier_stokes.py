"""Vorticity against exact decay, an adaptive integrator, and invariants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sci.errors import ConvergenceError, SciError
from sci.problems import (
    evolve_vorticity,
    kolmogorov_force,
    navier_stokes,
    periodic_random_field,
    sample_generator,
)


def test_single_wave_decays_as_the_heat_equation_says() -> None:
    """The advection of w = cos 2 pi (x + y) vanishes, so w decays by exp(-8 pi^2 nu t)."""
    n, viscosity = 16, 0.01
    x = np.arange(n) / n
    w = np.cos(2 * np.pi * (x[:, None] + x))
    records = evolve_vorticity(w, 0 * w, viscosity=viscosity, time=1.0, time_step=1e-3, n_records=2)
    for record, t in zip(records, (0.5, 1.0)):
        np.testing.assert_allclose(record, w * np.exp(-8 * np.pi**2 * viscosity * t), atol=1e-7)


def _random_flow(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    w = periodic_random_field(n, rng) * 3
    return w, periodic_random_field(n, rng) * 0.3


def test_vorticity_agrees_with_an_adaptive_integrator() -> None:
    """The right-hand side is written again with full complex transforms, and integrated by SciPy."""
    n, viscosity, time = 16, 1e-3, 0.5
    w, force = _random_flow(n)
    k = 2 * np.pi * np.fft.fftfreq(n, 1 / n)
    kx, ky = k[:, None] + 0 * k, k[None, :] + 0 * k[:, None]
    square = kx**2 + ky**2
    kept = (abs(kx) < 2 * np.pi * n / 3) & (abs(ky) < 2 * np.pi * n / 3) & (square > 0)
    inverse = np.where(square > 0, 1 / np.where(square > 0, square, 1), 0)

    def slope(_: float, flat: np.ndarray) -> np.ndarray:
        spectrum = np.fft.fft2(flat.reshape(n, n)) * kept
        psi = spectrum * inverse
        u, v = np.fft.ifft2(1j * ky * psi).real, -np.fft.ifft2(1j * kx * psi).real
        advection = u * np.fft.ifft2(1j * kx * spectrum).real + v * np.fft.ifft2(1j * ky * spectrum).real
        total = np.fft.fft2(force - advection) * kept - viscosity * square * spectrum
        return np.fft.ifft2(total).real.ravel()

    start = np.fft.ifft2(np.fft.fft2(w) * kept).real
    exact = solve_ivp(slope, (0, time), start.ravel(), method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1].reshape(n, n)
    errors = []
    for step in (4e-3, 2e-3):
        ours = evolve_vorticity(w, force, viscosity=viscosity, time=time, time_step=step)[0]
        errors.append(np.linalg.norm(ours - exact) / np.linalg.norm(exact))
    assert errors[1] < 1e-5
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)


def test_inviscid_flow_keeps_energy_and_enstrophy() -> None:
    n = 24
    w, _ = _random_flow(n)
    first, last = evolve_vorticity(w, 0 * w, viscosity=0.0, time=0.4, time_step=1e-3, n_records=2)
    k = 2 * np.pi * np.fft.fftfreq(n, 1 / n)
    square = k[:, None] ** 2 + k**2
    square[0, 0] = np.inf

    def invariants(field: np.ndarray) -> np.ndarray:
        power = abs(np.fft.fft2(field)) ** 2
        return np.array([power.sum(), (power / square).sum()])

    np.testing.assert_allclose(invariants(last), invariants(first), rtol=1e-6)


def test_set_of_flows_is_the_flows_one_by_one() -> None:
    initial, later = navier_stokes(2, 24, viscosity=1e-3, time=0.2, time_step=0.01, n_records=2, subsample=2, seed=9)
    assert initial.shape == (2, 12, 12)
    assert later.shape == (2, 2, 12, 12)
    first = periodic_random_field(24, sample_generator(9, 1))
    x = np.arange(24) / 24
    angle = 2 * np.pi * (x[:, None] + x)
    force = 0.1 * (np.sin(angle) + np.cos(angle))
    alone = evolve_vorticity(first, force, viscosity=1e-3, time=0.2, time_step=0.01, n_records=2)
    np.testing.assert_array_equal(initial[1], first[::2, ::2])
    np.testing.assert_array_equal(later[1], alone[:, ::2, ::2])


def test_a_step_that_is_too_long_is_an_error() -> None:
    w, force = _random_flow(16)
    with np.errstate(all="ignore"), pytest.raises(ConvergenceError, match="shorter steps"):
        evolve_vorticity(1e4 * w, force, viscosity=1e-5, time=50.0, time_step=0.5)


def test_the_force_is_that_of_the_published_sets() -> None:
    x = np.arange(8) / 8
    angle = 2 * np.pi * (x[:, None] + x)
    np.testing.assert_allclose(kolmogorov_force(8), 0.1 * (np.sin(angle) + np.cos(angle)), rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: navier_stokes(1, 8, viscosity=np.nan), "viscosity is nan"),
        (lambda: evolve_vorticity(np.ones((8, 8)), np.ones((8, 8)), viscosity=1.0, time=0.0), "positive times"),
        (lambda: evolve_vorticity(np.ones((8, 6)), np.ones((8, 6)), viscosity=1.0, time=1.0), "n, n"),
        (lambda: evolve_vorticity(np.full((8, 8), np.inf), np.ones((8, 8)), viscosity=1.0, time=1.0), "infinite"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()
