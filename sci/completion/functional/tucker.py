"""The fitted functional Tucker model: a core whose covariance is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.completion.functional.factors import packed_moments
from sci.completion.functional.field import FunctionalField, Tables
from sci.completion.functional.posterior import FunctionalFactor
from sci.errors import ShapeError

__all__ = ["FunctionalTucker", "folded"]

_BLOCK = 2**20
"""Numbers that are formed at once."""


@entry
@dataclass(frozen=True, eq=False)
class FunctionalTucker(FunctionalField):
    """A field y(x) = offset + scale sum_r W_r prod_k f_{k r_k}(x_k) + noise, with B independent fits of W and f.

    Made by `functional_tucker`.

    Parameters
    ----------
    factors : tuple of K FunctionalFactor
    offset, scale : float
        Of the values.
    noise : (B,) float64 array
        Noise variance of each fit, of standardized values.
    bounds : (B,) float64 array
        Lower bounds of the log evidence.
    history : (sweeps, B) float64 array
        The bounds after each sweep.
    noise_scale : float
    noise_weights : tuple of K (n_k,) float64 arrays
        The noise variance of an entry at places i is noise_scale over the product of the `noise_weights[k][i[k]]`,
        which are 1 at new places.
    quantiles : (103,) float64 array
        See `Prediction`.
    left_out_rms : float
        Root mean square of the residuals of the entries, each as if it were left out, in units of the values.
    core : (B, R_1, ..., R_K) float64 array
        Mean of W.
    core_covariance : (B, P, P) float64 array
        Of W as a vector of P = prod R_k numbers in C order.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import functional_tucker, observe
    >>> i, j = np.divmod(np.random.default_rng(0).permutation(400)[:250], 20)
    >>> y = np.sin(i / 3) * np.cos(j / 4)
    >>> model = functional_tucker(observe(np.stack([i, j], axis=1), y, shape=(20, 20)), (2, 2), restarts=1)
    >>> model.tucker_ranks
    (2, 2)
    """

    factors: tuple[FunctionalFactor, ...]
    core: np.ndarray
    core_covariance: np.ndarray

    def __post_init__(self) -> None:
        ranks = tuple(factor.lengths.shape[1] for factor in self.factors)
        size = math.prod(ranks)
        for name, shape in (("core", (len(self.noise), *ranks)), ("core_covariance", (len(self.noise), size, size))):
            if getattr(self, name).shape != shape:
                raise ShapeError(f"{name} has shape {getattr(self, name).shape}; expected {shape}")

    def __repr__(self) -> str:
        names = ", ".join(axis.name for axis in self.axes)
        return (
            f"FunctionalTucker({self.tucker_ranks} functions of {names}; {len(self.noise)} restarts; noise "
            f"{self.noise_deviation:.4g})"
        )

    @property
    def tucker_ranks(self) -> tuple[int, ...]:
        """Functions of each axis."""
        return tuple(map(int, self.core.shape[1:]))

    def _table(self, k: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means (q, B, R_k) and packed second moments (q, B, T_k) of the functions of an axis."""
        mean, covariance = self.factors[k].at(places)
        return mean, packed_moments(mean, covariance, np.arange(mean.shape[-1]))

    def _combined(self, tables: Tables, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean of the standardized field at rows of the tables, and its variance within and between restarts."""
        restarts = len(self.noise)
        means: np.ndarray = np.empty((restarts, len(index)))
        squares = np.empty_like(means)
        for b in range(restarts):
            second = core_moments(self.core[b].ravel(), self.core_covariance[b])
            moments = folded(second, self.tucker_ranks, range(len(self.tucker_ranks)))
            step = max(1, _BLOCK // moments[0].size)
            for start in range(0, len(index), step):
                part = slice(start, start + step)
                means[b, part] = _contracted(self.core[b], [u[index[part, k], b] for k, (u, _) in enumerate(tables)])
                squares[b, part] = _contracted(moments, [s[index[part, k], b] for k, (_, s) in enumerate(tables)])
        within = np.maximum(squares - means * means, np.finfo(float).eps * np.abs(squares)).mean(axis=0)
        return means.mean(axis=0), within, means.var(axis=0)


def core_moments(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return E w w^T."""
    return np.asarray(np.outer(mean, mean) + covariance)


def _contracted(core: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    """Return the sum of the core times one row (m, R_k) of each axis, for all m."""
    m = len(rows[0])
    found = rows[0] @ core.reshape(core.shape[0], -1)
    for row in rows[1:]:
        found = np.einsum("mr,mrs->ms", row, found.reshape(m, row.shape[1], -1))
    return np.asarray(found[:, 0])


def folded(second: np.ndarray, ranks: tuple[int, ...], axes: range | list[int]) -> np.ndarray:
    """Return E w w^T with the pairs (r_j, r'_j) of some axes added up by unordered pair.

    Parameters
    ----------
    second : (P, P) array
    ranks : tuple of K int
        P is their product.
    axes : ascending axes j
        To be folded to T_j = R_j (R_j + 1) / 2; the others keep R_k^2.

    Returns
    -------
    (.., T_j or R_k^2, ...) array
        One axis for each of the K.
    """
    k = len(ranks)
    paired = second.reshape(*ranks, *ranks).transpose([j + side * k for j in range(k) for side in (0, 1)])
    paired = paired.reshape([r * r for r in ranks])
    for j in axes:
        rows, columns = np.triu_indices(ranks[j])
        fold: np.ndarray = np.zeros((ranks[j] ** 2, len(rows)))
        fold[rows * ranks[j] + columns, np.arange(len(rows))] = 1.0
        fold[columns * ranks[j] + rows, np.arange(len(rows))] = 1.0
        paired = np.moveaxis(np.tensordot(paired, fold, axes=(j, 0)), -1, j)
    return np.asarray(paired)
