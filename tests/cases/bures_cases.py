"""Positive definite matrices of chosen condition, what is known of them in many digits, and cases of the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np

import sci
from sci.backend import to_device, to_host
from sci.kernels import block_size
from sci.linalg import BuresWasserstein
from sci.linalg.bures_wasserstein.barycenter import barycenter_reference, solved_barycenters
from sci.linalg.bures_wasserstein.displacement import polar_factors

Pair = tuple[np.ndarray, np.ndarray]
BLOCK = block_size(np.empty(0))


def definite(shape: tuple[int, ...], condition: float, seed: int, dtype: Any = np.float64) -> np.ndarray:
    """Return matrices of the shape (..., n, n) with eigenvalues spread evenly in logarithms about 1."""
    rng, n = np.random.default_rng(seed), shape[-1]
    basis = np.linalg.qr(rng.normal(size=shape))[0]
    values = condition ** (rng.random(shape[:-1]) - 0.5)
    if n > 1:
        values[..., 0], values[..., 1] = condition**0.5, condition**-0.5
    matrices = (basis * values[..., None, :]) @ basis.swapaxes(-1, -2)
    return ((matrices + matrices.swapaxes(-1, -2)) / 2).astype(dtype)


def tangent(shape: tuple[int, ...], seed: int, dtype: Any = np.float64) -> np.ndarray:
    """Return symmetric matrices."""
    v = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return (v + v.swapaxes(-1, -2)) / 2


def _root(matrix: Any) -> Any:
    values, basis = mp.eigsy(matrix)
    return basis * mp.diag([mp.sqrt(x) for x in values]) * basis.T


def exact_distance(p: np.ndarray, q: np.ndarray) -> float:
    """Return the distance by its formula of traces, in 80 digits."""
    with mp.workdps(80):
        first, second = mp.matrix(p.tolist()), mp.matrix(q.tolist())
        root = _root(first)
        values = mp.eigsy(root * second * root, eigvals_only=True)
        traces = sum(first[i, i] + second[i, i] for i in range(len(p)))
        return float(mp.sqrt(traces - 2 * sum(mp.sqrt(x) for x in values)))


def exact_log(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return (PQ)^(1/2) + (QP)^(1/2) - 2 P, in 80 digits."""
    with mp.workdps(80):
        first, second = mp.matrix(p.tolist()), mp.matrix(q.tolist())
        root = _root(first)
        half = root * _root(root * second * root) * mp.inverse(root)
        return np.array((half + half.T - 2 * first).tolist(), dtype=float)


def sets_around(center: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return k matrices with equal weights of which `center` is the exact barycenter: T G T with maps T of mean I."""
    n = len(center)
    maps = definite((k - 1, n, n), 30.0, seed)
    maps *= 0.7 * k / np.linalg.eigvalsh(maps.sum(axis=0))[-1]
    with mp.workdps(50):
        g = mp.matrix(center.tolist())
        exact = [mp.matrix(t.tolist()) for t in maps]
        last = k * mp.eye(n)
        for t in exact:
            last -= t
        found = np.array([(t * g * t).tolist() for t in [*exact, last]], dtype=float)
    return (found + found.swapaxes(-1, -2)) / 2


def barycenters(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Means and outcomes of the kernel and of its reference: part of a block, several blocks, refused matrices."""
    for m, k in ((1, 1), (BLOCK, 2), (BLOCK + 1, 5), (2 * BLOCK + 5, 27), (3, 100)):
        # Numbers about 1/4, so that errors relative to 1 leave room for rounding.
        x = definite((m, k, 3, 3), 4.0, 1000 + m, dtype) / 8
        weights = rng.random((m, k)).astype(dtype)
        weights[:, k // 2] += 1
        weights[0, : k // 2] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        with sci.options(kernels="compiled"):
            found = solved_barycenters(x, weights, 1e-15, 50, (m,)).mean
        expected, report = np.empty((m, 3, 3), dtype), np.empty((m, 4), dtype)
        barycenter_reference(x, weights, expected, report, 50, 1e-15)
        assert (report[:, 3] == -1).all()
        yield found, expected


def polar_factors_of(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    """Orthogonal factors of either determinant, up to matrices that are nearly singular."""
    for count, condition in ((1, 1.0), (BLOCK - 1, 10.0), (BLOCK, 100.0), (3 * BLOCK + 2, 1e3), (5, 1e4)):
        left, right = (np.linalg.qr(rng.normal(size=(count, 3, 3)))[0] for _ in range(2))
        values = condition ** -rng.random((count, 3))
        b, c = (((left * x[:, None, :]) @ right).astype(dtype) for x in (values, 1 / values))
        yield polar_factors(b, c), (left @ right).astype(dtype) if condition < 1e3 else _rounded_factor(b)


def _rounded_factor(b: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(b.astype(np.float64))
    return (left @ right).astype(b.dtype)


def on_device(xp: ModuleType) -> list[np.ndarray]:
    """All that the geometry offers, on arrays of a namespace."""
    p, q, v = (
        to_device(a, xp) for a in (definite((4, 3, 3), 9.0, 1), definite((4, 3, 3), 9.0, 2), tangent((4, 3, 3), 3))
    )
    small, large = (to_device(definite((5, 6, n, n), 9.0, n), xp) for n in (2, 4))
    metric = to_device(definite((3, 3), 5.0, 4), xp)
    results = []
    for geometry in (BuresWasserstein(), BuresWasserstein(metric, 0.5)):
        results += [geometry.distance(p, q), geometry.log(p, q), geometry.exp(p, 0.1 * v)]
        results += [geometry.geodesic(p, q, 0.3), geometry.inner(p, v, v), geometry.transport(p, q, v).vectors]
        results += [geometry.barycenter(q).mean, geometry.variance(q)]
    plain = BuresWasserstein()
    weights = to_device(np.arange(1.0, 7.0), xp)
    results += [plain.barycenter(small, weights).mean, plain.barycenter(large, weights).mean]
    results.append(plain.transport(p, xp.eye(3), v).vectors)
    return [to_host(a) for a in results]
