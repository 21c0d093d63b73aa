"""Energies on small grids with bodies and all kinds of walls, and functions with known minima."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sci.solvers import DoubleWell, Energy, IonGas, MinimalSurface, PLaplacian, PoissonOperator, block_slices

WALLS: tuple[Any, ...] = (
    "dirichlet",
    "periodic",
    [("dirichlet", "neumann"), "neumann", "periodic"],
    ["neumann", ("neumann", "dirichlet"), "dirichlet"],
)


class Anisotropic:
    """A density of x, u and p without Hessian, remainder or symmetry: c(x) sum sqrt(1 + (p - s)^2) + u^4 / 4."""

    def __repr__(self) -> str:
        return "Anisotropic()"

    def density(self, x: Any, u: np.ndarray, p: Any) -> np.ndarray:
        """Return L."""
        return self._c(x) * np.sqrt(1 + (p - self._s(p)) ** 2).sum(axis=0) + u**4 / 4

    def derivative(self, x: Any, u: np.ndarray, p: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return both derivatives."""
        q = p - self._s(p)
        return u**3, self._c(x) * q / np.sqrt(1 + q * q)

    @staticmethod
    def _c(x: Any) -> np.ndarray:
        return 1 + x[0] ** 2 + 0.5 * x[-1]

    @staticmethod
    def _s(p: np.ndarray) -> np.ndarray:
        return np.linspace(0.1, 0.3, len(p)).reshape(-1, *(1,) * (p.ndim - 1))


def densities(shape: tuple[int, ...], seed: int) -> list[tuple[Any, float]]:
    """Return densities with the factor of the quadratic part."""
    rng = np.random.default_rng(seed)
    ions = rng.random(shape) * (rng.random(shape) > 0.3)
    return [
        (PLaplacian(1.4, regularization=0.05), 0.0),
        (PLaplacian(4.5), 0.3),
        (MinimalSurface(), 0.0),
        (DoubleWell(2.0), 0.7),
        (IonGas(ions, rng.normal(size=shape)), 1.5),
        (IonGas(ions, 0.2, valences=(2, -1), numbers=(1.0, 2.0)), 1.0),
        (Anisotropic(), 0.0),
    ]


def energies(seed: int = 0) -> Iterator[Energy]:
    """Yield energies on masks in the plane and in space."""
    rng = np.random.default_rng(seed)
    for k, walls in enumerate(WALLS):
        for shape in ((8, 7), (6, 4, 8)):
            mask = rng.random(shape) > 0.15
            boundary = walls if isinstance(walls, str) else walls[-len(shape) :]
            body = rng.random(shape) > 0.5
            A = PoissonOperator(
                mask, tuple(np.linspace(0.4, 0.7, len(shape))), boundary, neumann_body=body, coefficient=1 + body
            )
            values = rng.normal(size=tuple(n + 2 for n in shape))
            for density, diffusion in densities(shape, k):
                yield Energy(A, density, f=rng.normal(size=shape), diffusion=diffusion, values=values)


def distributed_twin(energy: Energy, comm: Any, levels: int) -> tuple[Energy, tuple[slice, ...]]:
    """Return the same energy on ranks, from blocks of its arrays, and this rank's cells."""
    A, density = energy.A, energy.density
    own = block_slices(A.grid_shape, comm, boundary=A.boundary, levels=levels)
    around = tuple(slice(s.start, s.stop + 2) for s in own)
    B = PoissonOperator(
        A.mask[own],
        A.spacing,
        A.boundary,
        neumann_body=A.neumann_body[own],
        coefficient=None if A.coefficient is None else A.coefficient[own],
        comm=comm,
        grid_shape=A.grid_shape,
        distributed_levels=levels,
    )
    if isinstance(density, IonGas):
        shift = density.shift[own] if hasattr(density.shift, "shape") else density.shift
        density = IonGas(density.strength[own], shift, valences=density.valences, numbers=density.numbers)
    source = energy.given_source
    values = None if energy.values is None else energy.values[around]
    return Energy(B, density, f=source[own], diffusion=energy.diffusion, values=values), own
