"""Tucker completion: alternating ridge regressions of factors and core on the observed entries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sci.arguments import collective_entry
from sci.completion.alternating.cp import check_settings
from sci.completion.alternating.tensor import CompletedTensor, expanded
from sci.completion.functional.factors import packed_moments
from sci.completion.observations import Observations
from sci.completion.sums import EntrySums
from sci.distributed import agreed, allreduce_sum
from sci.errors import InvalidValueError
from sci.progress import progress
from sci.tensor import Tucker

__all__ = ["complete_tucker"]

_MOST = 1000
"""Entries of a core: its normal equations have as many unknowns."""


@collective_entry
def complete_tucker(
    observations: Observations,
    ranks: Sequence[int],
    *,
    ridge: float = 0.3,
    restarts: int = 4,
    maxiter: int = 100,
    tol: float = 1e-5,
    seed: int = 0,
) -> CompletedTensor:
    """Complete a tensor by a Tucker tensor of given ranks, the best of several starts.

    Minimizes sum_n c_n (y_n - <W, u_1(i_1n) o ... o u_K(i_Kn)>)^2 + ridge (|W|^2 + sum_k |U_k|^2) over the factors of
    one axis after the other, and over the core.

    Parameters
    ----------
    observations : Observations
    ranks : sequence of K int
        Of a core of at most 1,000 entries; `complete_cp` is for larger ranks.
    ridge, restarts, maxiter, tol, seed
        See `complete_cp`.

    Returns
    -------
    CompletedTensor
        The same on all ranks.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Collective over the ranks of the observations. A sweep takes 4 m prod_k r_k (r_k + 1) / 2 flops an axis for m
    entries: many times those of a CP.

    References
    ----------
    Filipovic and Jukic, Multidim. Syst. Sign. Process. 26, 677 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import complete_tucker, observe
    >>> index = np.random.default_rng(0).integers(8, size=(300, 3))
    >>> y = np.cos(index[:, 0]) * np.sin(1 + index[:, 1]) * (2 + index[:, 2])
    >>> complete_tucker(observe(index, y, shape=(8, 8, 8)), (2, 2, 1)).tensor.tucker_ranks
    (2, 2, 1)
    """
    with agreed(observations.comm, "complete_tucker") as agreement:
        check_settings(ridge, restarts, maxiter, tol)
        if len(ranks) != len(observations.shape) or min(ranks) < 1 or math.prod(ranks) > _MOST:
            raise InvalidValueError(
                f"ranks are {tuple(ranks)}; expected {len(observations.shape)} positive numbers, one for each axis, "
                f"with a product of at most {_MOST}"
            )
        settings = {"ridge": ridge, "restarts": restarts, "maxiter": maxiter, "tol": tol, "seed": seed}
        agreement.same(ranks=list(ranks), **settings)
    sums = EntrySums(observations)
    best: tuple[list[float], _Start] | None = None
    for k in progress(range(restarts), "alternating least squares", total=restarts):
        fit, history = _Start(sums, observations, tuple(ranks), ridge, np.random.default_rng([seed, k])), [np.inf]
        for _ in range(maxiter):
            history.append(fit.sweep())
            if history[-2] - history[-1] <= tol * history[-2] < np.inf:
                break
        if best is None or history[-1] < best[0][-1]:
            best = history, fit
    assert best is not None, "there is at least one start"
    history, fit = best
    residual = float(np.sqrt(max(fit.misfit, 0.0) / observations.n_entries)) * observations.scale
    tensor = Tucker(observations.scale * fit.core, tuple(fit.factors))
    return CompletedTensor(observations.axes, tensor, observations.offset, residual, np.array(history[1:]))


class _Start:
    """Factors and core of one start, and their sums of squares.

    Parameters
    ----------
    sums : EntrySums
    observations : Observations
    ranks : tuple of int
    ridge : float
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        sums: EntrySums,
        observations: Observations,
        ranks: tuple[int, ...],
        ridge: float,
        rng: np.random.Generator,
    ) -> None:
        self.sums, self.comm, self.ridge, self.ranks = sums, observations.comm, ridge, ranks
        self.squares = float(allreduce_sum(np.array([sums.total_squares]), self.comm)[0])
        self.factors = [rng.standard_normal((n, r)) for n, r in zip(observations.shape, ranks)]
        self.core = rng.standard_normal(ranks)
        self.misfit = self.squares

    def sweep(self) -> float:
        """Update all axes and the core once, and return the penalized sum of squares."""
        for k in range(len(self.ranks)):
            gram, right = self._others(k)
            unfolded = np.moveaxis(self.core, k, 0).reshape(self.ranks[k], -1)
            own = unfolded @ gram @ unfolded.T + self.ridge * np.eye(self.ranks[k])
            self.factors[k] = np.linalg.solve(own, (right @ unfolded.T)[..., None])[..., 0]
        self._update_core(gram, right)
        penalty = sum(float((v * v).sum()) for v in (self.core, *self.factors))
        return self.misfit + self.ridge * penalty

    def _update_core(self, gram: np.ndarray, right: np.ndarray) -> None:
        """Solve for the core, given the sums for the places of the last axis, whose factor may be new."""
        last, rank = self.factors[-1], self.ranks[-1]
        n = gram.shape[1]
        normal = np.einsum("ia,ib,ipq->apbq", last, last, gram, optimize=True).reshape(rank * n, rank * n)
        target = (last.T @ right).ravel()
        found = np.linalg.solve(normal + self.ridge * np.eye(len(target)), target)
        self.misfit = self.squares - 2 * float(found @ target) + float(found @ normal @ found)
        self.core = np.ascontiguousarray(np.moveaxis(found.reshape(rank, *self.ranks[:-1]), 0, -1))

    def _others(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of z z^T and y z over the entries at each place; z is the product of the other factors."""
        others = [j for j in range(len(self.ranks)) if j != k]
        moments = expanded([packed_moments(self.factors[j][:, None])[:, 0] for j in others])
        plain = expanded([self.factors[j] for j in others])
        # The table of axis k is not read, only its place in the list.
        packed = self.sums(k, self._placed(k, others, moments))
        right = self.sums(k, self._placed(k, others, plain), values=True)
        packed, right = (allreduce_sum(v, self.comm) for v in (packed, right))
        counts = [self.ranks[j] for j in others]
        full = packed.reshape(len(packed), *(r * (r + 1) // 2 for r in counts))
        for axis, r in enumerate(counts):
            full = np.take(full, _positions(r), axis=1 + axis)
        n = math.prod(counts)
        # Pairs (a a') (b b') become (a b) (a' b').
        pairs = full.reshape(len(full), *(size for r in counts for size in (r, r)))
        order = [0, *(1 + 2 * j for j in range(len(counts))), *(2 + 2 * j for j in range(len(counts)))]
        return pairs.transpose(order).reshape(len(full), n, n), right

    def _placed(self, k: int, others: list[int], tables: list[np.ndarray]) -> list[np.ndarray]:
        by_axis = dict(zip(others, tables))
        return [by_axis.get(j, self.factors[k]) for j in range(len(self.ranks))]


def _positions(rank: int) -> np.ndarray:
    """Return for the pairs of a square matrix of `rank`, in a row, their places in its packed upper triangle."""
    found = np.zeros((rank, rank), int)
    rows, columns = np.triu_indices(rank)
    found[rows, columns] = found[columns, rows] = np.arange(len(rows))
    return found.ravel()
