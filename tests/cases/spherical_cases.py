"""Inputs for the kernels of the sphere, and what tests of harmonics and of their products share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import factorial, sqrt

import numpy as np

import sci
from sci.kernels import block_size
from sci.spherical.coupling import coupling_paths
from sci.spherical.harmonics import harmonics, harmonics_gradient, harmonics_vjp
from sci.spherical.sums import coupled_sum, path_sums

Pair = tuple[np.ndarray, np.ndarray]
BLOCK = block_size(np.empty(0))


QUADRUPLES = np.array([[1, 2, 2], [2, 3, 6], [1, 4, 8], [4, 4, 7], [2, 6, 9], [6, 6, 7]])
"""Components of vectors whose lengths are whole numbers."""


def vectors(rng: np.random.Generator, n: int, dtype: str = "f8") -> np.ndarray:
    """Return vectors, both poles, the axes and vectors near a pole among them.

    In float32 their lengths have no rounding: a unit of the last place of a direction changes a harmonic of degree l by
    up to l^2 such units.
    """
    found = rng.normal(size=(n, 3)) * np.exp(rng.normal(size=(n, 1)))
    if dtype == "f4":
        found = rng.permuted(QUADRUPLES[rng.integers(len(QUADRUPLES), size=n)], axis=1) * 2.0 ** rng.integers(
            -5, 1, (n, 1)
        )
        found *= rng.choice([-1.0, 1.0], size=(n, 3))
    special = np.array([[0, 0, 2], [0, 0, -0.5], [1, 0, 0], [0, -3, 0], [1e-9, 0, 1], [0, 1e-12, -1.0]])[: n // 2]
    found[: len(special)] = special
    return found.astype(dtype)


def both(run: Callable[[], np.ndarray]) -> Pair:
    """Return the result of a compiled kernel and of its reference."""
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _cases(rng: np.random.Generator, dtype: str) -> Iterator[tuple[np.ndarray, int, bool]]:
    """Degrees on both sides of the widest rows that the host turns, tiles that are whole and not."""
    for n, degree in ((0, 3), (1, 0), (BLOCK - 1, 1), (BLOCK, 4), (BLOCK + 1, 8), (3 * BLOCK + 5, 6), (5, 18)):
        for solid in (False, True):
            yield vectors(rng, n, dtype) / (4 if degree > 4 else 1), degree, solid


def _harmonics(rng: np.random.Generator, dtype: str, gradient: int) -> Iterator[Pair]:
    def run(v: np.ndarray, degree: int, solid: bool) -> np.ndarray:
        if not gradient:
            return harmonics(v, degree, solid)
        values, gradients = harmonics_gradient(v, degree, solid)
        return np.concatenate([values[:, None], gradients], axis=1)

    for case in _cases(rng, dtype):
        yield both(lambda case=case: run(*case))


def _harmonics_vjp(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for v, degree, solid in _cases(rng, dtype):
        dvalues = rng.normal(size=(len(v), (degree + 1) ** 2)).astype(dtype)
        yield both(lambda v=v, d=dvalues, degree=degree, solid=solid: harmonics_vjp(v, d, degree, solid))


def _sums(rng: np.random.Generator, dtype: str) -> Iterator[tuple[list[np.ndarray], tuple[int, int, int], str]]:
    """Features x, y, z: no batch, channels on both sides of a block, degrees that differ, sums without entries."""
    for batch, channels, degrees, kind in (
        *((0, 3, (2, 2, 2), "gaunt"), (1, 1, (0, 0, 0), "gaunt"), (3, BLOCK, (2, 1, 3), "even")),
        *((2, BLOCK + 1, (3, 3, 3), "odd"), (5, 7, (4, 4, 2), "gaunt"), (2, 2 * BLOCK + 3, (1, 0, 3), "even")),
        (4, 3, (0, 1, 1), "odd"),
    ):
        yield [rng.normal(size=(batch, (d + 1) ** 2, channels)).astype(dtype) for d in degrees], degrees, kind


def _coupled_sum(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for (x, y, z), degrees, kind in _sums(rng, dtype):
        paths = len(coupling_paths(*degrees, "odd" if kind == "odd" else "even"))
        weights = None if kind == "gaunt" else rng.normal(size=(paths, x.shape[2])).astype(dtype)
        for of, a, b in (("z", x, y), ("x", z, y), ("y", x, z)):
            yield both(lambda a=a, b=b, of=of, d=degrees, k=kind, w=weights: coupled_sum(a, b, d, k, of, w))


def _path_sums(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for (x, y, z), degrees, kind in _sums(rng, dtype):
        paths = len(coupling_paths(*degrees, "odd" if kind == "odd" else "even"))
        yield both(lambda x=x, y=y, z=z, d=degrees, k=kind, n=paths: path_sums(x, y, z, d, k, n))


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "harmonics": _harmonics,
    "harmonics_vjp": _harmonics_vjp,
    "coupled_sum": _coupled_sum,
    "path_sums": _path_sums,
}


def rotations(rng: np.random.Generator, n: int, proper: bool | None = None) -> np.ndarray:
    """Return random orthogonal matrices, about half of them improper unless asked for."""
    found = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    sign = np.sign(np.linalg.det(found))
    wanted = rng.choice([-1.0, 1.0], size=n) if proper is None else np.where(proper, 1.0, -1.0)
    return found * (sign * wanted)[:, None, None]


@functools.cache
def _racah(l1: int, m1: int, l2: int, m2: int, l3: int) -> float:
    """The coefficient <l1 m1 l2 m2 | l3 m1 + m2> by Racah's sum of rational numbers."""
    m3 = m1 + m2
    if abs(m3) > l3:
        return 0.0
    total = Fraction(0)
    for k in range(l1 + l2 - l3 + 1):
        parts = (k, l1 + l2 - l3 - k, l1 - m1 - k, l2 + m2 - k, l3 - l2 + m1 + k, l3 - l1 - m2 + k)
        if min(parts) >= 0:
            product = 1
            for part in parts:
                product *= factorial(part)
            total += Fraction((-1) ** k, product)
    square = Fraction(
        (2 * l3 + 1) * factorial(l3 + l1 - l2) * factorial(l3 - l1 + l2) * factorial(l1 + l2 - l3),
        factorial(l1 + l2 + l3 + 1),
    )
    for ell, m in ((l1, m1), (l2, m2), (l3, m3)):
        square *= factorial(ell + m) * factorial(ell - m)
    exact = total * total * square
    return float(np.sign(total)) * sqrt(exact.numerator) / sqrt(exact.denominator) if total else 0.0


def _to_real(ell: int) -> np.ndarray:
    """The matrix from harmonics of Condon and Shortley, m = -l to l, to real ones."""
    found = np.zeros((2 * ell + 1, 2 * ell + 1), complex)
    found[ell, ell] = 1
    for m in range(1, ell + 1):
        found[ell + m, [ell - m, ell + m]] = np.array([1, (-1) ** m]) / sqrt(2)
        found[ell - m, [ell - m, ell + m]] = np.array([1j, -1j * (-1) ** m]) / sqrt(2)
    return found


def racah_clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """Clebsch-Gordan coefficients of real harmonics from Racah's formula: real, or i times real for odd sums."""
    found = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1), complex)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            if abs(m1 + m2) <= l3:
                found[l1 + m1, l2 + m2, l3 + m1 + m2] = _racah(l1, m1, l2, m2, l3)
    a, b, c = (_to_real(ell) for ell in (l1, l2, l3))
    return np.einsum("abc,ia,jb,kc->ijk", found, a.conj(), b.conj(), c)
