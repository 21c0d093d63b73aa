"""Needs of neural operators and of their samples: steps on one or two samples, and scaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.potentials import WRITE_SPEED
from sci.cli.estimates.trial import attempt, line
from sci.operators import TrainedOperator, TrainingConfig, adapt_operator, relative_errors, train_operator
from sci.operators.fno.base import Operator
from sci.problems import darcy_flow, navier_stokes

__all__ = ["adaptation_needs", "generation_needs", "prediction_needs", "training_needs"]

FEW, MORE = 1, 3
"""Samples of the two steps that are tried."""
COPIES = 2.5
"""Times that samples are in memory beside those that were read: standardized, in order, and a batch of them."""
TRIAL_GRID, TRIAL_STEPS = 64, 20
"""Largest grid of the Darcy sample, and steps of the Navier-Stokes sample, that are computed."""

SOLVER_MEMORY = 6.0
"""Memory of the factors of a sparse matrix, which tracing does not see, over the arrays that it does."""


def training_needs(
    model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig, tests: Mapping[str, Any], ranks: int = 1
) -> Needs:
    """Return the needs of a training, from steps on few samples.

    Parameters
    ----------
    model : FNO, TFNO, SFNO or UNO
    x, y : (n, channel, *grid) arrays
    config : TrainingConfig
    tests : dict of (x, y)
    ranks : int
        Processes that share every batch.
    """
    memory, each = _steps_on(partial(_train_on, model, x, y, config), x, y, config, ranks)
    seconds = {"training": each}
    for a, b in tests.values():
        shown = attempt(partial(_predict_and_compare, model, a[:1], b[:1], config), memory=True)
        seconds["tests"] = seconds.get("tests", 0.0) + config.epochs * len(a) * shown.seconds
        memory = max(memory, COPIES * (x.nbytes + y.nbytes) + 64 * shown.peak + 3 * b.nbytes)
    return Needs(memory, seconds)


def adaptation_needs(
    operator: TrainedOperator,
    x: np.ndarray,
    y: np.ndarray,
    config: TrainingConfig,
    settings: Mapping[str, Any],
    ranks: int = 1,
) -> Needs:
    """Return the needs of an adaptation, from steps on few samples.

    Parameters
    ----------
    operator : TrainedOperator
    x, y : (n, channel, *grid) arrays
    config : TrainingConfig
    settings : dict
        `rank` and `head` of `adapt_operator`.
    ranks : int
        Processes that share every batch.
    """

    def step(n: int) -> None:
        adapt_operator(operator, _first(x, n), _first(y, n), replace(config, epochs=1, batch_size=n), **settings)

    memory, each = _steps_on(step, x, y, config, ranks)
    shown = attempt(lambda: operator(x[:1]), memory=True)
    return Needs(memory, {"training": each, "errors": 2 * len(x) * shown.seconds})


def _steps_on(
    step: Callable[[int], None], x: np.ndarray, y: np.ndarray, config: TrainingConfig, ranks: int
) -> tuple[float, float]:
    """Return memory and seconds of a training whose `step(n)` takes one step on n samples."""
    step(FEW)
    tried = [attempt(partial(step, n), memory=memory) for n in (FEW, MORE) for memory in (False, True)]
    batch = max(1.0, min(config.batch_size, len(x)) / ranks)
    steps = config.epochs * -(-len(x) // config.batch_size)
    ratio, at = MORE / FEW, batch / FEW
    memory = line(tried[1].peak, tried[3].peak, ratio, at) + COPIES * (x.nbytes + y.nbytes)
    return memory, steps * line(tried[0].seconds, tried[2].seconds, ratio, at)


def _train_on(model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig, n: int) -> None:
    """Take one step on `n` samples."""
    train_operator(model, _first(x, n), _first(y, n), replace(config, epochs=1, batch_size=n))


def _first(array: np.ndarray, n: int) -> np.ndarray:
    """Return `n` samples, the first ones again if there are fewer."""
    return array[np.arange(n) % len(array)]


def _predict_and_compare(model: Operator, x: np.ndarray, y: np.ndarray, config: TrainingConfig) -> None:
    relative_errors(TrainedOperator(model)(x), y, periodic=config.periodic)


def prediction_needs(
    operator: TrainedOperator, x: np.ndarray, batch: int, truth: np.ndarray | None, ranks: int = 1
) -> Needs:
    """Return the needs of predictions, from those for one sample and for three."""
    operator(x[:1])
    few, more = (attempt(partial(operator, _first(x, n)), memory=True) for n in (FEW, MORE))
    ratio, at = MORE / FEW, min(batch, len(x)) / FEW
    each = line(few.seconds, more.seconds, ratio, at) / min(batch, len(x))
    written = x.nbytes + few.result.nbytes * len(x)
    memory = line(few.peak, more.peak, ratio, at) + 2 * few.result.nbytes * len(x)
    if truth is not None:
        memory += 3 * truth.nbytes
    return Needs(memory, {"prediction": each * len(x) / ranks, "write": written / WRITE_SPEED})


def generation_needs(equation: str, samples: int, grid: int, subsample: int, settings: Mapping[str, Any]) -> Needs:
    """Return the needs of training data, from a coarse sample or from the first steps of one.

    Parameters
    ----------
    equation : "darcy" or "navier-stokes"
    samples : int
        Of this process.
    grid, subsample : int
    settings : dict
        Of `darcy_flow` or `navier_stokes`.
    """
    kept = 16.0 * samples * (-(-grid // subsample)) ** 2
    if equation == "darcy":
        small = min(grid, TRIAL_GRID)
        darcy_flow(1, small, **settings)
        trial = attempt(lambda: darcy_flow(1, small, **settings), memory=True)
        # A direct solution of a plane problem takes n^1.5 operations and n log n numbers for n unknowns.
        each, memory = trial.seconds * (grid / small) ** 3, trial.peak * (grid / small) ** 2 * SOLVER_MEMORY
    else:
        steps = max(1.0, settings["time"] / settings["time_step"])
        navier_stokes(1, grid, **{**settings, "time": settings["time_step"]})
        few, more = (
            attempt(partial(navier_stokes, 1, grid, **{**settings, "time": n * settings["time_step"]}), memory=n > 1)
            for n in (1, TRIAL_STEPS)
        )
        each, memory = line(few.seconds, more.seconds, TRIAL_STEPS, steps), more.peak
    return Needs(memory + 2 * kept, {"samples": samples * each, "write": kept / WRITE_SPEED})
