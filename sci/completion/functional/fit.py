"""The fit of a functional CP model to observed entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from sci.arguments import collective_entry
from sci.completion.functional.calibration import left_out, local_noise, residual_quantiles
from sci.completion.functional.components import Components, masked_components
from sci.completion.functional.field import FunctionalField
from sci.completion.functional.model import FunctionalCP
from sci.completion.functional.posterior import FunctionalFactor
from sci.completion.functional.variational import Variational
from sci.completion.observations import Observations
from sci.distributed import agreed, allreduce_sum, rank_of
from sci.errors import ConvergenceError, InvalidValueError
from sci.progress import progress

__all__ = ["calibrated", "functional_cp", "smoothness_of"]

Field = TypeVar("Field", bound=FunctionalField)

_STUCK = 2.0
"""Noise variance of a start over the least one from which on the start is left out.

Of two independent errors the mean of both is as good as the better alone where one variance is three times the other.
"""


@collective_entry
def functional_cp(
    observations: Observations,
    components: Components | None = None,
    *,
    smoothness: float | Sequence[float] = 2.5,
    restarts: int = 4,
    maxiter: int = 30,
    tol: float = 1e-5,
    seed: int = 0,
) -> FunctionalCP:
    """Fit y = sum_r prod_k f_kr(x_k) + noise to observed entries by mean-field variational Bayes.

    The functions f are Matern processes, whose variances and length scales follow the evidence: components without use
    fade. The bound of the evidence rises in every sweep.

    Parameters
    ----------
    observations : Observations
    components : Components, optional
        Along which axes each component is free; `masked_components` of the number of axes unless given.
    smoothness : float or sequence of K float
        nu of the Matern processes: 0.5, 1.5, 2.5, or 0 for values that are independent, as along categories.
    restarts : int
        Fits from different starts, whose predictions are averaged. A start that sticks, by a noise variance of more
        than twice the least one, is left out.
    maxiter : int
        Most sweeps.
    tol : float
        A restart ends when a sweep raises its bound by less than tol relative.
    seed : int
        Of the starts.

    Returns
    -------
    FunctionalCP
        The same on all ranks; of the starts that did not stick.

    Raises
    ------
    InvalidValueError
        On all ranks; for a smoothness that is none of these, and for too few entries.
    ConvergenceError
        If numbers leave the range of float64.

    Notes
    -----
    Collective over the communicator of the observations. For each axis and sweep: the sums of `EntrySums` with
    B R (R + 1) / 2 columns, and a smoothing of n_k places with states of R D, about 6 (R D)^2 R flops each, where D is
    smoothness + 1/2. On ranks each adds up its own entries and smooths its own restarts; n_k B R (R + 3) / 2 numbers
    are exchanged twice per axis and sweep. Any number of ranks gives the same model up to the rounding of sums.

    Averaging the restarts takes away a part of the error of each, and the spread between them is part of the deviation:
    that of a mean-field posterior alone is too small. The intervals of `Prediction` are calibrated with residuals
    e / (1 - leverage) afterwards, with a noise that differs from place to place where the entries tell so.

    Components of no more than the rank of the field often stick: pass more, and relevance takes the rest away. Where
    factors are independent from place to place the bound still rises at the default of sweeps: a `maxiter` of some
    hundreds, with a smaller `tol`, lowers the error further.

    References
    ----------
    Fang et al., ICLR 2024 (functional Bayesian Tucker), from which the state-space factors are taken; masks, relevance
    by the score of the smoother, moves of length scales, and the calibration are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import functional_cp, observe
    >>> x = np.random.default_rng(0).uniform(0, 1, (200, 2))
    >>> model = functional_cp(observe(x, x[:, 0] + np.sin(5 * x[:, 1])), restarts=2, maxiter=10)
    >>> bool((np.diff(model.history, axis=0) >= 0).all())
    True
    """
    comm = observations.comm
    with agreed(comm, "functional_cp") as agreement:
        names = [axis.name for axis in observations.axes]
        components = masked_components(len(names)) if components is None else components
        if components.n_axes != len(names):
            raise InvalidValueError(f"{components} for axes {', '.join(names)}; expected one row of free for each axis")
        nu = smoothness_of(observations, smoothness)
        if restarts < 1 or maxiter < 1 or not tol >= 0 or seed < 0:
            raise InvalidValueError(
                f"restarts {restarts}, maxiter {maxiter}, tol {tol:g}, seed {seed}; expected restarts and maxiter of "
                "at least 1, tol and seed of at least 0"
            )
        agreement.same(free=components.free, smoothness=nu, restarts=restarts, maxiter=maxiter, tol=tol, seed=seed)
    fit = Variational(observations, components, nu, restarts, seed)
    history = _run(fit, maxiter, tol)
    noise = fit.every_noise()
    kept = np.flatnonzero(noise <= _STUCK * noise.min())
    history, noise = history[:, kept], noise[kept]
    factors = tuple(
        FunctionalFactor(axis, nu[k], **_of(fit.gathered(k), kept)) for k, axis in enumerate(observations.axes)
    )
    ones = tuple(np.ones(n) for n in observations.shape)
    plain = FunctionalCP(
        *(factors, observations.offset, observations.scale, noise, history[-1], history),
        *(float(noise.mean()), ones, np.zeros(103), 0.0, components),
    )
    return calibrated(plain, observations)


def smoothness_of(observations: Observations, smoothness: float | Sequence[float]) -> list[float]:
    """Return the smoothness along each axis, 0 for categories; refuse what is none.

    Parameters
    ----------
    observations : Observations
    smoothness : float or sequence of K float

    Returns
    -------
    list of float
    """
    axes = observations.axes
    given = [float(smoothness)] * len(axes) if isinstance(smoothness, int | float) else [float(nu) for nu in smoothness]
    if len(given) != len(axes) or not set(given) <= {0.0, 0.5, 1.5, 2.5}:
        raise InvalidValueError(f"smoothness is {smoothness}; expected 0, 0.5, 1.5 or 2.5, or {len(axes)} of these")
    return [nu if axis.is_ordered else 0.0 for nu, axis in zip(given, axes)]


def _of(gathered: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of some restarts: messages have places before restarts."""
    return {
        name: array[:, kept] if name in ("precision", "information") else array[kept]
        for name, array in gathered.items()
    }


def _run(fit: Variational, maxiter: int, tol: float) -> np.ndarray:
    """Sweep until all restarts have ended; return the bounds, (sweeps, B)."""
    fit.start()
    history: list[np.ndarray] = []
    for number in progress(range(maxiter), "completion", show=rank_of(fit.comm) == 0):
        bounds = fit.sweep(number)
        if not np.isfinite(bounds).all():
            raise ConvergenceError(
                f"the bound of sweep {number + 1} is {bounds}; scale the coordinates or use fewer components"
            )
        history.append(bounds)
        if number:
            gain = bounds - history[-2]
            fit.leave(fit.active[(gain < tol * np.abs(bounds))[fit.active]])
        if not len(fit.active):
            break
    return np.array(history)


def calibrated(model: Field, observations: Observations) -> Field:
    """Return a model whose noise and quantiles are those of the residuals of its entries (collective)."""
    mean, within, between = model.entries(observations.index)
    fitted = observations.standardized - mean
    residuals = left_out(fitted, within, float(model.noise.mean()))
    # Their product is the noise alone: the error of the field adds to the one as it takes from the other.
    noise, weights, apart = local_noise(observations, np.sqrt(np.abs(fitted * residuals)))
    ratios = np.abs(residuals) / np.sqrt(apart + within + between)
    quantiles = residual_quantiles(ratios, observations.weights, observations.n_entries, observations.comm)
    squares = allreduce_sum(np.array([(observations.weights * residuals**2).sum()]), observations.comm)[0]
    rms = model.scale * float(np.sqrt(squares / observations.n_entries))
    return model.calibrated(noise, weights, quantiles, rms)
