"""Mean-field variational Bayes of a masked CP model whose factors are Matern processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.completion.functional.components import Components
from sci.completion.functional.factors import Factor, packed_moments
from sci.completion.observations import Observations
from sci.completion.sums import EntrySums
from sci.distributed import allgather_rows, allreduce_sum, rank_of, reduce_scatter_rows, size, split

__all__ = ["Variational"]

_RIDGE = 0.3
_ALS_ROUNDS = 8
_NOISE = 1e-15
"""Least noise variance of standardized values: rounding of the sums whose difference it is hides less."""


class Variational:
    """State of the fit of B restarts at once (collective).

    Entries lie on the ranks; each rank smooths restarts of its own. Of each axis the messages of all ranks are added
    where their restart is smoothed, and the new factors go to all.

    Parameters
    ----------
    observations : Observations
    components : Components
    smoothness : sequence of K float
    restarts : int
        B.
    seed : int
        Restart b starts from the generator of [seed, b], whatever the number of ranks.
    """

    def __init__(
        self, observations: Observations, components: Components, smoothness: Sequence[float], restarts: int, seed: int
    ) -> None:
        self.components, self.comm, self.shape = components, observations.comm, observations.shape
        self.sums, self.n_entries = EntrySums(observations), observations.n_entries
        self.squares = float(allreduce_sum(np.array([self.sums.total_squares]), self.comm)[0])
        self.counts = [split(restarts, rank=r, size=size(self.comm)) for r in range(size(self.comm))]
        own = self.counts[rank_of(self.comm)]
        self.own: np.ndarray = np.arange(own.start, own.stop)
        self.active: np.ndarray = np.arange(restarts)
        r = components.n_components
        self.rows, self.columns = np.triu_indices(r)
        self.triangle: np.ndarray = np.zeros((r, r), np.int64)
        self.triangle[self.rows, self.columns] = np.arange(len(self.rows))
        self.triangle = np.maximum(self.triangle, self.triangle.T)
        self.noise: np.ndarray = np.ones(len(self.own))
        """Noise variance 1 / tau of each own restart."""
        self.bounds: np.ndarray = np.full(restarts, -np.inf)
        self.factors = [
            Factor(axis, components.along(k)[0], nu, len(self.own))
            for k, (axis, nu) in enumerate(zip(observations.axes, smoothness))
        ]
        self.means: list[np.ndarray] = []
        self.moments: list[np.ndarray] = []
        for k in range(components.n_axes):
            start = np.stack([self._drawn(k, seed, int(b)) for b in self.active], axis=1)
            self.means.append(start.reshape(self.shape[k], -1))
            self.moments.append(packed_moments(start).reshape(self.shape[k], -1))

    def _drawn(self, k: int, seed: int, restart: int) -> np.ndarray:
        """Return the first factor of an axis, (n_k, R): normal numbers, 0 for main effects."""
        free = self.components.along(k)[0]
        u: np.ndarray = np.ones((self.shape[k], self.components.n_components))
        drawn = np.random.default_rng([seed, restart, k]).normal(size=(self.shape[k], len(free)))
        u[:, free] = np.where(self.components.free[:, free].sum(axis=0) == 1, 0.0, drawn)
        return u

    @property
    def _local(self) -> np.ndarray:
        """Which of the own restarts are active."""
        return np.flatnonzero(np.isin(self.own, self.active))

    def _summed(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return sums of moments (n_k, a, T) and of values times means (n_k, a, R) for the a own active restarts."""
        n, a = self.shape[k], len(self.active)
        moments = self.sums(k, self.moments).reshape(n, a, -1)
        values = self.sums(k, self.means, values=True).reshape(n, a, -1)
        if size(self.comm) == 1:
            return moments, values
        packed = np.concatenate([moments, values], axis=-1).swapaxes(0, 1).reshape(a, -1)
        counts = [int(np.isin(self.active, np.arange(part.start, part.stop)).sum()) for part in self.counts]
        width = len(self.rows) + self.components.n_components
        summed = reduce_scatter_rows(packed, self.comm, counts).reshape(len(self._local), n, width).swapaxes(0, 1)
        return summed[..., : len(self.rows)], summed[..., len(self.rows) :]

    def _own_tables(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return means (n_k, a, R) and moments (n_k, a, T) of the own active restarts."""
        mine = np.isin(self.active, self.own)
        parts = (table.reshape(self.shape[k], len(self.active), -1) for table in (self.means[k], self.moments[k]))
        first, second = (part[:, mine] for part in parts)
        return first, second

    def _publish(self, k: int, values: np.ndarray, covariance: np.ndarray | None) -> None:
        """Set the free part of the own factors of an axis, and bring them to all ranks."""
        free, n = self.components.along(k)[0], self.shape[k]
        u: np.ndarray = np.ones((n, values.shape[1], self.components.n_components))
        u[..., free] = values
        moments = packed_moments(u, covariance, free)
        if size(self.comm) > 1:
            packed = np.concatenate([u, moments], axis=-1).swapaxes(0, 1)
            every = allgather_rows(np.ascontiguousarray(packed), self.comm).swapaxes(0, 1)
            u, moments = every[..., : u.shape[-1]], every[..., u.shape[-1] :]
        self.means[k], self.moments[k] = (np.ascontiguousarray(x).reshape(n, -1) for x in (u, moments))

    def _messages(self, k: int, moments: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return precision and information for the free components, for unit noise."""
        free, fixed = self.components.along(k)
        information = values[..., free] - moments[..., self.triangle[np.ix_(free, fixed)]].sum(axis=-1)
        return moments[..., self.triangle[np.ix_(free, free)]], information

    def _misfit(self, k: int, moments: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return sum_n c_n E (y_n - yhat_n)^2 of the own active restarts, from the sums of the axis updated last."""
        u, s = self._own_tables(k)
        double = np.where(self.rows == self.columns, 1.0, 2.0)
        squares = self.squares - 2 * (u * values).sum(axis=(0, 2)) + (s * moments * double).sum(axis=(0, 2))
        return np.asarray(np.maximum(squares, _NOISE * self.n_entries))

    def start(self) -> None:
        """Run some rounds of ridge least squares, balance the axes, and set the variances by what was found."""
        for _ in range(_ALS_ROUNDS):
            for k in range(len(self.shape)):
                moments, values = self._summed(k)
                precision, information = self._messages(k, moments, values)
                ridge = precision + _RIDGE * np.eye(precision.shape[-1])
                self._publish(k, np.linalg.solve(ridge, information[..., None])[..., 0], None)
        self.noise = self._misfit(len(self.shape) - 1, moments, values) / self.n_entries
        tables = [self._own_tables(k)[0] for k in range(len(self.shape))]
        free = self.components.free[:, None]
        norms = np.stack([np.sqrt((u * u).mean(axis=0)) for u in tables])
        logs = np.where(free, np.log(np.maximum(norms, 1e-100)), 0.0)
        factors = np.exp(logs.sum(axis=0) / free.sum(axis=0) - logs)
        for k, factor in enumerate(self.factors):
            balanced = (tables[k] * factors[k])[..., factor.free]
            self._publish(k, balanced, None)
            factor.set_variances(balanced)

    def sweep(self, number: int) -> np.ndarray:
        """Update all factors and the noise once; return the bound of each restart, (B,)."""
        local = self._local
        tau = 1 / self.noise[local]
        for k, factor in enumerate(self.factors):
            moments, values = self._summed(k)
            precision, information = self._messages(k, moments, values)
            found = factor.update(local, tau[:, None, None] * precision, tau[:, None] * information, number)
            self._publish(k, *found)
        noise = self._misfit(len(self.shape) - 1, moments, values) / self.n_entries
        self.noise[local] = noise
        # With tau at its optimum, tau times the misfit is the number of entries.
        gained = -0.5 * self.n_entries * (np.log(2 * np.pi * noise) + 1)
        gained = gained - sum(factor.divergence[local] for factor in self.factors)
        self.bounds[self.active] = allgather_rows(gained, self.comm)
        return self.bounds.copy()

    def leave(self, done: np.ndarray) -> None:
        """Go on without the restarts of some numbers."""
        keep = ~np.isin(self.active, done)
        for tables in (self.means, self.moments):
            for k, table in enumerate(tables):
                tables[k] = np.ascontiguousarray(
                    table.reshape(self.shape[k], len(self.active), -1)[:, keep].reshape(self.shape[k], -1)
                )
        self.active = self.active[keep]

    def every_noise(self) -> np.ndarray:
        """Return the noise variances of all restarts."""
        return np.asarray(allgather_rows(self.noise, self.comm))

    def gathered(self, k: int) -> dict[str, np.ndarray]:
        """Return prior and messages of all restarts along an axis, by name."""
        factor, comm = self.factors[k], self.comm
        moved = {
            name: allgather_rows(np.ascontiguousarray(np.moveaxis(getattr(factor, name), 1, 0)), comm)
            for name in ("precision", "information")
        }
        found = {name: np.ascontiguousarray(np.moveaxis(array, 0, 1)) for name, array in moved.items()}
        return {**found, **{name: allgather_rows(getattr(factor, name), comm) for name in ("lengths", "variances")}}
