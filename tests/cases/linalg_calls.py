"""One right call of every public function and class of `sci.linalg`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import Call, call, real

from sci import linalg

POINTS = real(5, 3)
DIAGONAL = np.arange(1.0, 9.0)
SQUARE = np.array([[[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]], np.diag([1.0, 2.0, 3.0])])
TANGENT = real(2, 3, 3) + real(2, 3, 3).swapaxes(1, 2) * 0
TANGENT = TANGENT + TANGENT.swapaxes(1, 2)


def _apply(x: np.ndarray) -> np.ndarray:
    return DIAGONAL * x


def _linalg() -> dict[str, Call]:
    basis, alpha, beta = linalg.lanczos(_apply, 8, 4)
    eigen, geometry = linalg.symmetric_eigen(SQUARE), linalg.BuresWasserstein(np.eye(3), 0.5)
    quadrature = linalg.lanczos_quadrature(_apply, 8, probes=2, steps=3)
    density = quadrature.density()
    woodbury = linalg.WoodburySolver(real(2, 6), 0.5)
    means, weights = SQUARE[None], np.array([0.25, 0.75])
    chain = linalg.matern_chain(np.array([0.0, 0.5, 2.0]), np.ones((1, 2)), 1.5)
    messages = np.ones((1, 2)), np.stack([np.eye(2)[None]] * 3), real(3, 1, 2)
    smoothed = linalg.smooth(chain, *messages)
    return {
        "Barycenter": call(linalg.Barycenter, SQUARE, np.zeros(2), np.zeros(2), np.ones(2, int)),
        "BuresWasserstein": call(linalg.BuresWasserstein, np.eye(3), 0.5),
        "BuresWasserstein.barycenter": call(geometry.barycenter, means, weights, tol=1e-9, maxiter=50),
        "BuresWasserstein.distance": call(geometry.distance, SQUARE, SQUARE[::-1]),
        "BuresWasserstein.exp": call(geometry.exp, SQUARE, 0.01 * TANGENT),
        "BuresWasserstein.geodesic": call(geometry.geodesic, SQUARE, SQUARE[::-1], np.array([0.25, 0.5])),
        "BuresWasserstein.inner": call(geometry.inner, SQUARE, TANGENT, TANGENT),
        "BuresWasserstein.log": call(geometry.log, SQUARE, SQUARE[::-1]),
        "BuresWasserstein.transport": call(geometry.transport, SQUARE, SQUARE[::-1], TANGENT, tol=1e-6),
        "BuresWasserstein.variance": call(geometry.variance, means, weights, SQUARE[:1]),
        "Extremes": call(linalg.Extremes, 1.0, 2.0, 0.0, 0.0),
        "Extremes.merged": call(linalg.Extremes(1.0, 2.0, 0.0, 0.0).merged, linalg.Extremes(1.0, 3.0, 0.0, 0.0)),
        "LanczosQuadrature": call(linalg.LanczosQuadrature, quadrature.coefficients, 8),
        "MaternChain": call(linalg.MaternChain, chain.transition, chain.noise, chain.step, False),
        "PackedPoints": call(linalg.PackedPoints, POINTS),
        "Smoothed": call(linalg.Smoothed, smoothed.mean, smoothed.covariance, np.zeros(1), np.zeros((1, 2))),
        "SpectralDensity": call(linalg.SpectralDensity, density.nodes, density.weights, 8),
        "SpectralDensity.below": call(density.below, np.array([2.0, 3.0])),
        "SpectralDensity.smoothed": call(density.smoothed, np.array([2.0, 3.0]), 0.5),
        "SymmetricEigen": call(linalg.SymmetricEigen, eigen.values, eigen.vectors),
        "SymmetricEigen.function": call(eigen.function, "power", 0.5),
        "SymmetricEigen.function_vjp": call(eigen.function_vjp, TANGENT, "log"),
        "SymmetricEigen.lyapunov": call(eigen.lyapunov, TANGENT),
        "TraceEstimate": call(linalg.TraceEstimate, 1.0, 0.1, 0.1, 2, 3),
        "TransportedVectors": call(linalg.TransportedVectors, TANGENT, np.zeros(2)),
        "WoodburySolver": call(linalg.WoodburySolver, real(2, 6), 0.5),
        "WoodburySolver.solve": call(woodbury.solve, real(6)),
        "WoodburySolver.solve_combination": call(woodbury.solve_combination, real(2)),
        "associative_scan": call(linalg.associative_scan, lambda a, b: (a[0] + b[0],), (real(5),), reverse=True),
        "extreme_eigenvalues": call(linalg.extreme_eigenvalues, alpha, beta),
        "fractional_anisotropy": call(linalg.fractional_anisotropy, SQUARE),
        "gram_matrix": call(linalg.gram_matrix, real(2, 6), real(3, 6)),
        "lanczos": call(linalg.lanczos, _apply, 8, 3, start=real(8), seed=1, reorthogonalize=False),
        "lanczos_quadrature": call(linalg.lanczos_quadrature, _apply, 8, probes=2, steps=3, seed=1, size=8),
        "log_evidence": call(linalg.log_evidence, chain, *messages),
        "log_determinant": call(linalg.log_determinant, _apply, 8, probes=2, steps=3, seed=1),
        "log_sum_exp": call(linalg.log_sum_exp, POINTS, POINTS[:3], real(3), 2.0),
        "matern_chain": call(linalg.matern_chain, np.array([0.0, 0.5]), np.ones((1, 2)), 1.5),
        "lyapunov": call(linalg.lyapunov, SQUARE, TANGENT),
        "nearest": call(linalg.nearest, POINTS, POINTS[:3]),
        "nearest_k": call(linalg.nearest_k, POINTS, 2, POINTS[:3]),
        "polar": call(linalg.polar, SQUARE, proper=True),
        "random_signs": call(linalg.random_signs, np.arange(4), 1, 0),
        "smooth": call(linalg.smooth, chain, *messages, length_score=True),
        "smooth_by_scan": call(linalg.smooth_by_scan, chain, *messages),
        "ritz_vectors": call(linalg.ritz_vectors, basis, alpha, beta),
        "spectral_density": call(linalg.spectral_density, _apply, 8, probes=2, steps=3, seed=1),
        "steepest": call(linalg.steepest, POINTS, np.arange(5.0), classes=False),
        "symmetric_eigen": call(linalg.symmetric_eigen, SQUARE),
        "symmetric_function": call(linalg.symmetric_function, SQUARE, "rectify", threshold=0.5),
        "trace_of_function": call(linalg.trace_of_function, _apply, 8, np.sqrt, probes=2, steps=3, seed=1),
        "tridiagonal_of": call(linalg.tridiagonal_of, [0.4, 0.5], [0.0, 0.25]),
        "weighted_sum": call(linalg.weighted_sum, POINTS, POINTS[:3], real(3, 2), real(3), 2.0, 10 + abs(real(5))),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"linalg": _linalg}
