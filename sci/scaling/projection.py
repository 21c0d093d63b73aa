"""Variable projection for sums of powers: many data sets at once, with a robust loss."""

from __future__ import annotations

from itertools import combinations

import numpy as np

__all__ = ["Projection"]

_SMALLEST_DELTA = 1e-3
"""Relative residual from which the Huber loss is linear, at least (Hoffmann et al. take this one)."""
_STARTS = 24
"""Exponents on each axis from which the search starts."""
_LEAST, _MOST = 0.02, 40.0
"""Exponents times the logarithm of the range of x: a term that changes by less is a logarithm, by more is a step."""


class Projection:
    """Exponents by a damped Gauss-Newton iteration on the projected residuals, many data sets at once.

    Parameters
    ----------
    u : (n, k) array
        Logarithms of x over the references.
    ranges : (k,) array
        Their extent.
    """

    def __init__(self, u: np.ndarray, ranges: np.ndarray) -> None:
        self.u, self.ranges = u, ranges
        self.free = len(u) - 1 - 2 * u.shape[1]
        self.lowest, self.highest = _LEAST / ranges, _MOST / ranges
        columns = range(1 + u.shape[1])
        self.subsets = [c for size in range(1, 2 + u.shape[1]) for c in combinations(columns, size)]

    def starts(self, loss: np.ndarray) -> np.ndarray:
        """Return the logarithms of the best five exponents of a full grid, (1, 5, k)."""
        axes = [np.linspace(np.log(2 * low), np.log(high / 2), _STARTS) for low, high in zip(self.lowest, self.highest)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        same = np.broadcast_to(loss, (len(grid), len(loss)))
        cost = self.projected(grid, same, np.ones_like(same))[2]
        return grid[np.argsort((cost**2).sum(axis=1), kind="stable")[:5]][None]

    def projected(
        self, logs: np.ndarray, loss: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the best coefficients from 0, the basis, the weighted residuals, and their derivative by `logs`."""
        b, n = loss.shape
        k = self.u.shape[1]
        scale = np.sqrt(weights) / loss
        powers = np.exp(logs)[:, None, :] * self.u
        basis = np.concatenate([np.ones((b, n, 1)), np.exp(-powers)], axis=2)
        weighted, right = basis * scale[..., None], np.sqrt(weights)
        best = np.full(b, np.inf)
        coefficients, residuals = np.zeros((b, 1 + k)), np.zeros((b, n))
        slopes = np.zeros((b, n, k))
        inner = -(powers * basis[..., 1:]) * scale[..., None]
        for subset in self.subsets:
            chosen = list(subset)
            q, r = _orthogonal(weighted[..., chosen])
            c = _triangular(r, np.einsum("bnc,bn->bc", q, right))
            left = np.einsum("bnc,bc->bn", weighted[..., chosen], c) - right
            cost = np.where((c >= 0).all(axis=1), (left**2).sum(axis=1), np.inf)
            better = cost < best
            best = np.where(better, cost, best)
            full = np.zeros((b, 1 + k))
            full[:, chosen] = c
            moved = inner * full[:, None, 1:]
            moved = moved - q @ (q.swapaxes(1, 2) @ moved)  # Kaufman: out of the span of the basis
            coefficients[better], residuals[better], slopes[better] = full[better], left[better], moved[better]
        return coefficients, basis, residuals, slopes

    def fitted(self, loss: np.ndarray, starts: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return coefficients with exponents, the noise, and the relative residuals L / loss - 1 of each data set.

        `tol` is the last change of the logarithms of the exponents.
        """
        b, tries, k = len(loss), starts.shape[1], starts.shape[2]
        many = np.repeat(loss, tries, axis=0)
        logs = np.array(np.broadcast_to(starts, (b, tries, k)).reshape(-1, k))
        weights = np.ones_like(many)
        for _ in range(30):
            logs, coefficients, relative = self._descended(logs, many, weights, tol)
            deviation = 1.4826 * np.median(np.abs(relative), axis=1) * np.sqrt(len(self.u) / self.free)
            delta = np.maximum(_SMALLEST_DELTA, 1.345 * deviation)[:, None]
            before, weights = weights, np.minimum(1.0, delta / np.maximum(np.abs(relative), 1e-300))
            if np.abs(weights - before).max() < 1e4 * tol:
                break
        size = np.minimum(np.abs(relative), delta)
        cost = (size * (np.abs(relative) - size / 2)).sum(axis=1).reshape(b, tries)
        # Standard deviation of an M-estimate: clipped residuals over the share that is not clipped (Huber 1964).
        noise = np.sqrt((size**2).sum(axis=1) / self.free) / (np.abs(relative) <= delta).mean(axis=1)
        pick = np.arange(b) * tries + cost.argmin(axis=1)
        return np.concatenate([coefficients, np.exp(logs)], axis=1)[pick], noise[pick], relative[pick]

    def _descended(
        self, logs: np.ndarray, loss: np.ndarray, weights: np.ndarray, tol: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return exponents' logarithms, coefficients and relative residuals at the least weighted squares."""
        k = logs.shape[1]
        low, high = np.log(self.lowest), np.log(self.highest)
        coefficients, basis, residuals, slopes = self.projected(logs, loss, weights)
        cost, damping = (residuals**2).sum(axis=1), np.full(len(logs), 1e-3)
        for _ in range(100):
            normal = np.einsum("bnk,bnl->bkl", slopes, slopes)
            trace = np.einsum("bkk->b", normal)
            ridge = damping * trace + 1e-300
            step = np.linalg.solve(
                normal + ridge[:, None, None] * np.eye(k), -np.einsum("bnk,bn->bk", slopes, residuals)[..., None]
            )[..., 0]
            trial = np.clip(logs + np.clip(step, -1.0, 1.0), low, high)
            new = self.projected(trial, loss, weights)
            new_cost = (new[2] ** 2).sum(axis=1)
            better = new_cost < cost
            moved = np.abs(trial - logs).max(axis=1)
            logs = np.where(better[:, None], trial, logs)
            for old, fresh in zip((coefficients, basis, residuals, slopes), new):
                old[better] = fresh[better]
            cost = np.where(better, new_cost, cost)
            damping = np.where(better, np.maximum(damping / 10, 1e-12), np.minimum(damping * 10, 1e6))
            if ((moved < tol) | (~better & (damping > 1e4)) | (cost < 1e-31)).all():
                break
        predicted = np.einsum("bnc,bc->bn", basis, coefficients)
        return logs, coefficients, predicted / loss - 1


def _orthogonal(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return q, r with a = q r for a batch (b, n, k) of few columns: Gram-Schmidt twice, which is as exact as QR.

    Array calls over the batch; a call of LAPACK for each matrix costs ten times as much.
    """
    b, _, k = a.shape
    q, r = a.copy(), np.zeros((b, k, k))
    for j in range(k):
        for _ in range(2):
            parts = np.einsum("bnc,bn->bc", q[..., :j], q[..., j])
            q[..., j] -= np.einsum("bnc,bc->bn", q[..., :j], parts)
            r[:, :j, j] += parts
        r[:, j, j] = np.sqrt(np.einsum("bn,bn->b", q[..., j], q[..., j]))
        q[..., j] /= r[:, j, j, None]
    return q, r


def _triangular(r: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the solutions c of r c = right for upper triangular r (b, k, k)."""
    c = np.zeros_like(right)
    for j in reversed(range(right.shape[1])):
        c[:, j] = (right[:, j] - np.einsum("bi,bi->b", r[:, j, j + 1 :], c[:, j + 1 :])) / r[:, j, j]
    return c
