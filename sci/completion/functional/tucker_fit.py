"""The fit of a functional Tucker model with full covariances (FunBaT)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sci.arguments import collective_entry
from sci.completion.functional.factors import Factor, packed_moments
from sci.completion.functional.fit import calibrated, smoothness_of
from sci.completion.functional.posterior import FunctionalFactor
from sci.completion.functional.tucker import FunctionalTucker, core_moments, folded
from sci.completion.observations import Observations
from sci.completion.sums import EntrySums
from sci.distributed import agreed, allreduce_sum, rank_of
from sci.errors import ConvergenceError, InvalidValueError
from sci.progress import progress

__all__ = ["functional_tucker"]

_RIDGE = 0.3
_ALS_ROUNDS = 8
_LARGEST_CORE = 256
_NOISE = 1e-15
"""Least noise variance of standardized values."""


@collective_entry
def functional_tucker(
    observations: Observations,
    tucker_ranks: Sequence[int],
    *,
    smoothness: float | Sequence[float] = 2.5,
    restarts: int = 4,
    maxiter: int = 40,
    tol: float = 1e-5,
    seed: int = 0,
) -> FunctionalTucker:
    """Fit y = sum_r W_r prod_k f_{k r_k}(x_k) + noise to observed entries by variational Bayes.

    Each f is a Matern process, the core W has a normal prior and keeps its full covariance, which enters the messages
    to the functions.

    Parameters
    ----------
    observations : Observations
    tucker_ranks : sequence of K int
        Functions of each axis; their product P is at most 256. The `bounds` of fits of several ranks tell which the
        entries support.
    smoothness, maxiter, tol, seed
        As for `functional_cp`.
    restarts : int
        Fits from different starts, of which that of the highest bound is returned: of an exact rank some starts stick.

    Returns
    -------
    FunctionalTucker
        The same on all ranks.

    Raises
    ------
    InvalidValueError
        On all ranks.
    ConvergenceError
        If numbers leave the range of float64.

    Notes
    -----
    Collective over the communicator of the observations. An entry costs prod_{j != k} R_j (R_j + 1) / 2 multiplications
    for each axis k, the core P^3: for small cores alone, as the cost grows as R^(2 K). `functional_cp` reaches further
    with R^2 for an entry. On ranks each adds up its own entries; the smoothing is done by all.

    References
    ----------
    Fang et al., ICLR 2024. Different here: messages use the covariance of the core, nothing is damped, unseen places
    are points of the chain without messages, and length scales and variances follow the evidence.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import functional_tucker, observe
    >>> x = np.random.default_rng(0).uniform(0, 1, (200, 2))
    >>> model = functional_tucker(observe(x, x[:, 0] * np.sin(5 * x[:, 1])), (2, 2), restarts=1, maxiter=10)
    >>> bool((np.diff(model.history, axis=0) >= 0).all())
    True
    """
    comm = observations.comm
    with agreed(comm, "functional_tucker") as agreement:
        ranks = tuple(int(r) for r in tucker_ranks)
        if len(ranks) != len(observations.axes) or min(ranks) < 1 or math.prod(ranks) > _LARGEST_CORE:
            raise InvalidValueError(
                f"tucker_ranks is {ranks}; expected {len(observations.axes)} positive numbers with a product of at "
                f"most {_LARGEST_CORE}; functional_cp takes more components"
            )
        nu = smoothness_of(observations, smoothness)
        if restarts < 1 or maxiter < 1 or not tol >= 0 or seed < 0:
            raise InvalidValueError(
                f"restarts {restarts}, maxiter {maxiter}, tol {tol:g}, seed {seed}; expected restarts and maxiter of "
                "at least 1, tol and seed of at least 0"
            )
        agreement.same(ranks=ranks, smoothness=nu, restarts=restarts, maxiter=maxiter, tol=tol, seed=seed)
    sums = EntrySums(observations)
    fits = [_Fit(observations, sums, ranks, nu, [seed, b]) for b in range(restarts)]
    histories = [fit.run(maxiter, tol) for fit in fits]
    best = int(np.argmax([bounds[-1] for bounds in histories]))
    fits, history = [fits[best]], np.array(histories[best])[:, None]
    factors = tuple(
        FunctionalFactor(
            axis,
            nu[k],
            *(np.concatenate([getattr(fit.factors[k], name) for fit in fits]) for name in ("lengths", "variances")),
            *(
                np.concatenate([getattr(fit.factors[k], n) for fit in fits], axis=1)
                for n in ("precision", "information")
            ),
        )
        for k, axis in enumerate(observations.axes)
    )
    noise = np.array([fit.noise for fit in fits])
    plain = FunctionalTucker(
        *(factors, observations.offset, observations.scale, noise, history[-1], history, float(noise.mean())),
        *(tuple(np.ones(n) for n in observations.shape), np.zeros(103), 0.0),
        *(np.stack([fit.core.reshape(ranks) for fit in fits]), np.stack([fit.covariance for fit in fits])),
    )
    return calibrated(plain, observations)


class _Fit:
    """One fit from one start (collective)."""

    def __init__(
        self,
        observations: Observations,
        sums: EntrySums,
        ranks: tuple[int, ...],
        smoothness: Sequence[float],
        seed: Sequence[int],
    ) -> None:
        self.sums, self.ranks, self.comm, self.n_entries = sums, ranks, observations.comm, observations.n_entries
        rng = np.random.default_rng(seed)
        self.squares = float(allreduce_sum(np.array([sums.total_squares]), self.comm)[0])
        self.means = [rng.normal(size=(n, r)) for n, r in zip(observations.shape, ranks)]
        self.moments = [packed_moments(u) for u in self.means]
        self.factors = [Factor(axis, np.arange(r), nu, 1) for axis, r, nu in zip(observations.axes, ranks, smoothness)]
        size = math.prod(ranks)
        self.core, self.covariance = np.zeros(size), np.eye(size)
        self.noise, self.core_divergence = 1.0, 0.0

    def _expanded(self, k: int, tables: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return tables whose products of columns are all products of one column of each axis but k."""
        widths = [table.shape[1] for j, table in enumerate(tables) if j != k]
        columns = iter(np.indices(widths).reshape(len(widths), -1))
        return [table if j == k else np.ascontiguousarray(table[:, next(columns)]) for j, table in enumerate(tables)]

    def _summed(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return sums over entries of products of second moments, and of values times means, of the axes but k."""
        own = self.sums(k, self._expanded(k, self.moments)), self.sums(k, self._expanded(k, self.means), values=True)
        packed = allreduce_sum(np.concatenate(own, axis=1), self.comm, checked=True)
        return packed[:, : own[0].shape[1]], packed[:, own[0].shape[1] :]

    def _messages(self, k: int, moments: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return precision (n, R_k, R_k) and information (n, R_k) for unit noise."""
        r, others = self.ranks[k], [j for j in range(len(self.ranks)) if j != k]
        second = np.moveaxis(folded(core_moments(self.core, self.covariance), self.ranks, others), k, 0)
        precision = (moments @ second.reshape(r * r, -1).T).reshape(-1, r, r)
        mean = np.moveaxis(self.core.reshape(self.ranks), k, 0).reshape(r, -1)
        return 0.5 * (precision + precision.swapaxes(1, 2)), values @ mean.T

    def _update_core(self, k: int, moments: np.ndarray, values: np.ndarray, prior: float) -> np.ndarray:
        """Set the posterior of the core from the sums of axis k; return the sum of z z^T over entries, (P, P)."""
        count, size = len(self.ranks), len(self.core)
        widths = [s.shape[1] for j, s in enumerate(self.moments) if j != k]
        gram = np.moveaxis((moments.T @ self.moments[k]).reshape(*widths, -1), -1, k)
        for j, r in enumerate(self.ranks):
            rows, columns = np.triu_indices(r)
            place: np.ndarray = np.zeros((r, r), np.int64)
            place[rows, columns] = place[columns, rows] = np.arange(len(rows))
            gram = np.take(gram, place.ravel(), axis=j)
        pairs = gram.reshape([r for rank in self.ranks for r in (rank, rank)])
        gram = pairs.transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)]).reshape(size, size)
        ranks = [r for j, r in enumerate(self.ranks) if j != k]
        self.projected = np.moveaxis((values.T @ self.means[k]).reshape(*ranks, -1), -1, k).ravel()
        self.covariance = np.linalg.inv(gram / self.noise + prior * np.eye(size))
        self.covariance = 0.5 * (self.covariance + self.covariance.T)
        self.core = self.covariance @ self.projected / self.noise
        spread = np.trace(self.covariance) + self.core @ self.core - size
        self.core_divergence = 0.5 * float(spread - np.linalg.slogdet(self.covariance)[1])
        return np.asarray(gram)

    def _update_noise(self, gram: np.ndarray) -> None:
        second = core_moments(self.core, self.covariance)
        misfit = self.squares - 2 * self.core @ self.projected + (second * gram).sum()
        self.noise = max(float(misfit) / self.n_entries, _NOISE)

    def _start(self) -> None:
        """Run some rounds of ridge least squares of functions, scaled to unit mean square, and core."""
        last = len(self.ranks) - 1
        for _ in range(_ALS_ROUNDS):
            gram = self._update_core(last, *self._summed(last), _RIDGE)
            self.covariance = np.zeros_like(self.covariance)
            for k, r in enumerate(self.ranks):
                precision, information = self._messages(k, *self._summed(k))
                u = np.linalg.solve(precision + _RIDGE * np.eye(r), information[..., None])[..., 0]
                u = u / np.maximum(np.sqrt((u * u).mean(axis=0)), 1e-100)
                self.means[k], self.moments[k] = u, packed_moments(u)
        gram = self._update_core(last, *self._summed(last), _RIDGE)
        self._update_noise(gram)
        for factor, u in zip(self.factors, self.means):
            factor.set_variances(u[:, None])

    def run(self, maxiter: int, tol: float) -> list[float]:
        """Sweep until the bound stops to rise; return the bounds."""
        self._start()
        history: list[float] = []
        local, last = np.array([0]), len(self.ranks) - 1
        for number in progress(range(maxiter), "completion", show=rank_of(self.comm) == 0):
            for k, factor in enumerate(self.factors):
                moments, values = self._summed(k)
                precision, information = self._messages(k, moments, values)
                shaped = precision[:, None] / self.noise, information[:, None] / self.noise
                mean, covariance = factor.update(local, *shaped, number)
                self.means[k] = np.ascontiguousarray(mean[:, 0])
                self.moments[k] = packed_moments(mean, covariance, factor.free)[:, 0].copy()
            self._update_noise(self._update_core(last, moments, values, 1.0))
            divergence = self.core_divergence + sum(float(factor.divergence[0]) for factor in self.factors)
            bound = -0.5 * self.n_entries * (math.log(2 * math.pi * self.noise) + 1) - divergence
            if not math.isfinite(bound):
                raise ConvergenceError(
                    f"the bound of sweep {number + 1} is {bound}; scale the values or lower the ranks"
                )
            history.append(bound)
            if number and bound - history[-2] < tol * abs(bound):
                break
        return history
