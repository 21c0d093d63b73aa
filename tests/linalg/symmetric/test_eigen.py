"""Functions of matrices and their gradients against independent oracles, at and near repeated eigenvalues."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from symmetric_cases import FUNCTIONS, SPECTRA, exact, symmetric, with_spectrum

import sci
from sci.errors import ShapeError
from sci.linalg import SymmetricEigen, symmetric_eigen, symmetric_function
from sci.linalg.symmetric.eigen import symmetric_function_vjp
from sci.linalg.symmetric.functions import chosen

SMOOTH = [case for case in FUNCTIONS if case[0] != "rectify"]
SCALABLE = [case for case in FUNCTIONS if case[0] != "exp" and abs(case[1].get("exponent", 0)) < 1]


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with sci.options(kernels=request.param):
        yield


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 12, 16, 31, 32, 33, 50])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_decomposition_of_every_order(n: int, dtype: type) -> None:
    a = symmetric((3, 2, n, n), 1, dtype)
    a[0, 0] = np.eye(n)
    a[0, 1] = 0
    a[1, 0] = np.outer(a[1, 0, 0], a[1, 0, 0])
    eigen = symmetric_eigen(a)
    eps = 4 * np.sqrt(n) * np.finfo(dtype).eps
    assert eigen.values.dtype == eigen.vectors.dtype == dtype
    assert (np.diff(eigen.values, axis=-1) >= 0).all()
    size = abs(eigen.values).max(axis=-1)[..., None]
    exact = np.linalg.eigvalsh(a.astype(np.float64))
    assert (abs(eigen.values - exact) <= eps * size).all()
    u = eigen.vectors
    assert abs(u.swapaxes(-1, -2) @ u - np.eye(n)).max() < eps
    assert (abs((u * eigen.values[..., None, :]) @ u.swapaxes(-1, -2) - a) <= eps * size[..., None]).all()


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(("name", "options"), SMOOTH)
def test_functions_and_gradients_in_many_digits(name: str, options: dict[str, float], spectrum: str, n: int) -> None:
    values = np.array(SPECTRA[spectrum][:n]).clip(None, 30 if name == "exp" else np.inf)
    a, e = with_spectrum(values), symmetric((n, n), 5)
    value, change = exact(a, e, name, **options)
    # Eigenvalues have errors of a few units of the last place of the largest, which the slopes amplify.
    slopes = abs(chosen(name, options.get("exponent"), None).differences(values)).max()
    error = 40 * np.finfo(float).eps * (values.max() * slopes + abs(value).max())
    np.testing.assert_allclose(symmetric_function(a, name, **options), value, rtol=0, atol=error)
    # The derivative is symmetric: what it makes of a direction is what the gradient makes of a covector.
    gradient = symmetric_function_vjp(a, e, name, **options)
    np.testing.assert_allclose(gradient, change, rtol=0, atol=1e-14 * values.max() / values.min() * abs(change).max())
    np.testing.assert_array_equal(gradient, gradient.T)


@pytest.mark.parametrize("spectrum", [s for s in SPECTRA if s != "wide"])
@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
def test_gradients_are_those_of_central_differences(name: str, options: dict[str, float], spectrum: str) -> None:
    a, g, e = with_spectrum(SPECTRA[spectrum]), np.random.default_rng(2).normal(size=(4, 4)), symmetric((4, 4), 3)
    h = 1e-5
    up, down = (np.vdot(g, symmetric_function(a + s * h * e, name, **options)) for s in (1, -1))
    gradient = symmetric_function_vjp(a, g, name, **options)
    assert abs((up - down) / (2 * h) - np.vdot(gradient, e)) < 1e-7 * max(
        np.linalg.norm(gradient), 0.1
    ) * np.linalg.norm(e)


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1e200])
@pytest.mark.parametrize(("name", "options"), SCALABLE)
def test_units_change_nothing(name: str, options: dict[str, float], unit: float) -> None:
    """f(s A) = s^p f(A); a gradient dF of a loss without unit is one over the unit of F."""
    unit = 2.0 ** np.round(np.log2(unit))
    degree = {"sqrt": 0.5, "inverse_sqrt": -0.5, "log": 0, "inverse": -1, "rectify": 1}.get(name, 0.3)
    a, g = with_spectrum(SPECTRA["near 1e-6"]), symmetric((4, 4), 8)
    of_unit = {"threshold": options["threshold"] * unit} if name == "rectify" else options
    shift = np.log(unit) * np.eye(4) if name == "log" else 0
    expected = symmetric_function(a, name, **options) * unit**degree + shift
    np.testing.assert_allclose(
        symmetric_function(a * unit, name, **of_unit), expected, rtol=1e-12, atol=1e-12 * unit**degree
    )
    found = symmetric_function_vjp(a * unit, g / unit**degree, name, **of_unit)
    np.testing.assert_allclose(found * unit, symmetric_function_vjp(a, g, name, **options), rtol=1e-12, atol=1e-13)


def test_one_decomposition_serves_several_functions() -> None:
    a = np.array([with_spectrum(s) for s in SPECTRA.values()])
    eigen, g = symmetric_eigen(a), symmetric(a.shape, 4)
    root, inverse_root = eigen.function("sqrt"), eigen.function("inverse_sqrt")
    size = abs(a).max(axis=(-1, -2), keepdims=True)
    np.testing.assert_allclose(root @ root / size, a / size, rtol=0, atol=1e-14)
    np.testing.assert_allclose(root @ inverse_root, np.broadcast_to(np.eye(4), a.shape), rtol=0, atol=1e-11)
    np.testing.assert_allclose(eigen.function("power", 0.5), root, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(eigen.function_vjp(g, "power", 0.5), eigen.function_vjp(g, "sqrt"), rtol=0, atol=1e-12)
    # The gradient of the square root solves Lyapunov's equation with the root.
    np.testing.assert_allclose(symmetric_eigen(root).lyapunov(g), eigen.function_vjp(g, "sqrt"), rtol=0, atol=1e-11)
    np.testing.assert_array_equal(
        eigen.function_vjp(g, "rectify", threshold=1e-9), eigen.function_vjp(g, "rectify", threshold=1e-8)
    )
    assert repr(eigen) == "SymmetricEigen(10 matrices of order 4, float64)"


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
def test_float32_has_its_own_precision(name: str, options: dict[str, float]) -> None:
    a = np.array([with_spectrum(SPECTRA[s]) for s in ("apart", "pair", "near 1e-3", "near 1e-6")])
    g = symmetric(a.shape, 4)
    for double, found in (
        (symmetric_function(a, name, **options), symmetric_function(a.astype("f4"), name, **options)),
        (
            symmetric_function_vjp(a, g, name, **options),
            symmetric_function_vjp(a.astype("f4"), g.astype("f4"), name, **options),
        ),
    ):
        assert found.dtype == np.float32
        if name == "rectify":
            continue
        np.testing.assert_allclose(found, double, rtol=0, atol=3e-5 * abs(double).max())


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 4, 4)])
@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
def test_empty_batches(name: str, options: dict[str, float], shape: tuple[int, ...]) -> None:
    empty = np.empty(shape, np.float32)
    eigen = symmetric_eigen(empty)
    assert eigen.values.shape == shape[:-1]
    results = (eigen.function(name, **options), eigen.function_vjp(empty, name, **options), eigen.lyapunov(empty))
    assert [(r.shape, r.dtype) for r in results] == [(shape, np.dtype("f4"))] * 3


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected"):
        SymmetricEigen(np.ones(3), np.ones((2, 3, 3)))
