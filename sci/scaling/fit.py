"""Fits of power laws by variable projection, with intervals from resampled residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import Real, entry
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.progress import progress
from sci.scaling.laws import PowerLaw, positive
from sci.scaling.projection import Projection

__all__ = ["TOGETHER", "PowerLawFit", "fit_power_law"]

TOGETHER = 200
"""Resampled data sets that are fitted together: enough for array calls, few enough to tell how far it is."""


@entry
@dataclass(frozen=True, eq=False)
class PowerLawFit:
    """A fitted law, and laws that fit resampled residuals: their spread is the uncertainty.

    Parameters
    ----------
    law : PowerLaw
    samples : (s, 1 + 2 k) array
        Limit, amplitudes and exponents of each fit to resampled residuals.
    noise : (s,) array
        Relative standard deviation of a run about each of them.
    x : (n, k) array
    loss : (n,) array
        What was fitted.
    seed : int
        Of the noise of a new run.
    names : (k,) texts
        What the columns of x are.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_power_law
    >>> x = np.geomspace(10, 1000, 8)
    >>> fit = fit_power_law(x, 2.0 + x**-0.5)
    >>> round(fit.law.limit, 9), [round(float(v), 6) for v in fit.interval(1e4)]
    (2.0, [2.01, 2.01])
    """

    law: PowerLaw
    samples: Real
    noise: Real
    x: Real
    loss: Real
    seed: int = 0
    names: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"PowerLawFit({self.law!r}, {len(self.loss)} points, residual {float(np.median(self.noise)):.2g})"

    def sampled(self, *x: float | Real) -> np.ndarray:
        """Return the loss at x of every resampled law, along the first axis."""
        k = len(self.law.exponents)
        points = np.broadcast_arrays(*(positive(v, f"x{j}") for j, v in enumerate(x)))
        columns = [np.reshape(column, (-1,) + (1,) * points[0].ndim) for column in np.asarray(self.samples).T]
        found = columns[0] + np.zeros(points[0].shape)
        for j in range(k):
            found = found + columns[1 + j] * (points[j] / self.law.references[j]) ** -columns[1 + k + j]
        return np.asarray(found)

    def interval(
        self, *x: float | Real, confidence: float = 0.9, new_run: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval that holds the loss at x with probability `confidence`.

        Parameters
        ----------
        *x : float or array
            One argument a term.
        confidence : float
        new_run : bool
            True for the loss of another run, with its noise; False for the law itself.

        Returns
        -------
        (array, array)
            Of the shape of x.

        Raises
        ------
        InvalidValueError
        """
        if not 0 < confidence < 1:
            raise InvalidValueError(f"confidence is {confidence}; expected a number between 0 and 1")
        values = self.sampled(*x)
        if new_run:
            # One number for each law, so that an interval does not depend on what else is asked.
            away = np.asarray(self.noise) * np.random.default_rng(self.seed).standard_normal(len(self.noise))
            values = values * (1 + np.reshape(away, (-1,) + (1,) * (values.ndim - 1)))
        low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        return low, high

    def parameter_intervals(self, confidence: float = 0.9) -> dict[str, np.ndarray]:
        """Return for "limit", "amplitudes" and "exponents" the ends of their intervals, along the first axis."""
        if not 0 < confidence < 1:
            raise InvalidValueError(f"confidence is {confidence}; expected a number between 0 and 1")
        ends = np.quantile(self.samples, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        k = len(self.law.exponents)
        return {"limit": ends[:, 0], "amplitudes": ends[:, 1 : 1 + k], "exponents": ends[:, 1 + k :]}


@entry
def fit_power_law(
    x: Real,
    loss: Real,
    *,
    runs: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    samples: int = 400,
    seed: int = 0,
) -> PowerLawFit:
    """Fit a power law with a limit to losses, by variable projection of a robust loss.

    For given exponents the limit and the amplitudes are a small linear problem, solved exactly with all of them from 0;
    the exponents minimize what is left, sum_i huber((L(x_i) - loss_i) / loss_i).

    Parameters
    ----------
    x : (n,) or (n, k) array
        Positive: parameters, samples, operations; one column a term.
    loss : (n,) array
        Positive, in any unit.
    runs : (n,) integers, optional
        Points with one number come from one training, and their residuals are resampled together; every point is its
        own run unless given.
    names : (k,) texts, optional
        What the columns of x are, for messages, files and pictures; "x", or "x1" and so on, unless given.
    samples : int
        Resampled fits, from which intervals come.
    seed : int

    Returns
    -------
    PowerLawFit

    Raises
    ------
    ConvergenceError
        If the losses do not show a power law: they rise, or bend by less than a logarithm or more than a step.
    InvalidValueError, ShapeError, DTypeError
        Also for fewer runs than the law has parameters, plus one.

    Notes
    -----
    The residual from which the Huber loss is linear is 1.345 robust standard deviations, at least 1e-3. Intervals come
    from fits to L(x_i) (1 + e_i) with e_i normal of the residuals' standard deviation, itself drawn from its
    distribution for n - 1 - 2 k degrees of freedom; with `runs`, e_i are the residuals of a run times one normal
    number. Intervals know nothing of what the law leaves out: an extrapolation into another regime is not in them.

    References
    ----------
    Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), with Kaufman's derivative, BIT 15, 49 (1975); Hoffmann et
    al., arXiv:2203.15556, section 3.3 (the robust loss); Cameron, Gelbach and Miller, Rev. Econ. Stat. 90, 414 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_power_law
    >>> rng = np.random.default_rng(0)
    >>> x = np.geomspace(1e2, 1e5, 20)
    >>> fit = fit_power_law(x, (0.5 + 3 * x**-0.4) * (1 + 0.01 * rng.standard_normal(20)))
    >>> low, high = fit.parameter_intervals()["exponents"]
    >>> bool(low[0] < 0.4 < high[0])
    True
    """
    points, losses, groups, labels = _checked(x, loss, runs, names, samples)
    n, k = points.shape
    references = np.exp(np.log(points).mean(axis=0))
    unit = float(np.exp2(np.rint(np.log2(losses).mean())))  # squares of losses would leave the range of numbers
    scaled = losses / unit
    u = np.log(points / references)
    problem = Projection(u, np.ptp(u, axis=0))
    found, sigmas, relative = problem.fitted(scaled[None], problem.starts(scaled), 1e-13)
    _refuse_no_law(problem, found[0])
    free, sigma = problem.free, float(sigmas[0])
    rng = np.random.default_rng(seed)
    spread = sigma * np.sqrt(free / rng.chisquare(free, samples))
    predicted = scaled * (1 + relative[0])
    if groups is None:
        errors = spread[:, None] * rng.standard_normal((samples, n))
    else:
        multipliers = rng.standard_normal((samples, groups.max() + 1))[:, groups]
        errors = multipliers * relative[0] * np.sqrt(n / free)
    again = np.maximum(predicted * (1 + errors), 1e-3 * predicted)
    start = np.log(found[:1, None, 1 + k :])
    parts = progress(range(0, samples, TOGETHER), "resampled fits")
    sampled = np.concatenate([_refitted(problem, again[part : part + TOGETHER], start) for part in parts])
    found[:, : 1 + k] *= unit
    sampled[:, : 1 + k] *= unit
    law = PowerLaw(
        float(found[0, 0]),
        tuple(map(float, found[0, 1 : 1 + k])),
        tuple(map(float, found[0, 1 + k :])),
        tuple(map(float, references)),
    )
    return PowerLawFit(law, sampled, spread, points, losses, seed, labels)


def _refitted(problem: Projection, losses: np.ndarray, start: np.ndarray) -> np.ndarray:
    return problem.fitted(losses, np.repeat(start, len(losses), axis=0), 1e-6)[0]


def _checked(
    x: Real, loss: Real, runs: Sequence[int] | None, names: Sequence[str] | None, samples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    losses = np.asarray(positive(loss, "loss"))
    points = positive(x, "x")
    points = points[:, None] if points.ndim == 1 else points
    if losses.ndim != 1 or points.ndim != 2 or len(points) != len(losses) or points.shape[1] == 0:
        raise ShapeError(f"x has shape {np.shape(x)} and loss {losses.shape}; expected (n,) or (n, k), and (n,)")
    parameters = 1 + 2 * points.shape[1]
    groups = None
    if runs is not None:
        if len(runs) != len(losses):
            raise ShapeError(f"{len(runs)} numbers of runs for {len(losses)} losses; expected as many")
        groups = np.unique(np.asarray(runs), return_inverse=True)[1].reshape(-1)
        if groups.max() < 2:
            raise InvalidValueError(f"{groups.max() + 1} runs; expected at least 3, whose differences give intervals")
    if len(losses) <= parameters:
        raise InvalidValueError(
            f"{len(losses)} losses for a law of {parameters} parameters; expected at least {parameters + 1}"
        )
    k = points.shape[1]
    labels = tuple(names) if names is not None else ("x",) if k == 1 else tuple(f"x{j + 1}" for j in range(k))
    if len(labels) != k:
        raise ShapeError(f"{len(labels)} names for {k} columns of x; expected as many")
    for label, column in zip(labels, points.T):
        if len(np.unique(column)) < 3:
            raise InvalidValueError(
                f"{label} takes {len(np.unique(column))} values; expected at least 3 along each term, or leave it out"
            )
    if samples < 20:
        raise InvalidValueError(f"samples is {samples}; expected at least 20 for intervals")
    return points, losses, groups, labels


def _refuse_no_law(problem: Projection, found: np.ndarray) -> None:
    k = len(problem.ranges)
    for j in range(k):
        amplitude, exponent = found[1 + j], found[1 + k + j]
        of = f"term {j + 1}: " if k > 1 else ""
        if amplitude == 0:
            raise ConvergenceError(f"fit_power_law: {of}the losses do not fall with x; expected a loss that falls")
        if exponent <= 1.001 * problem.lowest[j]:
            raise ConvergenceError(
                f"fit_power_law: {of}the losses fall as a logarithm of x over its range, from which limit and exponent "
                "do not follow; give a wider range of x"
            )
        if exponent >= 0.999 * problem.highest[j]:
            raise ConvergenceError(
                f"fit_power_law: {of}the losses fall in one step between two values of x; give values in between"
            )
