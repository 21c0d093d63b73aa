"""Minima against exact solutions, at second order; every method to the same minimum; what stops with a name."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks
from variational_cases import distributed_twin, energies

from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers import DoubleWell, Energy, IonGas, MinimalSurface, PLaplacian, PoissonOperator, minimize_energy


def _on_box(n, low, exact, density, f=0.0, **options):
    """Return the largest error of the minimum on a box with sides of length 1 and exact values on its walls."""
    h = 1 / (n + 1)
    axes = [a + h * np.arange(n + 2) for a in low]
    exact = exact(*np.meshgrid(*axes, indexing="ij"))
    A = PoissonOperator(np.ones((n,) * len(low), bool), h)
    energy = Energy(A, density, f=np.full(A.grid_shape, float(f)), values=exact, origin=[a + h for a in low])
    found = minimize_energy(energy, rtol=1e-9, **options)
    assert found.converged
    return abs(found.u - exact[A.interior]).max(), found


def _order(errors):
    return np.log2(errors[0] / errors[-1]) / (len(errors) - 1)


@pytest.mark.parametrize("exponent", [1.2, 1.5, 3.0, 6.0, 10.0])
def test_the_radial_solution_of_the_p_laplacian_away_from_its_center(exponent):
    """-div(|grad u|^(p - 2) grad u) = 1 in the plane: u = -(p - 1)/p 2^(-1/(p - 1)) r^(p/(p - 1))."""
    power = exponent / (exponent - 1)
    factor = -(2 ** (-1 / (exponent - 1))) / power
    density = PLaplacian(exponent, regularization=1e-6)

    def exact(x, y):
        return factor * np.hypot(x, y) ** power

    errors = [_on_box(n, (0.6, 0.9), exact, density, 1.0)[0] for n in (15, 31, 63)]
    assert _order(errors) > 1.9
    assert errors[-1] < 2e-4


def test_the_radial_solution_with_its_center_where_the_equation_degenerates():
    def exact(x, y):
        return -(2 / 3) * 2**-0.5 * np.hypot(x, y) ** 1.5

    errors = [_on_box(n, (-0.5, -0.5), exact, PLaplacian(3.0, regularization=1e-6), 1.0)[0] for n in (16, 32, 64)]
    assert errors[0] > errors[1] > errors[2]
    assert _order(errors) > 1.2
    assert errors[-1] < 5e-4


def test_the_catenoid_is_a_minimal_surface():
    errors = [
        _on_box(n, (1.5, 1.2), lambda x, y: np.arccosh(np.hypot(x, y)), MinimalSurface())[0] for n in (15, 31, 63)
    ]
    assert _order(errors) > 1.95
    assert errors[-1] < 1e-5


class _Weighted:
    """(1 + x) |p|^2 / 2 + |p|^4 / 4 + exp(u): a density of x, u and p in space."""

    def density(self, x, u, p):
        s = (p * p).sum(axis=0)
        return (1 + x[0]) * s / 2 + s * s / 4 + np.exp(u)

    def derivative(self, x, u, p):
        return np.exp(u), (1 + x[0] + (p * p).sum(axis=0)) * p


def _product(x, y, z):
    """Return u = cos(pi x) y^2 sin(2 pi z) / 4 and the source for which it solves the equation of `_Weighted`."""
    lines = (
        (np.cos(np.pi * x), -np.pi * np.sin(np.pi * x), -(np.pi**2) * np.cos(np.pi * x)),
        (y**2, 2 * y, 2 + 0 * y),
        (np.sin(2 * np.pi * z), 2 * np.pi * np.cos(2 * np.pi * z), -4 * np.pi**2 * np.sin(2 * np.pi * z)),
    )

    def derivative(*orders):
        return lines[0][orders[0]] * lines[1][orders[1]] * lines[2][orders[2]] / 4

    unit = np.eye(3, dtype=int)
    slope = [derivative(*unit[a]) for a in range(3)]
    bend = [[derivative(*(unit[a] + unit[b])) for b in range(3)] for a in range(3)]
    weight = 1 + x + sum(s * s for s in slope)
    flux = slope[0] + weight * sum(bend[a][a] for a in range(3))
    flux = flux + sum(2 * slope[a] * bend[a][b] * slope[b] for a in range(3) for b in range(3))
    u = derivative(0, 0, 0)
    return u, np.exp(u) - flux


def test_a_manufactured_solution_in_space_with_all_kinds_of_walls():
    """Neumann along x, Dirichlet along y, periodic along z."""
    errors = []
    for n in (8, 16):
        h = (1 / n, 1 / (n + 1), 1 / n)
        axes = [h[0] * (np.arange(n + 2) - 0.5), h[1] * np.arange(n + 2), h[2] * np.arange(n + 2)]
        exact, f = _product(*np.meshgrid(*axes, indexing="ij"))
        A = PoissonOperator(np.ones((n, n, n), bool), h, ["neumann", "dirichlet", "periodic"])
        energy = Energy(A, _Weighted(), f=f[A.interior], values=exact, origin=[axis[1] for axis in axes])
        found = minimize_energy(energy, rtol=1e-8)
        assert found.converged
        assert found.method == "lbfgs"
        errors.append(abs(found.u - exact[A.interior]).max())
    assert _order(errors) > 1.8


def test_constants_move_where_the_density_holds_them_on_neumann_walls():
    """exp(u) = 3 has the solution log 3, which no metric of gradients alone reaches."""
    A = PoissonOperator(np.ones((6, 6), bool), 1.0, "neumann")
    for method in ("lbfgs", "descent"):
        found = minimize_energy(Energy(A, _Weighted(), f=np.full((6, 6), 3.0)), method=method)
        np.testing.assert_allclose(found.u, np.log(3), rtol=1e-6)


def _on_line(n, length, density, exact, diffusion=1.0):
    """Return the error of a local density between two Dirichlet walls with exact values."""
    h = length / (n + 1)
    x = h * np.arange(n + 2)
    values = np.repeat(exact(x)[:, None], 3, axis=1)
    A = PoissonOperator(np.ones((n, 1), bool), h, ["dirichlet", "neumann"])
    found = minimize_energy(Energy(A, density(n), values=values, diffusion=diffusion), rtol=1e-10)
    assert found.converged
    return abs(found.u[:, 0] - exact(x)[1:-1]).max()


def test_the_interface_of_a_phase_field_is_a_tanh():
    width = 0.08

    def exact(x):
        return np.tanh((x - 0.45) / (width * 2**0.5))

    errors = [_on_line(n, 1.0, lambda n: DoubleWell(1 / width), exact, width) for n in (31, 63, 127)]
    assert _order(errors) > 1.95
    assert errors[-1] < 2e-3


@pytest.mark.parametrize("surface", [0.1, 2.0, 8.0])
def test_gouy_and_chapman(surface):
    """The exact potential over a charged plane, from weak to twenty-fold what the linear equation bears."""
    gamma, k = np.tanh(surface / 4), 1.3

    def exact(x):
        return 2 * np.log((1 + gamma * np.exp(-k * x)) / (1 - gamma * np.exp(-k * x)))

    errors = [_on_line(n, 3.0, lambda n: IonGas(np.full((n, 1), k * k)), exact) for n in (255, 511, 1023)]
    assert _order(errors) > 1.9
    assert errors[-1] < 2e-4 * surface


@pytest.mark.parametrize("surface", [0.5, 4.0])
def test_grahame(surface):
    """The surface charge 2 k sinh(u/2) gives the potential u at the surface, to second order in the cells."""
    k, length, errors = 1.0, 12.0, []
    for n in (400, 800):
        h = length / n
        f = np.zeros((n, 1))
        f[0] = 2 * k * np.sinh(surface / 2) / h
        A = PoissonOperator(np.ones((n, 1), bool), h, [("neumann", "dirichlet"), "neumann"])
        found = minimize_energy(Energy(A, IonGas(np.full((n, 1), k * k)), f=f, diffusion=1.0), rtol=1e-10).u[:, 0]
        # A parabola through the wall's slope and two cells.
        slope = -2 * k * np.sinh(surface / 2)
        curve = ((found[1] - found[0]) / h - slope) / h
        errors.append(abs(found[0] - slope * h / 2 - curve * h * h / 8 - surface))
    assert errors[-1] < 2e-3 * surface
    assert errors[0] / errors[-1] > 3


@pytest.mark.parametrize("energy", [e for e in energies(5) if not e.A.singular][1::2], ids=repr)
def test_all_methods_go_down_to_the_same_minimum(energy):
    found = minimize_energy(energy, rtol=1e-9)
    assert found.converged
    change = 1e-12 * (abs(found.energies).max() + 1)
    for result in (found, minimize_energy(energy, method="lbfgs", rtol=1e-9, maxiter=800)):
        assert result.converged
        assert (np.diff(result.energies) <= change).all()
        assert result.dual_norms[-1] <= 1e-9 * max(result.dual_norms[0], 1e-300) or result.dual_norms[-1] < 1e-7
        assert len(result.energies) == len(result.dual_norms) == result.iterations + 1
    assert found.energy == pytest.approx(result.energy, rel=1e-9, abs=1e-10)
    assert energy(found.u) == pytest.approx(found.energy, rel=1e-12, abs=1e-12)
    down = minimize_energy(energy, method="descent", rtol=1e-4, maxiter=30)
    assert down.energies[-1] < down.energies[0]


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_take_the_same_steps(size):
    cases = [energy for energy in energies(7) if energy.A.ndim == 3 and not energy.A.singular][::3]
    answers = [minimize_energy(energy, rtol=1e-6) for energy in cases]

    def compare(comm):
        for energy, answer in zip(cases, answers):
            twin, own = distributed_twin(energy, comm, 1)
            found = minimize_energy(twin, rtol=1e-6)
            assert found.iterations == answer.iterations
            assert found.energy == pytest.approx(answer.energy, rel=1e-9)
            np.testing.assert_allclose(found.u, answer.u[own], atol=1e-4 * abs(answer.u).max())

    on_ranks(size, compare)


class _Concave:
    """-u^2 without the word that it is not convex; with diffusion it may be."""

    local = True

    def __init__(self, strength):
        self.strength = strength

    def density(self, x, u, p):
        return -self.strength * u * u / 2

    def derivative(self, x, u, p):
        return -self.strength * u, None

    def hessian(self, x, u, p, v, q):
        return -self.strength * v, None


class _Well(_Concave):
    def density(self, x, u, p):
        return self.strength * (u**4 / 4 - u * u / 2)

    def derivative(self, x, u, p):
        return self.strength * (u**3 - u), None


BOX = PoissonOperator(np.ones((12, 12), bool), 1 / 13)


def test_a_concave_part_that_the_diffusion_outweighs_is_no_obstacle():
    """-laplace u - 10 u = f is positive definite: the lowest eigenvalue of the square is 2 pi^2."""
    f = np.random.default_rng(1).normal(size=BOX.grid_shape)
    found = minimize_energy(Energy(BOX, _Concave(10.0), f=f, diffusion=1.0))
    np.testing.assert_allclose(BOX @ found.u - 10 * found.u, f, atol=1e-6)


def test_energies_that_are_not_convex_stop_with_the_step_and_the_value():
    f, u = np.ones(BOX.grid_shape), np.full(BOX.grid_shape, 0.1)
    with pytest.raises(ConvergenceError, match=r"step 1, energy -?\d.*the energy is not convex"):
        minimize_energy(Energy(BOX, _Concave(30.0), f=f, diffusion=1.0))
    with pytest.raises(ConvergenceError, match=r"step 1, energy -?\d.*the energy is not convex"):
        minimize_energy(Energy(BOX, _Well(200.0), f=f, diffusion=1.0), u, method="lbfgs")
    with pytest.raises(ConvergenceError, match="convex_hessian"):
        minimize_energy(Energy(BOX, DoubleWell(100.0), f=f, diffusion=1.0), u, method="newton")


def test_a_phase_field_from_noise_falls_to_a_minimum_by_splitting():
    A = PoissonOperator(np.ones((24, 24), bool), 1 / 24, "neumann")
    start = np.random.default_rng(3).uniform(-1, 1, A.grid_shape)
    energy = Energy(A, DoubleWell(1 / 0.03), diffusion=0.03)
    found = minimize_energy(energy, start, rtol=1e-8)
    assert found.method == "splitting"
    assert found.converged
    assert (np.diff(found.energies) <= 0).all()
    # A minimum, not a saddle: the Hessian is positive.
    product, v = energy.hessian(found.u), np.random.default_rng(4).normal(size=A.grid_shape)
    for _ in range(200):
        v = v / np.linalg.norm(v)
        v = v - product(v) / (8 * 0.03 * 24**2 + 2 / 0.03)
    assert (v * product(v)).sum() > -1e-6


def test_a_false_derivative_and_nan_are_named():
    class False_(_Well):
        def derivative(self, x, u, p):
            return 3 * u**3 - 1, None

    with pytest.raises(ConvergenceError, match="expected `derivative` of False_ to be that of `density`"):
        minimize_energy(Energy(BOX, False_(1.0), diffusion=1e-3), np.full((12, 12), 0.5), method="lbfgs")

    class Spoiled(_Well):
        def density(self, x, u, p):
            return -u

        def derivative(self, x, u, p):
            return np.where(u > 0.01, np.nan, -1.0), None

    with pytest.raises(ConvergenceError, match="Spoiled is NaN in cell"):
        minimize_energy(Energy(BOX, Spoiled(1.0), diffusion=1.0), method="lbfgs")
    with pytest.raises(ConvergenceError, match="step 0: the energy of the start is inf"):
        minimize_energy(Energy(BOX, IonGas(np.ones((12, 12))), diffusion=1.0), np.full((12, 12), 1e3))


def test_neumann_walls_alone_need_a_source_of_sum_zero():
    A = PoissonOperator(np.ones((8, 8), bool), 1.0, "neumann")
    f = np.zeros((8, 8))
    f[0, 0], f[7, 7] = 1.0, -1.0
    found = minimize_energy(Energy(A, PLaplacian(3.0), f=f))
    assert found.converged
    for method in ("newton", "lbfgs", "descent"):
        with pytest.raises(ConvergenceError, match="step 0: the energy has no lower bound"):
            minimize_energy(Energy(A, PLaplacian(3.0), f=f + 0.1), method=method)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "best"}, InvalidValueError, "method is 'best'"),
        ({"method": "splitting"}, InvalidValueError, "no convex_hessian"),
        ({"u0": np.ones((3, 3))}, ShapeError, "u0 has shape"),
        ({"u0": np.full((12, 12), np.nan)}, InvalidValueError, "u0"),
        ({"rtol": -1.0}, InvalidValueError, "rtol"),
        ({"memory": 0}, InvalidValueError, "memory"),
        ({"callback": 3}, DTypeError, "callback"),
    ],
)
def test_wrong_arguments_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        minimize_energy(Energy(BOX, PLaplacian(3.0)), **options)


def test_a_run_that_ends_early_says_so_and_the_callback_sees_every_step():
    seen = []
    found = minimize_energy(Energy(BOX, PLaplacian(6.0), f=np.ones((12, 12))), maxiter=3, callback=seen.append)
    assert not found.converged
    assert found.iterations == len(seen) == 3
    assert "not converged after 3 steps of newton" in repr(found)
    np.testing.assert_array_equal(seen[-1], found.u)


def test_energies_without_hessian_go_by_lbfgs():
    with pytest.raises(InvalidValueError, match="no hessian"):
        minimize_energy(Energy(BOX, _Weighted()), method="newton")
    assert minimize_energy(Energy(BOX, _Weighted())).method == "lbfgs"


@pytest.mark.parametrize("size", [1e-130, 1e-30, 1e-16, 1e-12, 1e-9])
def test_tiny_potentials_are_those_of_the_linear_equation(size):
    f = np.random.default_rng(0).normal(size=(12, 12))
    found = minimize_energy(Energy(BOX, IonGas(np.full((12, 12), 5.0)), f=size * f, diffusion=1.0))
    assert found.converged
    matrix = np.stack([(BOX @ e.reshape(12, 12)).ravel() for e in np.eye(144)]) + 5 * np.eye(144)
    np.testing.assert_allclose(found.u / size, np.linalg.solve(matrix, f.ravel()).reshape(12, 12), atol=1e-9)


@pytest.mark.parametrize(("power", "least", "size"), [(10, 1e17, 1e180), (4, 1e-60, 1e-170)])
def test_gradients_whose_squares_leave_the_range_are_no_obstacle(power, least, size):
    energy = Energy(BOX, PLaplacian(power, regularization=least), f=size * np.ones((12, 12)))
    found = minimize_energy(energy)
    assert found.converged
    assert found.iterations > 0
    assert abs(energy.gradient(found.u)).max() < 1e-6 * size


@pytest.mark.parametrize("size", [1e160, 1e-170])
@pytest.mark.parametrize("density", [PLaplacian(2.0), IonGas(np.ones((12, 12)))], ids=repr)
def test_changes_of_the_energy_out_of_range_are_refused(density, size):
    with pytest.raises(ConvergenceError, match=r"step 1, energy .*leave the range of float64"):
        minimize_energy(Energy(BOX, density, f=size * np.ones((12, 12)), diffusion=1.0))


@pytest.mark.parametrize("unit", [1e-160, 1e160])
def test_the_unit_of_the_energy_changes_nothing(unit):
    ones = np.ones((12, 12))
    plain = minimize_energy(Energy(BOX, IonGas(3 * ones), f=30 * ones, diffusion=1.0))
    found = minimize_energy(Energy(BOX, IonGas(3 * unit * ones), f=30 * unit * ones, diffusion=unit))
    assert found.converged
    np.testing.assert_allclose(found.u, plain.u, rtol=1e-7)


def test_a_derivative_that_is_not_finite_is_refused():
    class Steep(_Well):
        def derivative(self, x, u, p):
            return np.full(u.shape, np.inf), None

    with pytest.raises(ConvergenceError, match="step 0: the derivative of the energy holds inf"):
        minimize_energy(Energy(BOX, Steep(1.0), diffusion=1.0), np.full((12, 12), 0.5), method="lbfgs")


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_coefficients_of_great_contrast_are_no_sign_of_an_energy_that_is_not_convex(method):
    A = PoissonOperator(np.ones((63, 3), bool), 1 / 64, ("dirichlet", "periodic"))
    energy = Energy(A, PLaplacian(6.0, regularization=1e-6), f=np.ones((63, 3)))
    found = minimize_energy(energy, method=method)
    assert found.converged
    # Each cell of the line: |u'|^4 u' falls from 1/2 to -1/2.
    flux = 0.5 - (np.arange(64) + 0.5) / 64
    slope = np.sign(flux) * abs(flux) ** 0.2
    np.testing.assert_allclose(found.u[:, 1], (np.cumsum(slope) / 64)[:-1], atol=1e-3)


@pytest.mark.parametrize(("power", "least"), [(20.0, 1e-6), (20.0, 1e-9), (10.0, 1e-9)])
def test_high_powers_of_a_tiny_regularization_are_reached_from_zero(power, least):
    found = minimize_energy(Energy(BOX, PLaplacian(power, regularization=least), f=np.ones((12, 12))))
    assert found.converged
    easy = minimize_energy(Energy(BOX, PLaplacian(power, regularization=1e-2), f=np.ones((12, 12))))
    assert found.energy == pytest.approx(easy.energy, rel=1e-3)


@pytest.mark.parametrize("size", [1e2, 1e8])
@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_a_far_start_does_not_loosen_the_tolerance(method, size):
    energy = Energy(BOX, PLaplacian(4.0), f=np.ones((12, 12)))
    near = minimize_energy(energy)
    far = minimize_energy(energy, size * np.random.default_rng(0).normal(size=(12, 12)), method=method, maxiter=400)
    assert far.converged
    assert far.dual_norms[-1] <= 1e-8 * near.dual_norms[0] * (1 + 1e-6)
    np.testing.assert_allclose(far.u, near.u, atol=1e-5)
    assert far.energy == pytest.approx(near.energy, rel=1e-6)
    assert far.energy == pytest.approx(energy(far.u), rel=1e-9)


def test_a_far_start_of_ions_is_held_to_the_norm_of_the_default_start():
    energy = Energy(BOX, IonGas(np.ones((12, 12))), f=np.ones((12, 12)), diffusion=1.0)
    near, start = minimize_energy(energy), np.zeros((12, 12))
    start[:6] = 100.0
    far = minimize_energy(energy, start, maxiter=400)
    assert far.converged
    assert far.dual_norms[-1] <= 1e-8 * near.dual_norms[0] * (1 + 1e-6)
    np.testing.assert_allclose(far.u, near.u, atol=1e-8)
