"""CP completion: alternating ridge regressions of the factors on the observed entries, several starts at once."""

from __future__ import annotations

import numpy as np

from sci.arguments import collective_entry
from sci.completion.alternating.tensor import CompletedTensor
from sci.completion.functional.factors import packed_moments
from sci.completion.observations import Observations
from sci.completion.sums import EntrySums
from sci.distributed import agreed, allreduce_sum
from sci.errors import InvalidValueError
from sci.progress import progress
from sci.tensor import CP

__all__ = ["check_settings", "complete_cp"]


@collective_entry
def complete_cp(
    observations: Observations,
    rank: int,
    *,
    ridge: float = 0.3,
    restarts: int = 4,
    maxiter: int = 100,
    tol: float = 1e-5,
    seed: int = 0,
) -> CompletedTensor:
    """Complete a tensor by a CP of given rank, the best of several starts.

    Minimizes sum_n c_n (y_n - sum_r prod_k u_kr(i_kn))^2 + ridge sum_k |U_k|^2 over the factors of one axis after the
    other: a ridge regression for each place.

    Parameters
    ----------
    observations : Observations
        Standardized by `observe`; on ranks each holds its share.
    rank : int
    ridge : float
        Positive, in units of standardized squares: as many entries of noise 1 at a place count as much as the prior.
        Of the values 0.1, 0.3, 1, 3 take the one that predicts held-out entries best.
    restarts : int
        Random starts; that with the least penalized sum of squares is returned.
    maxiter : int
        Sweeps over the axes.
    tol : float
        A start ends when a sweep lowers its sum by less, relative.
    seed : int

    Returns
    -------
    CompletedTensor
        The same on all ranks.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Collective over the ranks of the observations. A sweep takes 4 m B R (R + 1) / 2 flops for m entries and B starts,
    and solves a system of R unknowns for each place. There are no error bars: see `functional_cp`.

    References
    ----------
    Tomasi and Bro, Chemometr. Intell. Lab. Syst. 75, 163 (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import complete_cp, observe
    >>> index = np.random.default_rng(0).integers(8, size=(300, 3))
    >>> y = np.cos(index[:, 0]) * np.sin(1 + index[:, 1]) * (2 + index[:, 2])
    >>> complete_cp(observe(index, y, shape=(8, 8, 8)), 2).tensor.cp_rank
    2
    """
    with agreed(observations.comm, "complete_cp") as agreement:
        check_settings(ridge, restarts, maxiter, tol)
        if rank < 1:
            raise InvalidValueError(f"rank is {rank}; expected at least 1")
        agreement.same(rank=rank, ridge=ridge, restarts=restarts, maxiter=maxiter, tol=tol, seed=seed)
    fit = _Starts(observations, rank, ridge, restarts, seed)
    history: list[np.ndarray] = []
    for _ in progress(range(maxiter), "alternating least squares", total=maxiter):
        history.append(fit.sweep())
        if len(history) > 1 and (history[-2] - history[-1] <= tol * history[-2]).all():
            break
    best = int(history[-1].argmin())
    factors = tuple(u[:, best] for u in fit.factors)
    residual = float(np.sqrt(max(fit.misfit[best], 0.0) / observations.n_entries)) * observations.scale
    tensor = CP(np.full(rank, observations.scale), factors)
    return CompletedTensor(
        observations.axes, tensor, observations.offset, residual, np.array([costs[best] for costs in history])
    )


def check_settings(ridge: float, restarts: int, maxiter: int, tol: float) -> None:
    """Refuse settings of alternating least squares without sense."""
    if not 0 < ridge < np.inf:
        raise InvalidValueError(f"ridge is {ridge:g}; expected a positive number: places with few entries need one")
    if min(restarts, maxiter) < 1 or not 0 <= tol < 1:
        raise InvalidValueError(
            f"restarts {restarts}, maxiter {maxiter}, tol {tol:g}; expected positive numbers, and tol from 0 to below 1"
        )


class _Starts:
    """Factors of B starts, (n_k, B, R) along each axis, and their sums of squares.

    Parameters
    ----------
    observations : Observations
    rank : int
    ridge : float
    starts : int
    seed : int
    """

    def __init__(self, observations: Observations, rank: int, ridge: float, starts: int, seed: int) -> None:
        self.sums, self.comm, self.ridge = EntrySums(observations), observations.comm, ridge
        self.squares = float(allreduce_sum(np.array([self.sums.total_squares]), self.comm)[0])
        rng = np.random.default_rng(seed)
        self.factors = [rng.standard_normal((n, starts, rank)) for n in observations.shape]
        self.misfit = np.full(starts, self.squares)
        self.upper = np.triu_indices(rank)

    def sweep(self) -> np.ndarray:
        """Update all axes once, and return the penalized sum of squares of each start."""
        moments = [self._columns(packed_moments(u)) for u in self.factors]
        plain = [self._columns(u) for u in self.factors]
        for k in range(len(self.factors)):
            gram, right = self._normal_equations(k, moments, plain)
            found = np.linalg.solve(gram + self.ridge * np.eye(gram.shape[-1]), right[..., None])[..., 0]
            quadratic = np.einsum("nbr,nbrs,nbs->b", found, gram, found, optimize=True)
            self.misfit = self.squares - 2 * np.einsum("nbr,nbr->b", found, right) + quadratic
            self.factors[k] = found
            moments[k], plain[k] = self._columns(packed_moments(found)), self._columns(found)
        self._balance()
        penalty = sum(np.einsum("nbr,nbr->b", u, u) for u in self.factors)
        return np.asarray(self.misfit + self.ridge * penalty)

    def _normal_equations(
        self, k: int, moments: list[np.ndarray], plain: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return for each place of an axis and each start the matrix (R, R) and the right side (R,)."""
        n, starts, rank = self.factors[k].shape
        packed = self.sums(k, moments).reshape(n, starts, -1)
        right = self.sums(k, plain, values=True).reshape(n, starts, rank)
        packed, right = (allreduce_sum(v, self.comm) for v in (packed, right))
        gram: np.ndarray = np.empty((n, starts, rank, rank))
        rows, columns = self.upper
        gram[..., rows, columns] = packed
        gram[..., columns, rows] = packed
        return gram, right

    def _balance(self) -> None:
        """Give the factors of a component equal norms, which leaves the fit and lowers the penalty."""
        norms = np.stack([np.sqrt((u * u).sum(axis=0)) for u in self.factors])
        logs = np.log(np.maximum(norms, 1e-150))
        self.factors = [u * factor for u, factor in zip(self.factors, np.exp(logs.mean(axis=0) - logs))]

    @staticmethod
    def _columns(table: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(table.reshape(len(table), -1))
