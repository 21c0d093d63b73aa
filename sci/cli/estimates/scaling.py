"""Needs of fits of laws, and the rate of this machine at a training: small pieces, and scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.networks.operators import step_memory, train_on
from sci.cli.estimates.networks.steps import MORE, seconds_of_steps
from sci.cli.estimates.trial import attempt, line
from sci.operators import FNO, TrainingConfig
from sci.scaling.fit import TOGETHER

__all__ = ["fit_needs", "training_rate"]

TRIAL_SAMPLES, MORE_SAMPLES = 20, 80
"""Resampled fits of the two trials."""
DRAWN = 5
"""Arrays of a number for each sample and run."""


def fit_needs(fit: Callable[[int], Any], samples: int, runs: int) -> Needs:
    """Return the needs of a fit.

    Parameters
    ----------
    fit : callable
        `fit(n)` fits with n resampled fits.
    samples : int
        Of the job.
    runs : int
        Losses, which are drawn anew for each sample; the fits are made so many at a time.
    """
    fit(TRIAL_SAMPLES)
    few, more = (attempt(partial(fit, n), repeats=2) for n in (TRIAL_SAMPLES, MORE_SAMPLES))
    seconds = line(few.seconds, more.seconds, MORE_SAMPLES / TRIAL_SAMPLES, samples / TRIAL_SAMPLES)
    peak = attempt(partial(fit, MORE_SAMPLES), memory=True).peak
    together = max(1.0, min(samples, TOGETHER) / MORE_SAMPLES)
    return Needs(peak * together + 8.0 * DRAWN * samples * runs, {"fit": seconds})


def training_rate(model: FNO, config: TrainingConfig, grid: Sequence[int]) -> float:
    """Return the multiply-adds a second of steps of a training on this machine, on batches of `config.batch_size`."""
    rng = np.random.default_rng(0)
    x, y = (
        rng.standard_normal((MORE, channels, *grid), dtype=np.float32)
        for channels in (model.config.in_channels, model.config.out_channels)
    )
    seconds = seconds_of_steps(partial(train_on, model, x, y, config), config.batch_size, config.batch_size)
    return step_memory(model, config, config.batch_size, grid).flops / seconds
