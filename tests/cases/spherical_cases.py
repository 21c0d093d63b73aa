"""Inputs for the kernels of the sphere, and what tests of harmonics and of their products share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import sci
from sci.kernels import block_size
from sci.spherical.harmonics import harmonics, harmonics_gradient, harmonics_vjp

Pair = tuple[np.ndarray, np.ndarray]
BLOCK = block_size(np.empty(0))


def vectors(rng: np.random.Generator, n: int, dtype: str = "f8") -> np.ndarray:
    """Return vectors, both poles, the axes and vectors near a pole among them."""
    found = rng.normal(size=(n, 3)) * np.exp(rng.normal(size=(n, 1)))
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


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {"harmonics": _harmonics, "harmonics_vjp": _harmonics_vjp}
