"""Descent on a torus: the bound of its contraction in one to three dimensions, and the solution."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.solvers import torus_descent


def _problem(n, dim, a):
    """Return a flux with eigenvalues between 1 and 1 + a, a solution of low modes, and its source."""
    x = np.meshgrid(*[2 * np.pi * np.arange(n) / n] * dim, indexing="ij")
    u = sum(np.cos(x[k] + 0.3 * k) for k in range(dim)) + 0.5 * np.sin(x[0] + x[-1])

    def flux(p):
        return p + a * p / np.sqrt(1 + p * p)

    waves = np.meshgrid(*[n * np.fft.fftfreq(n) * (1 - (n % 2 == 0) * (np.arange(n) == n // 2))] * dim, indexing="ij")
    p = np.stack([np.fft.ifftn(1j * w * np.fft.fftn(u)).real for w in waves])
    f = -sum(np.fft.ifftn(1j * w * np.fft.fftn(q)).real for w, q in zip(waves, flux(p)))
    return flux, f, u - u.mean()


@pytest.mark.parametrize(("dim", "n"), [(1, 65), (1, 64), (2, 33), (2, 32), (3, 17), (3, 16)])
@pytest.mark.parametrize("a", [1.0, 4.0])
def test_the_contraction_is_within_its_bound(dim, n, a):
    flux, f, u = _problem(n, dim, a)
    found = torus_descent(flux, f, (1.0, 1.0 + a))
    bound = a / (2 + a)
    assert found.converged
    assert 0.5 * bound < found.contraction <= bound + 0.01
    assert len(found.steps) <= np.log(1e-8) / np.log(bound) + 2
    np.testing.assert_allclose(found.u, u, atol=1e-6)


def test_distances_to_the_solution_shrink_by_the_bound_as_well():
    flux, f, u = _problem(33, 2, 4.0)
    distances = []
    for steps in range(1, 8):
        error = np.fft.fftn(torus_descent(flux, f, (1.0, 5.0), maxiter=steps).u - u)
        waves = 33 * np.fft.fftfreq(33)
        distances.append(np.sqrt(((waves[:, None] ** 2 + waves**2) * abs(error) ** 2).sum()))
    assert (np.array(distances[1:]) <= (2 / 3 + 0.01) * np.array(distances[:-1])).all()


def test_other_lengths_and_starts():
    flux, f, u = _problem(33, 2, 1.0)
    half = torus_descent(lambda p: flux(p / 2) * 2, 4 * f, (1.0, 2.0), lengths=np.pi)
    np.testing.assert_allclose(half.u, u, atol=1e-6)
    assert len(torus_descent(flux, f, (1.0, 2.0), u0=u + 1.0, maxiter=3).steps) <= 3


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"bounds": (2.0, 1.0)}, InvalidValueError, "bounds are"),
        ({"f": np.ones(9)}, InvalidValueError, "f has the mean 1"),
        ({"f": np.zeros(2)}, ShapeError, "at least 3 points"),
        ({"lengths": (1.0, 2.0)}, InvalidValueError, "lengths"),
        ({"flux": lambda p: p[0]}, ShapeError, "flux returned shape"),
        ({"flux": lambda p: 40 * p}, ConvergenceError, "between 1 and 2"),
        ({"rtol": 0.0}, InvalidValueError, "rtol"),
    ],
)
def test_what_it_refuses(change, error, match):
    given = {"flux": lambda p: p, "f": np.sin(2 * np.pi * np.arange(9) / 9), "bounds": (1.0, 2.0), **change}
    with pytest.raises(error, match=match):
        torus_descent(given.pop("flux"), given.pop("f"), given.pop("bounds"), **given)
