"""The generators of training data against exact solutions, an independent integrator, and their statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sci.errors import ConvergenceError, SciError
from sci.problems import (
    darcy_flow,
    evolve_vorticity,
    navier_stokes,
    neumann_random_field,
    periodic_random_field,
    sample_generator,
    solve_darcy,
)


def test_neumann_field_has_the_variance_of_its_series() -> None:
    """Point variances average to the sum of the eigenvalues, and the cosine coefficients are uncorrelated."""
    size, alpha, tau = 8, 2.0, 3.0
    fields = np.array([neumann_random_field(size, sample_generator(1, i), alpha=alpha, tau=tau) for i in range(1000)])
    k = np.arange(size)
    root = tau ** (alpha - 1) * (np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    root[0, 0] = 0.0
    assert np.mean(fields**2) == pytest.approx(np.sum(root**2), rel=0.08)
    x = (np.arange(size) + 0.5) / size
    first = 2 * np.cos(np.pi * x)[:, None] * np.cos(np.pi * x) / size**2  # orthonormal cosine (1, 1) as a quadrature
    assert np.std(np.sum(fields * first, axis=(1, 2))) == pytest.approx(root[1, 1], rel=0.08)


def test_periodic_field_has_the_variance_of_its_series() -> None:
    size, alpha, tau = 8, 2.5, 7.0
    fields = np.array([periodic_random_field(size, sample_generator(2, i), alpha=alpha, tau=tau) for i in range(1000)])
    k = np.fft.fftfreq(size, 1 / size)
    root = np.sqrt(2) * tau ** (alpha - 1) * (4 * np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    root[0, 0] = 0.0
    assert np.mean(fields**2) == pytest.approx(np.sum(root**2), rel=0.08)
    assert abs(fields.mean(axis=(1, 2))).max() < 1e-12


def test_darcy_solution_matches_a_manufactured_one_to_second_order() -> None:
    errors = []
    for n in (17, 33, 65):
        x = np.linspace(0, 1, n)
        x, y = np.meshgrid(x, x, indexing="ij")
        exact = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        a = 1 + 0.5 * x + y**2
        gradient = 0.5 * np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        gradient += 2 * y * 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        force = a * 5 * np.pi**2 * exact - gradient
        errors.append(abs(solve_darcy(a, force) - exact).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_darcy_matrix_is_the_scheme_written_out() -> None:
    rng = np.random.default_rng(0)
    a, f = rng.uniform(1, 2, (7, 7)), rng.normal(size=(7, 7))
    u = solve_darcy(a, f)
    for i in range(1, 6):
        for j in range(1, 6):
            faces = [(a[i, j] + a[p, q]) / 2 * (u[i, j] - u[p, q]) for p, q in _neighbors(i, j)]
            assert sum(faces) * 36 == pytest.approx(f[i, j], abs=1e-11)
    assert not u[[0, -1]].any()
    assert not u[:, [0, -1]].any()


def _neighbors(i: int, j: int) -> list[tuple[int, int]]:
    return [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]


def test_darcy_flow_of_constant_coefficient_scales_inversely() -> None:
    """With a = c everywhere u is that of a = 1 over c, and the middle of the square is the known 0.0736713."""
    _, one = darcy_flow(1, 64, low=1.0, high=1.0)
    _, twelve = darcy_flow(1, 64, low=12.0, high=12.0)
    np.testing.assert_allclose(one, 12 * twelve, rtol=1e-10)
    assert one[0, 31:33, 31:33].mean() == pytest.approx(0.0736713, rel=2e-3)


def test_darcy_flow_obeys_the_maximum_principle_and_the_seed() -> None:
    a, u = darcy_flow(3, 48, subsample=3, seed=4)
    assert a.shape == u.shape == (3, 16, 16)
    assert u.min() > 0
    assert u.max() < 0.0736713 / 3 * 1.05
    again, _ = darcy_flow(2, 48, subsample=3, seed=4)
    np.testing.assert_array_equal(a[:2], again)
    assert (a[0] != a[1]).any()


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


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: darcy_flow(1, 1), "size is 1"),
        (lambda: darcy_flow(-1, 8), "n_samples is -1"),
        (lambda: darcy_flow(1, 8, low=0.0), "low is 0"),
        (lambda: solve_darcy(np.ones((4, 4)), np.ones((4, 5))), "expected"),
        (lambda: solve_darcy(-np.ones((4, 4)), np.ones((4, 4))), "positive"),
        (lambda: solve_darcy(np.full((4, 4), np.nan), np.ones((4, 4))), "finite"),
        (lambda: navier_stokes(1, 8, viscosity=np.nan), "viscosity is nan"),
        (lambda: evolve_vorticity(np.ones((8, 8)), np.ones((8, 8)), viscosity=1.0, time=0.0), "positive times"),
        (lambda: evolve_vorticity(np.ones((8, 6)), np.ones((8, 6)), viscosity=1.0, time=1.0), "n, n"),
        (lambda: evolve_vorticity(np.full((8, 8), np.inf), np.ones((8, 8)), viscosity=1.0, time=1.0), "infinite"),
    ],
)
def test_bad_arguments_are_named(call: object, text: str) -> None:
    assert callable(call)
    with pytest.raises(SciError, match=text):
        call()
